"""Labelled pairs from molecules: checked names, template reactions, captions of facts; each keeps how it was made."""
