"""Sources against their reconstructions."""

from __future__ import annotations

from collections.abc import Iterable

from rtrl_chem import chem
from rtrl_chem.tasks import Domain

__all__ = ["consistent"]


def consistent(
    sources: Iterable[str], reconstructions: Iterable[str], domain: Domain, equality: str = "isomeric"
) -> list[bool]:
    """Whether each x_hat is its x: structures under a policy of `chem.EQUALITIES`, texts letter by letter."""
    if domain.is_structure:
        return chem.equal_batch(sources, reconstructions, equality)
    return [bool(x) and x == x_hat for x, x_hat in zip(sources, reconstructions, strict=True)]
