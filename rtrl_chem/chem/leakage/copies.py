"""Whether an output is its source."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rtrl_chem.chem.leakage.skeleton import TOKEN
from rtrl_chem.chem.leakage.texts import folded
from rtrl_chem.chem.molecule import parse

__all__ = ["is_copy", "is_copy_batch"]

_SMILES = re.compile(rf"(?:{TOKEN.pattern})+")


def is_copy(source: str, output: str) -> bool:
    """Whether y is x: the same structure where both are molecules, else the same text with case and white space folded.

    Case carries meaning between molecules: benzene is no copy of cyclohexane.

    >>> is_copy("C1CCCCC1", "c1ccccc1"), is_copy("CCO", " OCC "), is_copy("Ethanol", "ethanol")
    (False, True, True)
    """
    left, right = source.strip(), output.strip()
    if _SMILES.fullmatch(left) and _SMILES.fullmatch(right):
        a, b = parse(left), parse(right)
        if a and b:
            return a.canonical == b.canonical
    return bool(left) and folded(left) == folded(right)


def is_copy_batch(sources: Iterable[str], outputs: Iterable[str]) -> list[bool]:
    """`is_copy` pair by pair; ValueError when the two differ in length."""
    return [is_copy(source, output) for source, output in zip(sources, outputs, strict=True)]
