"""Evaluations as tables for a terminal: shares in per cent, their differences in percentage points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from rtrl_chem.evaluation.measure import Metrics, Unit, Value, route
from rtrl_chem.tasks import Direction, Task

if TYPE_CHECKING:
    from rtrl_chem.evaluation.summary import Change, Changes, Summary

__all__ = ["metrics_table", "table"]


def table(summary: Summary) -> Table:
    """Before, after and difference with its interval for every metric, by direction."""
    headings = ("before", "after", f"difference with {summary.confidence:.0%} CI")
    shown = _empty(f"{summary.task}: before and after training", headings)
    for direction, changes in summary.directions.items():
        _start_section(shown, direction, changes.route, changes.n)
        for change in changes.metrics.values():
            cells = (_number(change.before, change.unit), _number(change.after, change.unit), _difference(change))
            # Text, because rich would take the brackets of an interval for markup.
            shown.add_row(Text(change.label), *map(Text, cells))
    return _with_notes(shown, summary.directions)


def metrics_table(metrics: Mapping[Direction, Metrics], task: Task) -> Table:
    """The value of every metric of one evaluation with its interval, by direction; at least one direction."""
    confidence = next(iter(metrics.values())).confidence
    shown = _empty(f"{task.name}: evaluation", ("value", f"{confidence:.0%} CI"))
    for direction, found in metrics.items():
        _start_section(shown, direction, route(task, direction), found.n)
        for value in found.values.values():
            shown.add_row(Text(value.label), Text(_number(value.value, value.unit)), Text(_interval(value)))
    return _with_notes(shown, metrics)


def _empty(title: str, headings: tuple[str, ...]) -> Table:
    shown = Table(title=title, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD)
    shown.add_column("")  # the only one that may wrap: numbers must survive 80 columns
    for heading in headings:
        shown.add_column(heading, justify="right", no_wrap=True)
    return shown


def _start_section(shown: Table, direction: Direction, way: str, n: int) -> None:
    shown.add_section()
    shown.add_row(Text(f"{direction.value}: {way}, {n:,} held-out items", style="bold"))


def _with_notes(shown: Table, directions: Mapping[Direction, Changes] | Mapping[Direction, Metrics]) -> Table:
    """What could have been measured and was not, below the table."""
    notes = [
        f"not measured, {direction.value}: {name} ({reason})"
        for direction, found in directions.items()
        for name, reason in found.not_measured.items()
    ]
    shown.caption = Text("\n".join(notes)) if notes else None
    return shown


def _number(value: float, unit: Unit) -> str:
    return f"{100 * value:.1f}%" if unit == "share" else f"{value:.3f}"


def _interval(value: Value) -> str:
    return f"[{_number(value.low, value.unit)}, {_number(value.high, value.unit)}]"


def _difference(change: Change) -> str:
    difference, low, high = (_signed(x, change.unit) for x in (change.difference, change.low, change.high))
    return f"{difference} [{low}, {high}]"


def _signed(value: float, unit: Unit) -> str:
    # Adding 0.0 after rounding: a hair below zero must not show as -0.0.
    return f"{round(100 * value, 1) + 0.0:+.1f}" if unit == "share" else f"{round(value, 3) + 0.0:+.3f}"
