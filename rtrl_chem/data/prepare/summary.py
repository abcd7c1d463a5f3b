"""A manifest as a short table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

__all__ = ["remarks", "summary_table"]

SHOWN = 5


def summary_table(manifest: Mapping[str, Any], out: Path, seconds: float, resumed: int) -> Table:
    """Rows in and kept, the reasons of the others, time."""
    table = Table(title=Text(str(out)), title_justify="left", box=box.SIMPLE, show_header=False)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    _section(table, {"rows in": manifest["rows_in"], "kept": manifest["kept"]})
    if len(manifest["splits"]) > 1:
        _section(table, {f"  {name}": split["rows"] for name, split in manifest["splits"].items()})
    _section(table, {f"dropped: {reason}": count for reason, count in manifest["dropped"].items()})
    _section(table, {f"repaired: {what}": count for what, count in manifest["repaired"].items()})
    rows = manifest["rows_in"] - resumed
    table.add_row("seconds", f"{seconds:,.1f}")
    table.add_row(
        "rows per second" + (f" (without {resumed:,} done before)" if resumed else ""), f"{rows / seconds:,.0f}"
    )
    return table


def _section(table: Table, counts: Mapping[str, int]) -> None:
    for label, count in counts.items():
        table.add_row(Text(label), f"{count:,}")
    if counts:
        table.add_section()


def remarks(manifest: Mapping[str, Any]) -> list[str]:
    """What else one should know: benchmarks removed or not, files not read, or not to their end."""
    found = manifest["decontamination"]
    lines = [f"benchmarks removed: {_names(found.get('checked', [])) or 'none'}"]
    if missing := _names(found.get("not_checked", [])):
        lines.append(f"not checked, no copy at hand (--benchmarks DIR, see eval/README.md): {missing}")
    skipped = [f"not read: {entry['file']}: {entry['reason']}" for entry in manifest["skipped"]]
    lines += skipped[:SHOWN]
    if len(skipped) > SHOWN:
        lines.append(f"not read: {len(skipped) - SHOWN:,} more, see manifest.json")
    damaged = [source["problem"] for source in manifest["sources"] if "problem" in source]
    return lines + damaged[1 : SHOWN + 1]  # the first is the error that the command ends with


def _names(entries: list[dict[str, Any]]) -> str:
    """Suites, with those of their data sets that are meant."""
    suites: dict[str, list[str]] = {}
    for entry in entries:
        suite, _, data = entry["benchmark"].partition("/")
        suites.setdefault(suite, []).append(data)
    return ", ".join(f"{suite} ({' '.join(data)})" for suite, data in suites.items())
