"""Outputs that are names."""

from __future__ import annotations

from collections.abc import Iterable

from rtrl_chem import chem

__all__ = ["exact_matches", "read_back"]


def exact_matches(outputs: Iterable[str], targets: Iterable[str]) -> list[bool]:
    """Whether each name is its target, letter by letter. Stricter than chemistry: a molecule has many good names."""
    return [output == target for output, target in zip(outputs, targets, strict=True)]


def read_back(read: Iterable[str | None], molecules: Iterable[str], equality: str = "isomeric") -> list[bool]:
    """Whether what an independent reader (OPSIN) made of each name is the molecule it should name; None never is."""
    return chem.equal_batch((smiles or "" for smiles in read), molecules, equality)
