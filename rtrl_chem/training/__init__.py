"""Phases, the round loop and what they leave in a run folder."""
