"""Policies, frozen snapshots of them, reverse scoring and batched generation."""
