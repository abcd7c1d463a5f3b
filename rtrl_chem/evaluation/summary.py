"""Before against after, from the predictions files: `summary.json` and the table a run ends with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rtrl_chem.durable import write_json
from rtrl_chem.errors import RtrlError
from rtrl_chem.evaluation.bootstrap import paired_bootstrap
from rtrl_chem.evaluation.compare import compare_guard
from rtrl_chem.evaluation.files import (
    METRICS_FILE,
    PREDICTIONS_FILE,
    Prediction,
    read_json,
    read_predictions,
)
from rtrl_chem.evaluation.measure import METRICS, Scores, Unit, route, score_items
from rtrl_chem.evaluation.tables import table
from rtrl_chem.tasks import Direction, Task

__all__ = ["GUARD", "Change", "Changes", "Summary", "read_summary", "summarise", "table"]


GUARD = "guard"  # the folder beside forward/ and reverse/ with what the guard measured


@dataclass(frozen=True)
class Change:
    """A metric before and after training on the same n items; `low` and `high` bound the difference of its means."""

    label: str
    unit: Unit
    before: float
    after: float
    difference: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Changes:
    """One direction: the change of each metric by name, and the metrics without one, with their reasons."""

    route: str
    n: int
    metrics: dict[str, Change] = field(default_factory=dict)
    not_applicable: dict[str, str] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """What training changed, per direction and, where a guard was named, elsewhere; how the intervals were made."""

    task: str
    confidence: float
    resamples: int
    seed: int
    directions: dict[Direction, Changes]
    guard: dict[str, Changes] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The content of `summary.json`: every metric by name, null where it has no value."""
        directions = {}
        for direction, changes in self.directions.items():
            record = asdict(changes)
            record["metrics"] = {metric.name: record["metrics"].get(metric.name) for metric in METRICS}
            directions[direction.value] = record
        guard = {name: asdict(changes) for name, changes in self.guard.items()}
        return ({"guard": guard} if guard else {}) | {
            "task": self.task,
            "denominator": "all rows",
            "interval": "paired bootstrap of the difference, percentile",
            "confidence": self.confidence,
            "resamples": self.resamples,
            "seed": self.seed,
            "directions": directions,
        }


def summarise(
    task: Task,
    before: Path,
    after: Path,
    out: Path | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Summary:
    """Compare two folders written by `round_trip.evaluate`, and write `out` (`evaluation/summary.json`) if given.

    RtrlError unless both hold the same directions and, in each, the same items.
    """
    found = {}
    for direction in _directions(before, after):
        then, now = (read_predictions(folder / direction.value / PREDICTIONS_FILE) for folder in (before, after))
        then, now = _pair(then, now, where=f"{before} and {after}, {direction.value}")
        reasons = _reasons(before / direction.value) | _reasons(after / direction.value)
        found[direction] = _changes(task, direction, then, now, reasons, (resamples, seed, confidence))
    guard = _guard(before / GUARD, after / GUARD, (resamples, seed, confidence))
    summary = Summary(task.name, confidence, resamples, seed, found, guard)
    if out is not None:
        write_json(out, summary.to_json())
    return summary


def read_summary(path: Path) -> Summary:
    """What `summarise` wrote; RtrlError if it cannot be read."""
    record = read_json(path)
    try:
        directions = {Direction(name): _read_changes(changes) for name, changes in record["directions"].items()}
        guard = {name: _read_changes(changes) for name, changes in record.get("guard", {}).items()}
        settings = {key: record[key] for key in ("task", "confidence", "resamples", "seed")}
        return Summary(**settings, directions=directions, guard=guard)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RtrlError(f"{path} is no evaluation summary ({error!r}): evaluate again to write it anew") from None


def _guard(before: Path, after: Path, bootstrap: tuple[int, int, float]) -> dict[str, Changes]:
    """The texts and questions that both were measured on, by part."""
    found = {}
    for path in sorted(before.rglob(PREDICTIONS_FILE)):
        name = path.parent.relative_to(before).as_posix()  # forward/texts, where each direction has a model
        compared = compare_guard(name, path, after / name / PREDICTIONS_FILE, bootstrap)
        metrics = {
            key: Change(d.label, d.unit, d.a, d.b, d.difference, d.low, d.high, d.n)
            for key, d in compared.metrics.items()
        }
        found[name] = Changes("", compared.n, metrics)
    return found


def _read_changes(record: dict[str, Any]) -> Changes:
    metrics = {name: Change(**change) for name, change in record["metrics"].items() if change is not None}
    return Changes(record["route"], record["n"], metrics, record["not_applicable"], record["not_measured"])


def _directions(before: Path, after: Path) -> list[Direction]:
    had, has = ([d for d in Direction if (folder / d.value / PREDICTIONS_FILE).is_file()] for folder in (before, after))
    if had != has or not had:
        shown = [", ".join(d.value for d in some) or "none" for some in (had, has)]
        raise RtrlError(f"{before} has predictions for {shown[0]}, {after} for {shown[1]}: evaluate both alike")
    return had


def _pair(
    before: Sequence[Prediction], after: Sequence[Prediction], where: str
) -> tuple[list[Prediction], list[Prediction]]:
    """Both in the order of `before`, matched by source and label (a source may have several labels)."""
    queues: dict[tuple[str, str | None], list[Prediction]] = defaultdict(list)
    for p in after:
        queues[p.source, p.target].append(p)
    wanted = Counter((p.source, p.target) for p in before)
    if not wanted or wanted != Counter({key: len(queue) for key, queue in queues.items()}):
        raise RtrlError(f"{where}: not the same items ({len(before)} and {len(after)}); evaluate both on one set")
    return list(before), [queues[p.source, p.target].pop(0) for p in before]


def _reasons(folder: Path) -> dict[str, str]:
    """Why metrics were not measured, as the evaluation knew it."""
    path = folder / METRICS_FILE
    reasons: dict[str, str] = read_json(path).get("not_measured", {}) if path.is_file() else {}
    return reasons


def _changes(
    task: Task,
    direction: Direction,
    before: list[Prediction],
    after: list[Prediction],
    reasons: dict[str, str],
    bootstrap: tuple[int, int, float],
) -> Changes:
    found = Changes(route(task, direction), len(before))
    then, now = score_items(task, direction, before), score_items(task, direction, after)
    for name, scores in now.items():
        if scores.not_applicable:
            found.not_applicable[name] = scores.not_applicable
        elif scores.values is None or then[name].values is None:
            lacking = scores.not_measured or then[name].not_measured
            found.not_measured[name] = reasons.get(name, lacking)
        else:
            found.metrics[name] = _change(scores.metric.row(task, direction), then[name], scores, bootstrap)
    return found


def _change(label: str, before: Scores, after: Scores, bootstrap: tuple[int, int, float]) -> Change:
    assert before.values is not None and after.values is not None
    interval = paired_bootstrap(before.values, after.values, *bootstrap)
    means = float(before.values.mean()), float(after.values.mean())
    unit = after.metric.unit
    return Change(label, unit, *means, interval.mean, interval.low, interval.high, len(after.values))
