"""`rtrl-chem evaluate --compare A B`: two models on the same items, B minus A, from their predictions files alone.

Both are scored anew, item by item, and items are resampled in pairs: what makes an item easy or hard cancels, so that a
paired interval is narrower than two intervals side by side suggest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtrl_chem.durable import write_json
from rtrl_chem.errors import ConfigError, RtrlError
from rtrl_chem.evaluation.bootstrap import resampled_sums
from rtrl_chem.evaluation.files import METRICS_FILE, PREDICTIONS_FILE, read_json
from rtrl_chem.evaluation.metrics.score import Score, Unit
from rtrl_chem.evaluation.metrics.workers import processes_for
from rtrl_chem.evaluation.predictions import Row, SavedPredictions, read_saved
from rtrl_chem.evaluation.scoring import Options, infer_direction, item_scores
from rtrl_chem.evaluation.suites.guard import guard_scores, read_records
from rtrl_chem.evaluation.tables import comparison_table
from rtrl_chem.tasks import Direction, load_task
from rtrl_chem.terminal import Console

__all__ = ["LOWER_IS_BETTER", "Comparison", "Difference", "compare", "compare_guard", "compare_scores"]

COMPARISON_FILE = "comparison.json"
# Everything else is better when it is higher.
LOWER_IS_BETTER = frozenset({"levenshtein", "leak_rate", "copy_rate", "empty_rate", "truncated_rate"})
LOWER_IS_BETTER |= {"nats_per_token", "nats_per_byte", "perplexity"}


@dataclass(frozen=True)
class Difference:
    """A metric of A and of B over the same n items, B - A with its interval, and the items on which B is better
    (`wins`), worse (`losses`) or as good (`ties`)."""

    label: str
    unit: Unit
    a: float
    b: float
    difference: float
    low: float
    high: float
    n: int
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True)
class Comparison:
    """Two sets of predictions: every metric that both have, and the reasons for those that cannot be compared."""

    name: str
    n: int
    metrics: dict[str, Difference] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)
    headline: tuple[str, ...] = ()


def compare(
    a: Path,
    b: Path,
    *,
    task: str | None = None,
    direction: Direction | None = None,
    out: Path | None = None,
    resamples: int = 1_000,
    seed: int = 0,
    confidence: float = 0.95,
    console: Console | None = None,
) -> dict[str, Comparison]:
    """Compare two evaluations' folders, part by part, or two prediction files; a table of each goes to stderr and, with
    `out`, everything to `out/comparison.json`.

    Task and direction are those in metrics.json beside the predictions, or as given. ConfigError where the call is
    wrong, RtrlError unless both sides hold the same parts and in each the same items.
    """
    console = console or Console(stderr=True)
    found: dict[str, Comparison] = {}
    for name, first, second in _pairs_of_files(a, b):
        found[name] = _compare_files(name, first, second, task, direction, (resamples, seed, confidence))
        console.print(comparison_table(found[name], str(a), str(b), confidence))
    if out is not None:
        record: dict[str, Any] = {"a": str(a), "b": str(b), "interval": "paired bootstrap of B - A, percentile"}
        record |= {"confidence": confidence, "resamples": resamples, "seed": seed}
        parts = {name: asdict(comparison) for name, comparison in found.items()}
        write_json(out / COMPARISON_FILE, record | {"parts": parts})
        console.print(f"written to {out / COMPARISON_FILE}", markup=False, highlight=False)
    return found


def compare_scores(
    first: Sequence[Score], second: Sequence[Score], resamples: int = 1_000, seed: int = 0, confidence: float = 0.95
) -> dict[str, Difference]:
    """B - A of every score that both have, over the same n items in the same order, resampled once for all of them."""
    others = {score.name: score for score in second}
    pairs = [(score, others[score.name]) for score in first if score.name in others]
    if not pairs:
        return {}
    columns = [np.concatenate([one.statistics, other.statistics], axis=1) for one, other in pairs]
    edges = np.cumsum([0, *(column.shape[1] for column in columns)])
    sums = resampled_sums(np.concatenate(columns, axis=1), resamples, seed)
    found = {}
    for (one, other), start, end in zip(pairs, edges[:-1], edges[1:], strict=True):
        drawn = sums[:, start:end]
        width = one.statistics.shape[1]
        found[one.name] = _difference(one, other, drawn[:, :width], drawn[:, width:], confidence)
    return found


def _difference(
    a: Score, b: Score, drawn_a: NDArray[np.float64], drawn_b: NDArray[np.float64], confidence: float
) -> Difference:
    was, now = (float(score.combine(score.statistics.sum(axis=0))) for score in (a, b))
    differences = b.combine(drawn_b) - a.combine(drawn_a)
    # A resample may hold no item of a small denominator; it says nothing about the mean over that denominator.
    differences = differences[np.isfinite(differences)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(differences, [tail, 1 - tail]) if differences.size else (np.nan, np.nan)
    better = (b.items - a.items) * (-1 if a.name in LOWER_IS_BETTER else 1)
    wins, losses = int((better > 0).sum()), int((better < 0).sum())
    ties = len(better) - wins - losses
    return Difference(a.label, a.unit, was, now, now - was, float(low), float(high), len(better), wins, losses, ties)


def compare_guard(name: str, a: Path, b: Path, bootstrap: tuple[int, int, float]) -> Comparison:
    """Two predictions files of texts or questions, B - A."""
    first, second = read_records(a), read_records(b)
    keys = [[(row.get("text"), row.get("question"), row.get("choices")) for row in rows] for rows in (first, second)]
    if keys[0] != keys[1]:
        raise RtrlError(f"{a} and {b}: not the same texts or questions; evaluate both on one file")
    return Comparison(name, len(first), compare_scores(guard_scores(first), guard_scores(second), *bootstrap))


# ---- files ----------------------------------------------------------------------------------------------------------


def _pairs_of_files(a: Path, b: Path) -> list[tuple[str, Path, Path]]:
    """(part, file of A, file of B); the part's name is its folder's."""
    for path in (a, b):
        if not path.exists():
            raise ConfigError(f"--compare {path}: no such file or folder; give what two evaluations wrote")
    if a.is_dir() != b.is_dir():
        raise ConfigError(f"--compare {a} {b}: one is a folder and one a file; give two of a kind")
    if not a.is_dir():
        return [(a.name, a, b)]
    parts = [sorted(p.parent.relative_to(side).as_posix() for p in side.rglob(PREDICTIONS_FILE)) for side in (a, b)]
    if not any(parts):
        raise RtrlError(f"{a} and {b} hold no {PREDICTIONS_FILE}; give the folders of two evaluations")
    if parts[0] != parts[1]:
        shown = [", ".join(some) or "nothing" for some in parts]
        raise RtrlError(f"{a} has {shown[0]}, {b} has {shown[1]}: evaluate both on the same parts")
    return [(name, a / name / PREDICTIONS_FILE, b / name / PREDICTIONS_FILE) for name in parts[0]]


def _compare_files(
    name: str,
    a: Path,
    b: Path,
    task_name: str | None,
    direction: Direction | None,
    bootstrap: tuple[int, int, float],
) -> Comparison:
    about, other = _about(a), _about(b)
    where = f"{a} and {b}"
    for key in ("task", "direction", "kind"):
        if about.get(key) != other.get(key) and about.get(key) is not None and other.get(key) is not None:
            raise RtrlError(f"{where}: {key} {about[key]} and {other[key]}; evaluate both alike")
    known = about | other
    if "kind" in known:
        return compare_guard(name, a, b, bootstrap)
    task_name = task_name or known.get("task")
    if task_name is None:
        raise ConfigError(f"--task: missing; {a} has no {METRICS_FILE} beside it that says what it answers")
    task = load_task(task_name)
    first, second = _matched(read_saved(a), read_saved(b), where)
    way = direction or (Direction(known["direction"]) if "direction" in known else infer_direction(task, first))
    reasons: dict[str, str] = {}
    options = Options(processes=processes_for(len(first.rows)))
    scores = [item_scores(saved, task, way, options, reasons) for saved in (first, second)]
    differences = compare_scores(scores[0], scores[1], *bootstrap)
    missing = {metric: reason for metric, reason in reasons.items() if metric not in differences}
    headline = tuple(metric for metric in known.get("headline", ()) if metric in differences)
    return Comparison(name, len(first.rows), differences, missing, headline)


def _about(predictions: Path) -> dict[str, Any]:
    """What metrics.json beside the predictions says of them."""
    path = predictions.with_name(METRICS_FILE)
    record = read_json(path) if predictions.name == PREDICTIONS_FILE and path.is_file() else {}
    return {key: record[key] for key in ("task", "direction", "headline", "kind") if key in record}


def _matched(a: SavedPredictions, b: SavedPredictions, where: str) -> tuple[SavedPredictions, SavedPredictions]:
    """Both in the order of A, matched by source and label (a source may have several labels)."""
    queues: Mapping[tuple[str, str | None], list[Row]] = defaultdict(list)
    for row in b.rows:
        queues[row.source, row.target].append(row)
    wanted = Counter((row.source, row.target) for row in a.rows)
    given = Counter({key: len(queue) for key, queue in queues.items()})
    if wanted != given:
        only = sum((wanted - given).values()), sum((given - wanted).values())
        raise RtrlError(
            f"{where}: not the same items ({only[0]} of {len(a.rows)} are only in the first, {only[1]} of "
            f"{len(b.rows)} only in the second); evaluate both on one set, whole and with the same labels"
        )
    rows = [queues[row.source, row.target].pop(0) for row in a.rows]
    return a, SavedPredictions(b.path, rows, b.rows_in, b.set_aside)
