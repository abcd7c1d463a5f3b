"""What a user sees meanwhile: a bar with rate and time left in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rtrl_chem.terminal import Console

__all__ = ["Display", "Stage"]

LINE_EVERY = 30.0


class Stage:
    """One stage of the work: rows done, and what share of the whole that is (None: unknown)."""

    def __init__(self, display: Display, title: str) -> None:
        self._display = display
        self._title = title
        self._begun = time.perf_counter()
        self._said = self._begun
        self._counted_from: int | None = None
        self._task = None if display.bar is None else display.bar.add_task(title, total=None, status="")

    def update(self, rows: int, share: float | None, resumed: int = 0) -> None:
        """`rows` are done, `resumed` of them before this run: they do not count for the rate."""
        now = time.perf_counter()
        rate = (rows - resumed) / max(now - self._begun, 1e-9)
        status = f"{rows:,} rows, {rate:,.0f}/s"
        bar = self._display.bar
        if bar is not None and self._task is not None:
            bar.update(self._task, completed=share or 0, total=None if share is None else 1, status=status)
        elif now - self._said >= LINE_EVERY:
            self._said = now
            left = "" if not share else f", {(now - self._begun) * (1 - share) / share:,.0f} s left"
            self._display.say(f"{self._title}: {status}{left}")


class Display:
    """Prints to stderr; silent under --quiet."""

    def __init__(self, quiet: bool) -> None:
        self.console = Console(stderr=True, quiet=quiet)
        self.bar: Progress | None = None

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def stage(self, title: str) -> Iterator[Stage]:
        """Show what goes on inside; gone when it ends."""
        if not self.console.is_terminal:
            yield Stage(self, title)
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("ETA", markup=False),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as self.bar:
            yield Stage(self, title)
        self.bar = None
