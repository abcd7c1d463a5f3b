"""`rtrl-chem metrics PREDICTIONS --task T`: measure any model's saved outputs, without a model and without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from rtrl_chem.evaluation.measure import route
from rtrl_chem.evaluation.metrics.dialects import load_dialect
from rtrl_chem.evaluation.metrics.dialects.report import Settings
from rtrl_chem.evaluation.metrics.workers import processes_for
from rtrl_chem.evaluation.predictions import SavedPredictions, read_saved
from rtrl_chem.evaluation.run import progress_bar
from rtrl_chem.evaluation.scoring import Options, infer_direction, score_saved
from rtrl_chem.evaluation.tables import dialect_table, saved_table
from rtrl_chem.tasks import Direction, Task, load_task
from rtrl_chem.terminal import Console

__all__ = ["Request", "measure_saved"]


@dataclass(frozen=True)
class Request:
    """What the command line asks for; None lets the rows, the dialect or the machine decide."""

    path: Path
    task: str
    direction: Direction | None = None
    compat: str | None = None
    vocabulary: Path | None = None
    wordnet: Path | None = None
    fcd: bool | None = None
    opsin: bool = True
    resamples: int = 1_000
    confidence: float = 0.95
    seed: int = 0
    processes: int | None = None


def measure_saved(request: Request, as_json: bool = False) -> None:
    """Print the metrics: a table on stdout, or one JSON object with `as_json`; progress and remarks go to stderr.

    ConfigError if the call is wrong (no such file, task, dialect), CorpusError if no row can be scored.
    """
    console = Console(stderr=True)
    task = load_task(request.task)
    dialect = load_dialect(request.compat) if request.compat else None
    predictions = read_saved(request.path)
    direction = request.direction or infer_direction(task, predictions)
    _remark(console, predictions, task, direction, told=request.direction is not None)
    with progress_bar(console) as on_progress:
        label = f"{route(task, direction)}"

        def advance(done: int, total: int) -> None:
            on_progress(label, done, total)

        if dialect is None:
            shown, record = _sound(request, predictions, task, direction, advance)
        else:
            shown, record = _in_dialect(request, dialect, predictions, task, direction, advance)
    if as_json:
        print(json.dumps(record))
    else:
        Console().print(shown)


def _sound(
    request: Request, predictions: SavedPredictions, task: Task, direction: Direction, advance: Any
) -> tuple[Table, dict[str, Any]]:
    options = Options(
        vocabulary=request.vocabulary,
        wordnet=request.wordnet,
        fcd=bool(request.fcd),
        opsin=request.opsin,
        processes=_processes(request, predictions),
        resamples=request.resamples,
        confidence=request.confidence,
        seed=request.seed,
    )
    measured = score_saved(predictions, task, direction, options, advance)
    return saved_table(measured, f"{request.path.name}: {route(task, direction)}"), measured.to_json()


def _in_dialect(
    request: Request, dialect: Any, predictions: SavedPredictions, task: Task, direction: Direction, advance: Any
) -> tuple[Table, dict[str, Any]]:
    settings = Settings(
        vocabulary=request.vocabulary,
        wordnet=request.wordnet,
        fcd=request.fcd is not False,
        processes=_processes(request, predictions),
        on_progress=advance,
    )
    report = dialect.report(predictions, task, direction, settings)
    title = f"{request.path.name}: {route(task, direction)}, as {request.compat} prints it"
    record = {**report.values, "rows": predictions.counts(), "not_measured": dict(report.not_measured)}
    return dialect_table(report.values, report.not_measured, title), record


def _processes(request: Request, predictions: SavedPredictions) -> int:
    return request.processes or processes_for(len(predictions.rows))


def _remark(console: Console, predictions: SavedPredictions, task: Task, direction: Direction, told: bool) -> None:
    """What was read, and which way it goes."""
    counts = predictions.counts()
    aside = ", ".join(f"{reason} {count:,}" for reason, count in counts["set_aside"].items())
    text = f"{counts['rows_in']:,} rows: {counts['scored']:,} scored ({counts['empty']:,} of them empty)"
    text += f", set aside: {aside}" if aside else ", none set aside"
    if several := counts.get("several_targets"):
        text += f"\n{several:,} rows have several targets: the first counts (all do under --compat smolinstruct)"
    how = "" if told else " (told by the rows; --direction says otherwise)"
    way = f"{direction.value}: {route(task, direction)}{how}"
    console.print(f"{text}\n{way}", markup=False, highlight=False, soft_wrap=True)
