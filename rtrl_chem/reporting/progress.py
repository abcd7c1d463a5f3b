"""What a user sees of a long piece of work: one line on stderr in a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rtrl_chem.terminal import Console

__all__ = ["progress_line"]


@contextmanager
def progress_line(console: Console) -> Iterator[Callable[[str, int, int | None], None]]:
    """Gives a function of (what is going on, how much is done, how much there is or None); the line goes at the end."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        row = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(row, description=what, completed=done, total=total)
