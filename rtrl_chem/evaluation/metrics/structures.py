"""Outputs that must be structures."""

from __future__ import annotations

from collections.abc import Iterable

from rtrl_chem import chem

__all__ = ["exact_matches", "similarities", "valid"]


def valid(outputs: Iterable[str]) -> list[bool]:
    """Whether each output is a molecule: not empty, no white space, at least one heavy atom, sanitises."""
    return [molecule is not None for molecule in chem.parse_batch(outputs)]


def exact_matches(outputs: Iterable[str], targets: Iterable[str], equality: str = "isomeric") -> list[bool]:
    """Whether each output is its target under a policy of `chem.EQUALITIES`; an invalid one never is."""
    return chem.equal_batch(outputs, targets, equality)


def similarities(a: Iterable[str], b: Iterable[str], fingerprint: str = "morgan") -> list[float]:
    """Tanimoto similarity of each pair in [0, 1]; 0 where either is invalid."""
    return [value or 0.0 for value in chem.tanimoto(zip(a, b, strict=True), fingerprint)]
