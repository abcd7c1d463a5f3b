"""The many SMILES of one molecule."""

from __future__ import annotations

import random
from functools import lru_cache

from rdkit import Chem

from rtrl_chem.chem.molecule import parse

__all__ = ["spellings"]

# Small molecules have few spellings, which come again and again: so many are drawn for each that is wanted.
_DRAWS = 4


@lru_cache(maxsize=50_000)
def spellings(smiles: str, count: int, seed: int = 0) -> tuple[str, ...]:
    """At most `count` distinct SMILES of the molecule: as given, then others in random order of atoms and fragments.

    A function of its arguments. What does not parse has one spelling, its own.
    """
    molecule = parse(smiles)
    if molecule is None or count < 2:
        return (smiles,)
    shuffle = random.Random(f"{seed} {smiles}").shuffle
    found = {smiles: None}
    for drawn in Chem.MolToRandomSmilesVect(molecule.mol, _DRAWS * count, randomSeed=seed + 1):
        pieces = drawn.split(".")
        shuffle(pieces)
        found[".".join(pieces)] = None
    return tuple(found)[:count]
