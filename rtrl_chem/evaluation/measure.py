"""Which metrics there are, where each applies, and their values over a set of predictions.

A metric is a score per item, a function of the predictions file alone; its value is the mean over **all** items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtrl_chem.evaluation.bootstrap import bootstrap_mean
from rtrl_chem.evaluation.files import Prediction
from rtrl_chem.evaluation.metrics import cheating, names, round_trip, structures
from rtrl_chem.evaluation.metrics.score import Unit
from rtrl_chem.tasks import Direction, Domain, Task

__all__ = [
    "DETAILS",
    "METRICS",
    "Metric",
    "Metrics",
    "Scores",
    "Value",
    "is_name",
    "likelihood_words",
    "measure",
    "route",
    "score_items",
]


@dataclass(frozen=True)
class Metric:
    """A named score. `label` is its row in a table; `needs` the field of a prediction it cannot do without; `applies`
    gives the reason why it means nothing for a task and direction ("" if it does); `score` one number per item. A
    `detail` is in the files and in the table of `rtrl-chem metrics`, not in those of an evaluation or a run."""

    name: str
    label: str
    score: Callable[[Task, Direction, Sequence[Prediction]], Sequence[float]]
    needs: str = "output"
    applies: Callable[[Task, Direction], str] = lambda task, direction: ""
    unit: Unit = "share"
    detail: bool = False

    def row(self, task: Task, direction: Direction) -> str:
        """The label in the words of the task: "round trip, molecule -> name -> molecule, exact"."""
        x, y = _noun(task.source(direction)), _noun(task.output(direction))
        return self.label.format(x=x, y=y, ys=y if y.endswith("s") else y + "s")


@dataclass(frozen=True)
class Scores:
    """A metric's scores (n,) over n predictions, or None and either why it does not apply or what was missing."""

    metric: Metric
    values: NDArray[np.float64] | None
    not_applicable: str = ""
    not_measured: str = ""


@dataclass(frozen=True)
class Value:
    """The mean of a metric over n items with its bootstrap interval."""

    label: str
    unit: Unit
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Metrics:
    """All metrics of one direction; what has no value is listed with its reason.

    `not_applicable`: means nothing here (validity of a name). `not_measured`: would mean something, but labels or the
    referee are missing.
    """

    task: str
    direction: Direction
    n: int
    equality: str
    confidence: float
    resamples: int
    seed: int
    values: dict[str, Value] = field(default_factory=dict)
    not_applicable: dict[str, str] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The content of `metrics.json`: every metric by name, null where it has no value."""
        record = asdict(self) | {"direction": self.direction.value, "denominator": "all rows"}
        values = record.pop("values")
        return record | {"metrics": {metric.name: values.get(metric.name) for metric in METRICS}}


def measure(
    task: Task,
    direction: Direction,
    predictions: Sequence[Prediction],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    missing: Mapping[str, str] | None = None,
) -> Metrics:
    """Every metric of `predictions`, one or more. `missing` says better than "no rows have it" why a field (`referee`)
    is not there."""
    found = Metrics(task.name, direction, len(predictions), task.equality, confidence, resamples, seed)
    for name, scores in score_items(task, direction, predictions, missing).items():
        if scores.values is not None:
            interval = bootstrap_mean(scores.values, resamples, seed, confidence)
            label, unit = scores.metric.row(task, direction), scores.metric.unit
            found.values[name] = Value(label, unit, interval.mean, interval.low, interval.high, len(predictions))
        elif scores.not_applicable:
            found.not_applicable[name] = scores.not_applicable
        else:
            found.not_measured[name] = scores.not_measured
    return found


def score_items(
    task: Task, direction: Direction, predictions: Sequence[Prediction], missing: Mapping[str, str] | None = None
) -> dict[str, Scores]:
    """The scores of each item under each metric, by the metric's name."""
    return {metric.name: _scores(metric, task, direction, predictions, missing or {}) for metric in METRICS}


def _scores(
    metric: Metric, task: Task, direction: Direction, predictions: Sequence[Prediction], missing: Mapping[str, str]
) -> Scores:
    if reason := metric.applies(task, direction):
        return Scores(metric, None, not_applicable=reason)
    absent = sum(getattr(p, metric.needs) is None for p in predictions)
    if absent:
        reason = f"{absent} of {len(predictions)} rows have no {metric.needs}"
        return Scores(metric, None, not_measured=missing.get(metric.needs, reason))
    return Scores(metric, np.asarray(metric.score(task, direction, predictions), dtype=np.float64))


def route(task: Task, direction: Direction) -> str:
    """`molecule -> name`."""
    return f"{_noun(task.source(direction))} -> {_noun(task.output(direction))}"


def likelihood_words(task: Task, direction: Direction) -> str:
    """`log p(molecule | name)`."""
    return f"log p({_noun(task.source(direction))} | {_noun(task.output(direction))})"


def is_name(domain: Domain) -> bool:
    """Whether items are IUPAC names, which OPSIN can read."""
    return domain.is_name


def _noun(domain: Domain) -> str:
    return domain.name.split()[-1]


def _sources(predictions: Sequence[Prediction]) -> list[str]:
    return [p.source for p in predictions]


def _outputs(predictions: Sequence[Prediction]) -> list[str]:
    return [p.output for p in predictions]


def _reconstructions(predictions: Sequence[Prediction]) -> list[str]:
    return [p.reconstruction or "" for p in predictions]


def _consistency(task: Task, direction: Direction, rows: Sequence[Prediction]) -> Sequence[float]:
    return round_trip.consistent(_sources(rows), _reconstructions(rows), task.source(direction), task.equality)


def _consistency_under(equality: str) -> Callable[[Task, Direction, Sequence[Prediction]], Sequence[float]]:
    def score(task: Task, direction: Direction, rows: Sequence[Prediction]) -> Sequence[float]:
        return round_trip.consistent(_sources(rows), _reconstructions(rows), task.source(direction), equality)

    return score


def _log_p(task: Task, direction: Direction, rows: Sequence[Prediction]) -> Sequence[float]:
    return [p.nats or 0.0 for p in rows]


def _log_p_per_token(task: Task, direction: Direction, rows: Sequence[Prediction]) -> Sequence[float]:
    return [(p.nats or 0.0) / (p.tokens or 1) for p in rows]


def _similarity(task: Task, direction: Direction, rows: Sequence[Prediction]) -> Sequence[float]:
    return structures.similarities(_sources(rows), _reconstructions(rows), "morgan")


def _exact_match(task: Task, direction: Direction, rows: Sequence[Prediction]) -> Sequence[float]:
    targets = [p.target or "" for p in rows]
    if task.output(direction).is_structure:
        return structures.exact_matches(_outputs(rows), targets, task.equality)
    return names.exact_matches(_outputs(rows), targets)


def _leaks(task: Task, direction: Direction, rows: Sequence[Prediction]) -> Sequence[float]:
    return cheating.leaks(_sources(rows), _outputs(rows), task.source(direction), task.output(direction))


def _needs_structure_source(task: Task, direction: Direction) -> str:
    return "" if task.source(direction).is_structure else "sources are text"


def _needs_structure_output(task: Task, direction: Direction) -> str:
    return "" if task.output(direction).is_structure else "outputs are text"


def _needs_no_prose(task: Task, direction: Direction) -> str:
    return "outputs are prose, which no two writers word alike" if task.output(direction).prose else ""


def _needs_names(task: Task, direction: Direction) -> str:
    named = is_name(task.output(direction)) and task.source(direction).is_structure
    return "" if named else "outputs are no names of molecules"


METRICS: tuple[Metric, ...] = (
    Metric("rtc", "round trip, {x} -> {y} -> {x}, exact", _consistency, needs="reconstruction"),
    Metric(
        "similarity",
        "round trip, {x} -> {y} -> {x}, similarity",
        _similarity,
        needs="reconstruction",
        applies=_needs_structure_source,
        unit="similarity",
    ),
    *(
        Metric(
            f"rtc_{equality}",
            f"round trip, exact: {words}",
            _consistency_under(equality),
            needs="reconstruction",
            applies=_needs_structure_source,
            detail=True,
        )
        for equality, words in structures.EXACT.items()
    ),
    Metric("log_p", "log p({x} | {y}), nats", _log_p, needs="nats", unit="nats"),
    Metric("log_p_per_token", "log p({x} | {y}) per token, nats", _log_p_per_token, needs="nats", unit="nats"),
    Metric("exact_match", "{ys} exactly right", _exact_match, needs="target", applies=_needs_no_prose),
    Metric(
        "referee",
        "{ys} OPSIN reads back to the {x}",
        lambda task, direction, rows: [float(p.referee or False) for p in rows],
        needs="referee",
        applies=_needs_names,
    ),
    Metric(
        "validity",
        "valid {ys}",
        lambda task, direction, rows: structures.valid(_outputs(rows)),
        applies=_needs_structure_output,
    ),
    # From the texts, not from the verdict: a truncated output may leak as well.
    Metric("leak_rate", "leak rate", _leaks),
    Metric(
        "copy_rate",
        "copy rate",
        lambda task, direction, rows: cheating.copies(_sources(rows), _outputs(rows)),
    ),
    Metric("empty_rate", "empty outputs", lambda task, direction, rows: [not p.output for p in rows]),
    Metric(
        "truncated_rate",
        "truncated outputs",
        lambda task, direction, rows: [p.truncated or False for p in rows],
        needs="truncated",
    ),
)
DETAILS = frozenset(metric.name for metric in METRICS if metric.detail)
