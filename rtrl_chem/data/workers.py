"""A stream of items through several processes, in order and in bounded memory."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from typing import TypeVar

__all__ = ["in_chunks", "stream_chunks"]

T = TypeVar("T")
R = TypeVar("R")

# Chunks handed out ahead of the one that is waited for, per process: enough that none is idle.
_AHEAD = 3


def in_chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items in order, the last one perhaps shorter.

    >>> list(in_chunks("abc", 2))
    [['a', 'b'], ['c']]
    """
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def stream_chunks(
    function: Callable[[list[T]], list[R]], items: Iterable[T], processes: int = 1, size: int = 250
) -> Iterator[R]:
    """The results of `function`, which takes a list of at most `size` items, one by one in the order of the items.

    Items are read as they are needed, so a stream may be endless. With more than one process `function` and the items
    must be picklable; processes are spawned, so a script that calls this needs the usual `if __name__ == "__main__"`.
    """
    chunks = in_chunks(items, size)
    first = list(islice(chunks, 2))
    if processes <= 1 or len(first) < 2:  # a process costs a second to start
        for chunk in chain(first, chunks):
            yield from function(chunk)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: deque[Future[list[R]]] = deque(pool.submit(function, chunk) for chunk in first)
        try:
            for chunk in chunks:
                waiting.append(pool.submit(function, chunk))
                if len(waiting) > _AHEAD * processes:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:  # whoever stops early does not wait for what is queued
            for future in waiting:
                future.cancel()
