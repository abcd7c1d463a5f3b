"""The metrics of rxn-metrics (rxn4chemistry; Schwaller et al. 2020), `metrics.py`, by the names of its functions.

Each is an object of numbers by k, for every k up to the number of outputs:

- `top_n_accuracy`: share of rows with the target among the first k outputs.
- `round_trip_accuracy`: share of the first k predictions of all rows whose forward prediction is the source.
- `coverage`: share of rows with at least one such prediction among the first k.
- `class_diversity`: mean number of distinct superclasses among such predictions.

The last three need `reconstructions` (forward predictions) in the rows, the last one `classes` too; the script's result
file calls them "accuracy", "round-trip", "coverage" and "class-diversity".

Quirks: strings are compared, not structures. As in the pipeline around it every SMILES is made canonical and its
molecules are sorted by their strings (there the targets are expected to be so already), and text that RDKit cannot read
is compared as it stands. Every row must have the same number of outputs; short rows are filled up with "", which is
wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from rtrl_chem.errors import ConfigError
from rtrl_chem.evaluation.metrics.dialects.report import Report, Settings, read_leniently
from rtrl_chem.evaluation.metrics.reactions import class_counts
from rtrl_chem.evaluation.predictions import SavedPredictions
from rtrl_chem.tasks import Direction, Task

__all__ = ["class_diversity", "coverage", "report", "round_trip_accuracy", "top_n_accuracy"]

Numbers = dict[str, float]

_NO_RECONSTRUCTIONS = "rows have no reconstructions: add what a forward model makes of each output"
_NO_CLASSES = "rows have no classes: add the reaction class of each output"


def report(predictions: SavedPredictions, task: Task, direction: Direction, settings: Settings) -> Report:
    """What the script prints for these predictions. ConfigError for outputs that are no molecules."""
    if not task.output(direction).is_structure:
        raise ConfigError(f"--compat rxn scores molecules, the outputs of this task are {task.output(direction).name}s")
    rows, ranks = predictions.rows, predictions.ranks
    outputs = _filled([row.outputs for row in rows], ranks)
    values: dict[str, Any] = {
        "top_n_accuracy": top_n_accuracy([_standard(row.target or "") for row in rows], outputs),
    }
    if any(row.reconstructions is None for row in rows):
        missing = dict.fromkeys(("round_trip_accuracy", "coverage", "class_diversity"), _NO_RECONSTRUCTIONS)
        return Report(values | dict.fromkeys(missing), missing)
    sources = [_standard(row.source) for row in rows]
    back = _filled([row.reconstructions or () for row in rows], ranks)
    values |= {"round_trip_accuracy": round_trip_accuracy(sources, back), "coverage": coverage(sources, back)}
    if any(row.classes is None for row in rows):
        return Report(values | {"class_diversity": None}, {"class_diversity": _NO_CLASSES})
    classes = [row.classes or () for row in rows]
    return Report(values | {"class_diversity": class_diversity(sources, back, classes)})


def top_n_accuracy(ground_truth: Sequence[str], predictions: Sequence[str]) -> Numbers:
    """Share of the N ground truths found among their first k of `predictions`, which are k_max to each, in order."""
    return coverage(ground_truth, predictions)


def round_trip_accuracy(ground_truth: Sequence[str], predictions: Sequence[str]) -> Numbers:
    """Share of the first k predictions that are their ground truth: mean over N k, by k."""
    right = _right(ground_truth, predictions)
    return _by_rank(np.cumsum(right, axis=1).mean(axis=0) / np.arange(1, right.shape[1] + 1))


def coverage(ground_truth: Sequence[str], predictions: Sequence[str]) -> Numbers:
    """Share of ground truths with at least one right prediction among the first k, by k."""
    return _by_rank(np.maximum.accumulate(_right(ground_truth, predictions), axis=1).mean(axis=0))


def class_diversity(
    ground_truth: Sequence[str], predictions: Sequence[str], classes: Sequence[Sequence[str]]
) -> Numbers:
    """Mean number of distinct superclasses (what stands before the first dot) of right predictions, by k."""
    return _by_rank(class_counts(_right(ground_truth, predictions), classes).mean(axis=0))


def _right(ground_truth: Sequence[str], predictions: Sequence[str]) -> NDArray[np.bool_]:
    """(N, k_max); ValueError unless there are k_max >= 1 predictions to each ground truth."""
    if not ground_truth or not predictions or len(predictions) % len(ground_truth):
        raise ValueError(f"{len(predictions)} predictions are no multiple of {len(ground_truth)} ground truths")
    table = np.array(predictions, dtype=object).reshape(len(ground_truth), -1)
    return np.asarray(table == np.array(ground_truth, dtype=object)[:, None], dtype=bool)


def _by_rank(values: NDArray[np.float64]) -> Numbers:
    return {str(k): float(value) for k, value in enumerate(values, start=1)}


def _filled(candidates: Sequence[Sequence[str]], ranks: int) -> list[str]:
    return [_standard(texts[rank]) if rank < len(texts) else "" for texts in candidates for rank in range(ranks)]


def _standard(text: str) -> str:
    mol = read_leniently(text)
    return text if mol is None else ".".join(sorted(Chem.MolToSmiles(mol).split(".")))
