"""Splits that are a function of the item alone: never of its position, so adding or shuffling rows moves nothing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

from rdkit.Chem import MolToSmiles
from rdkit.Chem.Scaffolds.MurckoScaffold import GetScaffoldForMol

from rtrl_chem import chem

__all__ = ["hash_split", "murcko_scaffold", "scaffold_split"]

HASH_RANGE = 2**64


def hash_split(item: str, shares: Mapping[str, float], salt: str = "") -> str:
    """The split of `item`: sha256(salt, item) as a point in [0, 1), cut up by `shares` in their order.

    The same on every machine and Python version. Growing the *last* share at the cost of its neighbour moves only items
    between those two; another `salt` gives an independent split. `item` should be canonical, or two spellings of a
    molecule may part. Raises ValueError unless shares are positive and sum to 1.
    """
    _check_shares(shares)
    digest = hashlib.sha256(salt.encode() + b"\0" + item.encode()).digest()
    point = int.from_bytes(digest[:8], "big") / HASH_RANGE
    upper = 0.0
    for name, share in shares.items():
        upper += share
        if point < upper:
            return name
    return name  # rounding: the shares summed to a hair below the point


def scaffold_split(smiles: str, shares: Mapping[str, float], salt: str = "") -> str:
    """`hash_split` of the molecule's Murcko scaffold: molecules that share one are never parted.

    Stricter than a hash of the molecule: a test molecule's ring system was not seen in training. Shares hold over
    scaffolds, so a common one (benzene) makes the shares of molecules uneven. ValueError if `smiles` is not valid.
    """
    return hash_split(murcko_scaffold(smiles), shares, salt)


def murcko_scaffold(smiles: str) -> str:
    """Stereo-free SMILES of the Murcko scaffold (rings and linkers; Bemis and Murcko, J. Med. Chem. 1996, 39, 2887).

    Of several fragments the largest counts, so that a counter-ion does not move a molecule. A molecule without rings
    stands for itself: all of them under one empty scaffold would fill or empty a split at a stroke. ValueError if
    `smiles` is not valid.
    """
    molecule = chem.parse(smiles)
    if molecule is None:
        raise ValueError(f"not a valid SMILES ({chem.invalid_reason(smiles)}): {smiles[:80]!r}")
    mol = (chem.parse(molecule.largest_fragment) or molecule).mol
    scaffold = MolToSmiles(GetScaffoldForMol(mol), isomericSmiles=False)
    return scaffold or MolToSmiles(mol, isomericSmiles=False)


def _check_shares(shares: Mapping[str, float]) -> None:
    total = math.fsum(shares.values())
    if not shares or min(shares.values()) <= 0 or not math.isclose(total, 1.0, abs_tol=1e-9):
        raise ValueError(f"shares must be positive and sum to 1, got {dict(shares)} (sum {total:g})")
