"""`rtrl-chem metrics`: which metrics apply to saved predictions, and their values with intervals.

Rows go through chunk by chunk, each chunk through every metric, so that RDKit parses a string once; chunks go to
several processes where there are many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtrl_chem.evaluation.files import Prediction
from rtrl_chem.evaluation.measure import METRICS, is_name, score_items
from rtrl_chem.evaluation.metrics import captions, fcd, reactions, structures
from rtrl_chem.evaluation.metrics.score import Estimate, Score, Unavailable, estimate, mean_score
from rtrl_chem.evaluation.metrics.workers import map_chunks
from rtrl_chem.evaluation.predictions import Row, SavedPredictions
from rtrl_chem.evaluation.referee import opsin_referee, read_names
from rtrl_chem.tasks import Direction, Task

__all__ = ["Measured", "Options", "infer_direction", "item_scores", "score_saved"]

Array = NDArray[Any]  # flags, counts and scores, by family

_NO_TARGETS = "rows have no target"
# Metrics that compare with the source.
_OF_THE_SOURCE = ("rtc", *(f"rtc_{key}" for key in structures.EXACT), "similarity", "leak_rate", "copy_rate")
# How many rows decide which way a file goes.
_LOOKED_AT = 200


@dataclass(frozen=True)
class Options:
    """How to measure: tokens for captions, WordNet's folder, FCD or not, OPSIN or not, processes, the bootstrap."""

    vocabulary: Path | None = None
    wordnet: Path | None = None
    fcd: bool = False
    opsin: bool = True
    processes: int = 1
    resamples: int = 1_000
    confidence: float = 0.95
    seed: int = 0


@dataclass(frozen=True)
class Measured:
    """Every metric of a file by name, and the ones that could not be measured with their reasons."""

    task: str
    direction: Direction
    rows: Mapping[str, Any]
    confidence: float
    resamples: int
    seed: int
    metrics: dict[str, Estimate] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """One JSON object; `metrics` holds value, low, high, n and denominator of each by name."""
        return asdict(self) | {"direction": self.direction.value}


def score_saved(
    predictions: SavedPredictions,
    task: Task,
    direction: Direction,
    options: Options,
    on_progress: Callable[[int, int], None] | None = None,
) -> Measured:
    """Every metric that applies to the predictions under the sound defaults: all rows count, invalid is wrong."""
    found = Measured(task.name, direction, predictions.counts(), options.confidence, options.resamples, options.seed)
    scores = item_scores(predictions, task, direction, options, found.not_measured, on_progress)
    for name, value in estimate(scores, options.resamples, options.seed, options.confidence).items():
        if np.isnan(value.value):
            found.not_measured[name] = f"no {value.denominator}"
        else:
            found.metrics[name] = value
    if predictions.labelled and task.output(direction).is_structure:
        _add_fcd(predictions, options, found)
    return found


def item_scores(
    predictions: SavedPredictions,
    task: Task,
    direction: Direction,
    options: Options,
    not_measured: dict[str, str],
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Score]:
    """Every metric item by item, in the order of a report; `not_measured` gets those that there cannot be."""
    plan = _Plan.of(predictions, task, direction, options, not_measured)
    rows = _with_referee(plan, predictions.rows, options, not_measured)
    chunks = map_chunks(partial(_measure_chunk, plan), rows, options.processes, on_progress)
    return _scores(plan, {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]})


def infer_direction(task: Task, predictions: SavedPredictions) -> Direction:
    """Which way the predictions go, from the looks of their sources (of what answers them, where there are none):
    structures or text, one molecule or several. Forward where that does not tell.
    """
    rows = predictions.rows[:_LOOKED_AT]
    left, right = task.left, task.right
    if left.is_structure != right.is_structure:
        sources = any(row.source for row in rows)
        read = sum(structures.valid(row.source if sources else row.target or row.output for row in rows))
        first = left if sources else right
        return Direction.FORWARD if first.is_structure == (2 * read >= len(rows)) else Direction.REVERSE
    if left.kind == right.kind:
        return Direction.FORWARD
    dots = sum(row.source.count(".") - (row.target or row.output).count(".") for row in rows)
    several_left = left.kind == "molecules"
    return Direction.FORWARD if several_left == (dots > 0) or dots == 0 else Direction.REVERSE


@dataclass(frozen=True)
class _Plan:
    """What is measured on each row; plain data, which travels to workers."""

    task: Task
    direction: Direction
    ranks: int
    structures: bool
    ranked: bool
    back: bool
    round_trips: bool
    classes: bool
    sources: bool
    unknown: tuple[tuple[str, str], ...]
    captions: captions.Reading | None

    @classmethod
    def of(
        cls,
        predictions: SavedPredictions,
        task: Task,
        direction: Direction,
        options: Options,
        not_measured: dict[str, str],
    ) -> _Plan:
        """What to measure of these predictions; why the rest cannot be goes into `not_measured`."""
        output, labelled, ranks = task.output(direction), predictions.labelled, predictions.ranks
        back = all(row.reconstructions is not None for row in predictions.rows)
        reading = captions.prepare(options.vocabulary, options.wordnet) if labelled and output.prose else None
        not_measured.update(reading.missing if reading else ())
        several = ranks > 1 or output.kind == "molecules"
        plan = cls(
            task,
            direction,
            ranks,
            structures=labelled and output.is_structure,
            ranked=labelled and not output.prose and several,
            back=back,
            round_trips=several and back,
            classes=all(row.classes is not None for row in predictions.rows),
            sources=any(row.source for row in predictions.rows),
            unknown=tuple(_unknown(predictions.rows)),
            captions=reading,
        )
        not_measured.update(plan._reasons(labelled))
        return plan

    @property
    def equality(self) -> str | None:
        """How ranked outputs are compared; None is letter by letter."""
        return "isomeric" if self.task.output(self.direction).is_structure else None

    @property
    def sets(self) -> bool:
        """Whether outputs are sets of molecules."""
        return self.task.output(self.direction).kind == "molecules"

    def _reasons(self, labelled: bool) -> dict[str, str]:
        missing = {} if labelled else {"everything against a target": _NO_TARGETS}
        if not self.back:
            missing["rtc"] = "rows have no reconstructions"
        if not self.sources:
            missing["everything against a source"] = "not known: rows have no source"
        missing |= {metric: f"not known: {reason}" for metric, reason in self.unknown}
        deeper = [k for k in reactions.TOP_K if k > self.ranks] if self.ranked else []
        if deeper:
            missing.update({f"top{k}": f"rows have at most {self.ranks} outputs" for k in deeper})
        if self.sets and not self.back:
            missing["round_trip_accuracy"] = missing["coverage"] = "rows have no reconstructions"
        if self.sets and not (self.back and self.classes):
            missing["class_diversity"] = "needs reconstructions and classes of the outputs"
        return missing


def _unknown(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Metrics that rest on what only the one who asked the model can tell, where rows do not; with the reasons."""
    if silent := sum(row.truncated is None for row in rows):
        yield "truncated_rate", f"{silent:,} of {len(rows):,} rows have no `truncated`"
    if silent := sum(row.nats is None for row in rows):
        for metric in ("log_p", "log_p_per_token"):
            yield metric, f"{silent:,} of {len(rows):,} rows have no `nats` and `tokens`"


def _with_referee(
    plan: _Plan, rows: Sequence[Row], options: Options, not_measured: dict[str, str]
) -> list[tuple[Row, bool | None]]:
    """Each row with OPSIN's word on its name, None where there is none."""
    if not is_name(plan.task.output(plan.direction)) or not plan.sources:
        return [(row, None) for row in rows]
    referee = opsin_referee(options.opsin, "not asked for (--no-opsin)")
    sources, outputs = [row.source for row in rows], [row.output for row in rows]
    right, absent = read_names(plan.task, plan.direction, sources, outputs, referee)
    if right is None:
        not_measured["referee"] = absent
        return [(row, None) for row in rows]
    return list(zip(rows, right, strict=True))


def _measure_chunk(plan: _Plan, judged: Sequence[tuple[Row, bool | None]]) -> dict[str, Array]:
    """The tables of some rows by family, each (n, ...)."""
    rows = [row for row, _ in judged]
    outputs, targets = [row.output for row in rows], [row.target or "" for row in rows]
    tables: dict[str, Array] = {}
    if plan.structures:
        tables["structures"] = structures.statistics(outputs, targets)
    if plan.captions is not None:
        tables["captions"] = captions.statistics(outputs, targets, plan.captions)
    if plan.ranked:
        candidates = [row.outputs for row in rows]
        tables["ranked"] = reactions.hits(candidates, targets, plan.ranks, plan.equality)
        if plan.sets:
            tables["largest"] = reactions.hits(candidates, targets, plan.ranks, "largest_fragment")
    if plan.round_trips:
        tables |= _round_trip_tables(plan, rows)
    return tables | _item_tables(plan, judged)


def _round_trip_tables(plan: _Plan, rows: Sequence[Row]) -> dict[str, Array]:
    source = plan.task.source(plan.direction)
    equality = plan.task.equality if source.is_structure else None
    back = reactions.hits(
        [row.reconstructions or () for row in rows], [row.source for row in rows], plan.ranks, equality
    )
    tables: dict[str, Array] = {"back": back}
    if plan.classes:
        tables["classes"] = reactions.class_counts(back, [row.classes or () for row in rows])
    return tables


def _item_tables(plan: _Plan, judged: Sequence[tuple[Row, bool | None]]) -> dict[str, Array]:
    """The metrics of an evaluation of ours (`measure.METRICS`), by name; those without values are left out."""
    predictions = [_as_prediction(plan, row, referee) for row, referee in judged]
    found = score_items(plan.task, plan.direction, predictions)
    left_out = {*dict(plan.unknown), *(() if plan.sources else _OF_THE_SOURCE)}
    return {
        f"item:{name}": scores.values
        for name, scores in found.items()
        if scores.values is not None and name not in left_out
    }


def _as_prediction(plan: _Plan, row: Row, referee: bool | None) -> Prediction:
    back = (*row.reconstructions, "")[0] if plan.back and row.reconstructions is not None else None
    return Prediction(
        row.source,
        row.output,
        back,
        row.target,
        referee=referee,
        nats=row.nats,
        tokens=row.tokens,
        truncated=row.truncated,
    )


def _scores(plan: _Plan, tables: Mapping[str, Array]) -> list[Score]:
    """Scores in the order of a report: against targets first, then round trips and cheating."""
    found: list[Score] = []
    if plan.structures:
        found += structures.scores(tables["structures"])
    if plan.captions is not None:
        found += captions.scores(tables["captions"], plan.captions)
    if plan.ranked:
        found += reactions.ranked_scores(tables["ranked"], tables.get("largest"))
    if plan.round_trips:
        found += reactions.round_trip_scores(tables["back"], tables.get("classes"))
    taken = {score.name for score in found}
    for metric in METRICS:
        table = tables.get(f"item:{metric.name}")
        if table is not None and metric.name not in taken:
            found.append(mean_score(metric.name, metric.row(plan.task, plan.direction), table, unit=metric.unit))
    return found


def _add_fcd(predictions: SavedPredictions, options: Options, found: Measured) -> None:
    """The distance of the two sets as wholes."""
    if not options.fcd:
        found.not_measured["fcd"] = "not asked for (--fcd); it takes torch and some time"
        return
    outputs, targets = [row.output for row in predictions.rows], [row.target or "" for row in predictions.rows]
    try:
        value = fcd.distance(outputs, targets)
    except Unavailable as reason:
        found.not_measured["fcd"] = str(reason)
        return
    n = sum(structures.valid(outputs))
    label, why = "Fréchet ChemNet distance", "resampled sets repeat molecules, which alone makes it grow"
    found.metrics["fcd"] = Estimate("fcd", label, "number", value, None, None, n, "valid outputs", why)
