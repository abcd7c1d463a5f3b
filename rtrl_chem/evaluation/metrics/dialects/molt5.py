"""The evaluation scripts of MolT5 (Edwards et al. 2022; blender-nlp/MolT5, `evaluation/`).

Molecules from text (`mol_translation_metrics.py`, `fingerprint_metrics.py`, `fcd_metric.py`); n rows, first output:

- `bleu`: nltk's corpus BLEU-4 over characters.
- `exact_match`: share of all rows whose whole InChI equals the target's. InChI merges tautomers and mobile hydrogens,
  and it is "" for molecules with `*` atoms, so any two of those are equal.
- `levenshtein`: mean edit distance in characters, all rows.
- `validity`: share of rows that RDKit reads. An empty output is valid (a molecule without atoms), and so is a SMILES
  with prose behind it.
- `maccs`, `rdk`, `morgan`: mean Tanimoto over the **valid rows only**; Morgan is counted and unfolded, radius 2.
- `fcd`: Fréchet ChemNet distance of canonical SMILES, outputs that do not parse or are empty left out, targets all
  kept, so the two sets differ in size.

Text from molecules (`text_translation_metrics.py`):

- `bleu2`, `bleu4`: nltk's corpus BLEU over **SciBERT word pieces**, at most 512 of a text. A chemical name is many
  pieces, so this is not BLEU over words.
- `meteor`: nltk's, over the same word pieces.
- `rouge1`, `rouge2`, `rougeL`: mean F-measure of rouge_score's tokens, not word pieces.
- A leading "[CLS] " is cut from an output.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from rdkit import Chem, rdBase

from rtrl_chem.errors import ConfigError
from rtrl_chem.evaluation.metrics import captions, fcd
from rtrl_chem.evaluation.metrics.dialects.report import (
    Report,
    Settings,
    fingerprint_similarities,
    mean,
    nltk_bleu,
    read_leniently,
    without_value,
)
from rtrl_chem.evaluation.metrics.score import Unavailable
from rtrl_chem.evaluation.metrics.tokens import find_vocabulary
from rtrl_chem.evaluation.metrics.workers import map_chunks
from rtrl_chem.evaluation.predictions import Row, SavedPredictions
from rtrl_chem.prose import bleu
from rtrl_chem.tasks import Direction, Task

__all__ = ["caption_report", "molecule_report", "report"]

Array = NDArray[np.float64]

_CLS = "[CLS] "


def report(predictions: SavedPredictions, task: Task, direction: Direction, settings: Settings) -> Report:
    """What the scripts print for these predictions. ConfigError for outputs that are neither molecules nor prose."""
    output = task.output(direction)
    if output.is_structure:
        return molecule_report(predictions.rows, settings)
    if output.prose:
        return caption_report(predictions, settings)
    raise ConfigError(f"--compat molt5 scores molecules and descriptions, the outputs of this task are {output.name}s")


def molecule_report(rows: Sequence[Row], settings: Settings) -> Report:
    """`bleu` ... `fcd` of molecules."""
    table = np.concatenate(map_chunks(_molecule_statistics, rows, settings.processes, settings.on_progress))
    readable = table[:, 0] == 1
    values = {
        "bleu": nltk_bleu(table[:, 6:], bleu.MAX_ORDER),
        "exact_match": mean(table[:, 1]),
        "levenshtein": mean(table[:, 2]),
        "validity": mean(table[:, 0]),
        "maccs": mean(table[readable, 3]),
        "rdk": mean(table[readable, 4]),
        "morgan": mean(table[readable, 5]),
    }
    missing = without_value(values, ("maccs", "rdk", "morgan"), "no output is valid")
    try:
        return Report(values | {"fcd": _distance(rows, settings)}, missing)
    except Unavailable as reason:
        return Report(values | {"fcd": None}, missing | {"fcd": str(reason)})


def caption_report(predictions: SavedPredictions, settings: Settings) -> Report:
    """`bleu2` ... `rougeL` of descriptions."""
    reading = captions.prepare(find_vocabulary(settings.vocabulary, predictions.path.parent), settings.wordnet)
    pairs = [(row.output.removeprefix(_CLS), row.target or "") for row in predictions.rows]
    return caption_scores(pairs, reading, settings)


def caption_scores(pairs: Sequence[tuple[str, str]], reading: captions.Reading, settings: Settings) -> Report:
    """The scores of (output, target) pairs by MolT5's names."""
    scorer = _CaptionStatistics(reading)
    table = np.concatenate(map_chunks(scorer, pairs, settings.processes, settings.on_progress))
    counts = table[:, : 2 * bleu.MAX_ORDER + 2]
    values = {"bleu2": nltk_bleu(counts, 2), "bleu4": nltk_bleu(counts, 4), "meteor": mean(table[:, -1])}
    values |= {name: mean(table[:, counts.shape[1] + i]) for i, name in enumerate(captions.ROUGE)}
    missing = dict(reading.missing)
    return Report({name: None if name in missing else value for name, value in values.items()}, missing)


class _CaptionStatistics:
    """`captions.statistics` of a chunk of pairs; a class, so that it can be sent to workers."""

    def __init__(self, reading: captions.Reading) -> None:
        self.reading = reading

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> Array:
        return captions.statistics([o for o, _ in pairs], [t for _, t in pairs], self.reading)


def _molecule_statistics(rows: Sequence[Row]) -> Array:
    """(n, 16): valid, InChIs equal, Levenshtein, three similarities, BLEU's counts."""
    return np.array([_molecule_row(row.output, row.target or "") for row in rows], dtype=np.float64)


def _molecule_row(output: str, target: str) -> list[float]:
    strings = [Levenshtein.distance(output, target)], bleu.counts(output, target)
    a, b = read_leniently(target), read_leniently(output)
    if a is None or b is None:
        return [0.0, 0.0, *strings[0], 0.0, 0.0, 0.0, *strings[1]]
    with rdBase.BlockLogs():
        equal = Chem.MolToInchi(a) == Chem.MolToInchi(b)
    return [1.0, float(equal), *strings[0], *fingerprint_similarities(a, b), *strings[1]]


def _distance(rows: Sequence[Row], settings: Settings) -> float:
    if not settings.fcd:
        raise Unavailable("not asked for (--no-fcd)")
    sides = [[row.output for row in rows], [row.target or "" for row in rows]]
    outputs, targets = (
        [Chem.MolToSmiles(mol) for text in side if text and (mol := read_leniently(text))] for side in sides
    )
    return fcd.distance_of_molecules(outputs, targets)
