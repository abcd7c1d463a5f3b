"""Rows in chunks, over several processes where there are many: chemistry is pure CPU work, item by item."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

__all__ = ["CHUNK", "map_chunks", "processes_for"]

T = TypeVar("T")
R = TypeVar("R")

# Few enough that RDKit's molecules of a chunk stay in memory for every metric, which then parses nothing again.
CHUNK = 500
# Starting a process and its imports take a second; below this many rows one process is as fast.
_ROWS_WORTH_A_POOL = 4_000


def processes_for(rows: int) -> int:
    """How many processes are worth starting: one for few rows, else one per core this process may use."""
    if rows < _ROWS_WORTH_A_POOL:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_chunks(
    function: Callable[[Sequence[T]], R],
    rows: Sequence[T],
    processes: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[R]:
    """`function` of each chunk of `rows`, in order. `on_progress` gets rows done and rows in all.

    With more than one process `function` and the rows must be picklable; processes are spawned, so a script that calls
    this needs the usual `if __name__ == "__main__"`.
    """
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    found, done = [], 0
    for chunk, result in zip(chunks, _results(function, chunks, processes), strict=True):
        found.append(result)
        done += len(chunk)
        if on_progress:
            on_progress(done, len(rows))
    return found


def _results(function: Callable[[Sequence[T]], R], chunks: list[Sequence[T]], processes: int) -> Iterator[R]:
    if processes <= 1 or len(chunks) <= 1:
        yield from map(function, chunks)
        return
    # Not forked: the progress display has a thread, and libraries may have theirs.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(function, chunks)
