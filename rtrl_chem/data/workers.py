"""A stream of items through several processes, in order and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from rtrl_chem.data.prepare.engine import PoolEngine

__all__ = ["in_chunks", "stream_chunks"]

T = TypeVar("T")
R = TypeVar("R")


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
    CorpusError where a process dies.
    """
    advice = "run the command again, with fewer --processes if memory was short"
    with PoolEngine(processes, advice) as engine:
        for results in engine.map(_call, function, in_chunks(items, size)):
            yield from results


def _call(function: Callable[[list[T]], list[R]], chunk: list[T]) -> list[R]:
    return function(chunk)
