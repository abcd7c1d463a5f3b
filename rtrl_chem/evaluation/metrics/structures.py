"""Outputs that must be structures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from rtrl_chem import chem
from rtrl_chem.evaluation.metrics.score import Score, mean_score
from rtrl_chem.prose import bleu

__all__ = ["EXACT", "SIMILARITIES", "exact_matches", "scores", "similarities", "statistics", "valid"]

Array = NDArray[np.float64]

# The four columns of exact match, from strict to lenient in stereo, tautomers and stoichiometry.
EXACT: dict[str, str] = {
    "isomeric": "canonical isomeric",
    "stereo_free": "stereo-free",
    "inchi": "whole InChI",
    "inchi_set": "set of InChIs",
}
# Morgan is the folded bit vector; the reference scripts' counted one is in `dialects`.
SIMILARITIES: dict[str, str] = {"maccs": "MACCS", "rdkit": "RDKit", "morgan": "Morgan"}


def valid(outputs: Iterable[str]) -> list[bool]:
    """Whether each output is a molecule: not empty, no white space, at least one heavy atom, sanitises."""
    return [molecule is not None for molecule in chem.parse_batch(outputs)]


def exact_matches(outputs: Iterable[str], targets: Iterable[str], equality: str = "isomeric") -> list[bool]:
    """Whether each output is its target under a policy of `chem.EQUALITIES`; an invalid one never is."""
    return chem.equal_batch(outputs, targets, equality)


def similarities(a: Iterable[str], b: Iterable[str], fingerprint: str = "morgan") -> list[float]:
    """Tanimoto similarity of each pair in [0, 1]; 0 where either is invalid."""
    return [value or 0.0 for value in chem.tanimoto(zip(a, b, strict=True), fingerprint)]


def statistics(outputs: Sequence[str], targets: Sequence[str]) -> Array:
    """What `scores` needs of each of n rows, (n, 20): output valid, both valid, the `EXACT` columns, `SIMILARITIES`,
    Levenshtein distance, the counts of character BLEU."""
    readable = valid(outputs)
    columns: list[Sequence[float]] = [readable, np.logical_and(readable, valid(targets)).tolist()]
    columns += [exact_matches(outputs, targets, equality) for equality in EXACT]
    columns += [similarities(outputs, targets, fingerprint) for fingerprint in SIMILARITIES]
    columns.append([Levenshtein.distance(a, b) for a, b in zip(outputs, targets, strict=True)])
    counts = [bleu.counts(a, b) for a, b in zip(outputs, targets, strict=True)]
    return np.column_stack([*columns, np.array(counts, dtype=np.float64).reshape(-1, 2 * bleu.MAX_ORDER + 2)])


def scores(rows: Array) -> list[Score]:
    """Every metric of structures against targets from `statistics` (n, 20).

    - `exact_*`: share of all rows whose output is the target under that equality; invalid outputs are wrong.
    - `validity`: share of all rows whose output is a molecule (see `chem.invalid_reason`).
    - `similarity_*`: mean Tanimoto over all rows with invalid outputs as 0; `similarity_*_valid`: over the rows where
      output and target are valid, which flatters a model that is often invalid.
    - `levenshtein`: mean edit distance of the strings as written, in characters, all rows. Not a chemical quantity.
    - `bleu`: corpus BLEU-4 over characters (Papineni et al. 2002), all rows, one reference, no smoothing.
    """
    valid_output, valid_pair = rows[:, 0], rows[:, 1]
    found = [
        mean_score(f"exact_{key}", f"exact: {words}", rows[:, 2 + i]) for i, (key, words) in enumerate(EXACT.items())
    ]
    found.append(mean_score("validity", "valid outputs", valid_output))
    for i, (key, words) in enumerate(SIMILARITIES.items(), start=2 + len(EXACT)):
        found.append(mean_score(f"similarity_{key}", f"{words}, invalid as 0", rows[:, i], unit="similarity"))
        found.append(
            mean_score(
                f"similarity_{key}_valid",
                f"{words}, valid only",
                rows[:, i],
                counted=valid_pair,
                denominator="both valid",
                unit="similarity",
            )
        )
    edits = 2 + len(EXACT) + len(SIMILARITIES)
    found.append(mean_score("levenshtein", "Levenshtein distance", rows[:, edits], unit="number"))
    found.append(_character_bleu(rows[:, edits + 1 :]))
    return found


def _character_bleu(counts: Array) -> Score:
    return Score("bleu", "character BLEU-4", counts, bleu.combine, bleu.combine(counts), len(counts), unit="similarity")
