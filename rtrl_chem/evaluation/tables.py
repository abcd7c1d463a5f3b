"""Evaluations as tables for a terminal: shares in per cent, their differences in percentage points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from rtrl_chem.evaluation.measure import DETAILS, Metrics, Unit, Value, route
from rtrl_chem.tasks import Direction, Task

if TYPE_CHECKING:
    from rtrl_chem.evaluation.compare import Comparison, Difference
    from rtrl_chem.evaluation.metrics.score import Estimate
    from rtrl_chem.evaluation.scoring import Measured
    from rtrl_chem.evaluation.suites.guard import Guarded
    from rtrl_chem.evaluation.summary import Change, Changes, Summary

__all__ = [
    "change_cells",
    "change_in_words",
    "comparison_table",
    "dialect_table",
    "guard_table",
    "metrics_table",
    "saved_table",
    "table",
]


_TITLE = 76


def table(summary: Summary) -> Table:
    """Before, after and difference with its interval for every metric, by direction."""
    headings = ("before", "after", f"difference with {summary.confidence:.0%} CI")
    shown = _empty(f"{summary.task}: before and after training", headings)
    for direction, changes in summary.directions.items():
        _start_section(shown, direction, changes.route, changes.n)
        _add_changes(shown, changes)
    for name, changes in summary.guard.items():
        shown.add_section()
        shown.add_row(Text(f"guard: {name}, {changes.n:,} items", style="bold"))
        _add_changes(shown, changes)
    return _with_notes(shown, summary.directions)


def _add_changes(shown: Table, changes: Changes) -> None:
    for name, change in changes.metrics.items():
        if name in DETAILS:
            continue
        # Text, because rich would take the brackets of an interval for markup.
        shown.add_row(Text(change.label), *map(Text, change_cells(change)))


def change_cells(change: Change) -> tuple[str, str, str]:
    """Before, after, and the difference with its interval."""
    return _number(change.before, change.unit), _number(change.after, change.unit), _difference(change)


def change_in_words(change: Change) -> str:
    """names exactly right 30.0% -> 25.0% (-5.0 [-8.0, -2.0])"""
    before, after, difference = change_cells(change)
    return f"{change.label} {before} -> {after} ({difference})"


def metrics_table(metrics: Mapping[Direction, Metrics], task: Task) -> Table:
    """The value of every metric of one evaluation with its interval, by direction; at least one direction."""
    confidence = next(iter(metrics.values())).confidence
    shown = _empty(f"{task.name}: evaluation", ("value", f"{confidence:.0%} CI"))
    for direction, found in metrics.items():
        _start_section(shown, direction, route(task, direction), found.n)
        for name, value in found.values.items():
            if name not in DETAILS:
                shown.add_row(Text(value.label), Text(_number(value.value, value.unit)), Text(_interval(value)))
    return _with_notes(shown, metrics)


def saved_table(measured: Measured, title: str) -> Table:
    """The metrics of saved predictions: value, interval, how many items that is a mean of, and which."""
    headings = ("value", f"{measured.confidence:.0%} CI", "n")
    shown = _empty(title, headings)
    shown.add_column("denominator")
    for found in measured.metrics.values():
        cells = (_number(found.value, found.unit), _bounds(found), f"{found.n:,}", found.denominator)
        shown.add_row(Text(found.label), *map(Text, cells))
    notes = [
        f"no interval: {name} ({found.no_interval})" for name, found in measured.metrics.items() if found.no_interval
    ]
    return _captioned(shown, measured.not_measured, notes)


def guard_table(title: str, guarded: Guarded) -> Table:
    """The headline of texts or questions."""
    shown = _empty(title, ("value", f"{guarded.confidence:.0%} CI"))
    for name in guarded.headline:
        found = guarded.metrics[name]
        shown.add_row(Text(found.label), Text(_number(found.value, found.unit)), Text(_bounds(found)))
    return shown


def comparison_table(comparison: Comparison, a: str, b: str, confidence: float) -> Table:
    """Two models on the same items: the headline of the suite, or everything where there is none."""
    headings = ("A", "B", f"B - A with {confidence:.0%} CI", "wins/losses/ties")
    shown = _empty(f"{comparison.name}: {comparison.n:,} items; A is {a}, B is {b}", headings)
    for name in comparison.headline or comparison.metrics:
        found = comparison.metrics[name]
        values = (_number(found.a, found.unit), _number(found.b, found.unit))
        counts = f"{found.wins:,}/{found.losses:,}/{found.ties:,}"
        shown.add_row(Text(found.label), *map(Text, (*values, _difference(found), counts)))
    return _captioned(shown, {} if comparison.headline else comparison.not_measured)


def dialect_table(values: Mapping[str, Any], not_measured: Mapping[str, str], title: str) -> Table:
    """The numbers of a reference script by its names; those by rank on one line each."""
    shown = _empty(title, ("value",))
    for name, value in values.items():
        ranked = {f"{name}, {k}": one for k, one in value.items()} if isinstance(value, dict) else {name: value}
        for label, one in ranked.items():
            shown.add_row(
                Text(label), Text(f"{one:.6f}" if isinstance(one, float) else "-" if one is None else str(one))
            )
    return _captioned(shown, not_measured)


def _bounds(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return "-"
    return f"[{_number(found.low, found.unit)}, {_number(found.high, found.unit)}]"


def _captioned(shown: Table, not_measured: Mapping[str, str], more: Iterable[str] = ()) -> Table:
    names: dict[str, list[str]] = {}
    for name, reason in not_measured.items():
        names.setdefault(reason, []).append(name)
    notes = [*more, *(f"not measured: {', '.join(group)} ({reason})" for reason, group in names.items())]
    shown.caption = Text("\n".join(notes)) if notes else None
    return shown


def _empty(title: str, headings: tuple[str, ...]) -> Table:
    # Title and caption are wrapped to the width of the table, which may be narrow.
    width = min(len(title), _TITLE)
    shown = Table(title=title, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, min_width=width)
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
    if unit == "share":
        return f"{100 * value:.1f}%"
    return f"{value:.3f}" if unit in ("similarity", "nats") else f"{value:.2f}"


def _interval(value: Value) -> str:
    return f"[{_number(value.low, value.unit)}, {_number(value.high, value.unit)}]"


def _difference(change: Change | Difference) -> str:
    difference, low, high = (_signed(x, change.unit) for x in (change.difference, change.low, change.high))
    return f"{difference} [{low}, {high}]"


def _signed(value: float, unit: Unit) -> str:
    # Adding 0.0 after rounding: a hair below zero must not show as -0.0.
    return f"{round(100 * value, 1) + 0.0:+.1f}" if unit == "share" else f"{round(value, 3) + 0.0:+.3f}"
