"""What the dialects share: their settings and result, nltk's BLEU, and RDKit as lenient as the scripts use it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

from rtrl_chem.chem.molecule import MAX_LENGTH
from rtrl_chem.prose import bleu

__all__ = ["Report", "Settings", "fingerprint_similarities", "mean", "nltk_bleu", "read_leniently", "without_value"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """How a report is made: `vocabulary` and `wordnet` for captions, `fcd` whether that is wanted, `processes` to use,
    `on_progress` told of rows done and rows in all."""

    vocabulary: Path | None = None
    wordnet: Path | None = None
    fcd: bool = True
    processes: int = 1
    on_progress: Callable[[int, int], None] | None = None


@dataclass(frozen=True)
class Report:
    """The reference's numbers by the reference's names, None for what could not be measured, with the reason."""

    values: Mapping[str, Any]
    not_measured: Mapping[str, str] = field(default_factory=dict)


def nltk_bleu(counts: Array, orders: int) -> float:
    """`nltk.translate.bleu_score.corpus_bleu` from `bleu.counts` (n, 10): a row too short for an n-gram still adds one
    to that order's denominator. (Where nltk prints some 1e-78 for want of any match, this is 0.)"""
    totals = slice(bleu.MAX_ORDER, 2 * bleu.MAX_ORDER)
    counts = counts.copy()
    counts[:, totals] = np.maximum(counts[:, totals], 1)
    return float(bleu.combine(counts.sum(axis=0), orders))


def read_leniently(text: str) -> Chem.Mol | None:
    """`Chem.MolFromSmiles` as the scripts call it: "" is a molecule without atoms, and what follows white space is a
    title. Strings over 4,000 characters, on which RDKit can bring the process down, do not parse."""
    if len(text) > MAX_LENGTH or not text.isascii() or "\0" in text:
        return None
    with rdBase.BlockLogs():
        return Chem.MolFromSmiles(text)


_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2)
_RDKIT = rdFingerprintGenerator.GetRDKitFPGenerator()
_MAKERS: tuple[Callable[[Chem.Mol], Any], ...] = (
    rdMolDescriptors.GetMACCSKeysFingerprint,
    _RDKIT.GetFingerprint,
    # Counts of environments, not folded: AllChem.GetMorganFingerprint(mol, 2).
    _MORGAN.GetSparseCountFingerprint,
)


def fingerprint_similarities(a: Chem.Mol, b: Chem.Mol) -> list[float]:
    """Tanimoto similarity under MACCS keys, the RDKit fingerprint and counted, unfolded Morgan environments."""
    return [float(DataStructs.TanimotoSimilarity(make(a), make(b))) for make in _MAKERS]


def without_value(values: Mapping[str, Any], names: Iterable[str], reason: str) -> dict[str, str]:
    """The reason for each of `names` that has no value."""
    return {name: reason for name in names if values[name] is None}


def mean(values: Array) -> float | None:
    """The mean, None of nothing (numpy prints nan there, which is no JSON)."""
    return float(values.mean()) if values.size else None
