"""Tanimoto similarity of structures under the fingerprints the field reports.

Fingerprints are remembered per canonical SMILES. They are made one by one: RDKit's batch calls are no faster on one
thread, and the molecules a policy writes repeat. When the table is full it starts anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

from rtrl_chem.chem.molecule import Molecule, parse

__all__ = ["FINGERPRINTS", "tanimoto"]

_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
_RDKIT = rdFingerprintGenerator.GetRDKitFPGenerator(maxPath=7, fpSize=2048)

_MAKERS: dict[str, Callable[[Chem.Mol], Any]] = {
    # 167 structural keys; they are not hashed paths, so RDKit has no generator for them.
    "maccs": rdMolDescriptors.GetMACCSKeysFingerprint,
    # Paths of up to 7 bonds in 2,048 bits, as in `Chem.RDKFingerprint`.
    "rdkit": _RDKIT.GetFingerprint,
    # Circular environments up to radius 2 in 2,048 bits.
    "morgan": _MORGAN.GetFingerprint,
    # The same environments counted and not folded: what the MolT5 evaluation scripts call Morgan.
    "morgan_counts": _MORGAN.GetSparseCountFingerprint,
}

FINGERPRINTS: tuple[str, ...] = tuple(_MAKERS)

_CACHED_FINGERPRINTS = 50_000
_FINGERPRINTS: dict[tuple[str, str], Any] = {}


def tanimoto(pairs: Iterable[tuple[str, str]], fingerprint: str = "morgan") -> list[float | None]:
    """Tanimoto similarity in [0, 1] of each pair of SMILES; None where either is invalid.

    `fingerprint` is one of `FINGERPRINTS`, else ValueError. For two lists pass `zip(a, b, strict=True)`. Where neither
    molecule sets a bit RDKit answers 0: under "rdkit", whose bits are paths, methane is not even like itself.
    """
    if fingerprint not in _MAKERS:
        raise ValueError(f"unknown fingerprint {fingerprint!r}, must be one of {', '.join(FINGERPRINTS)}")
    return [_similarity(parse(a), parse(b), fingerprint) for a, b in pairs]


def _similarity(a: Molecule | None, b: Molecule | None, fingerprint: str) -> float | None:
    if a is None or b is None:
        return None
    # A right answer, which needs no fingerprint: a ring sets bits in each of them (where none is set RDKit answers 0).
    if a.canonical == b.canonical and a.mol.GetRingInfo().NumRings():
        return 1.0
    return float(DataStructs.TanimotoSimilarity(_fingerprint(a, fingerprint), _fingerprint(b, fingerprint)))


def _fingerprint(molecule: Molecule, fingerprint: str) -> Any:
    """The remembered fingerprint of this structure, made of the molecule at hand: its SMILES is not parsed again."""
    key = molecule.canonical, fingerprint
    found = _FINGERPRINTS.get(key)
    if found is None:
        if len(_FINGERPRINTS) >= _CACHED_FINGERPRINTS:
            _FINGERPRINTS.clear()
        found = _FINGERPRINTS[key] = _MAKERS[fingerprint](molecule.mol)
    return found
