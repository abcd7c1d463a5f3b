"""Outputs that make the round trip easy by carrying x along; shown beside it, so that such consistency is seen."""

from __future__ import annotations

from collections.abc import Iterable

from rtrl_chem import chem
from rtrl_chem.tasks import Domain

__all__ = ["copies", "leaks"]


def copies(sources: Iterable[str], outputs: Iterable[str]) -> list[bool]:
    """Whether each output is its source (see `chem.is_copy`)."""
    return chem.is_copy_batch(sources, outputs)


def leaks(sources: Iterable[str], outputs: Iterable[str], source: Domain, output: Domain) -> list[bool]:
    """Whether each output gives its source away, whole or for the most part (see `chem.find_leak`); copies do."""
    found = chem.find_leak_batch(sources, outputs, source.is_structure, output.is_structure)
    return [leak is not None for leak in found]
