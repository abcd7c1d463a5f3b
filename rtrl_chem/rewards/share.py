"""Samples of one source may have been written by several processes: one judges them, and all get what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from accelerate.utils import gather_object

from rtrl_chem.models.codec import Answer
from rtrl_chem.models.processes import processes

__all__ = ["judge_by_source"]

T = TypeVar("T")
Judge = Callable[[list[str], list[Answer], list[str | None]], list[T]]


def judge_by_source(
    judge: Judge[T], sources: Sequence[str], answers: Sequence[Answer], targets: Sequence[str | None]
) -> tuple[list[T], list[T]]:
    """(what `judge` says of this process's rows, what it says of everyone's in the order of processes).

    Every process must call this, with rows of its own or none. The rows of one source are judged together, so that
    nothing depends on where they were written, and equal ones are scored once.
    """
    world, rows = processes(), list(zip(sources, answers, targets, strict=True))
    parts = [rows] if world.num_processes == 1 else gather_object([rows])
    everyone = [row for part in parts for row in part]
    number = {source: i for i, source in enumerate(dict.fromkeys(source for source, _, _ in everyone))}
    own = [i for i, row in enumerate(everyone) if number[row[0]] % world.num_processes == world.process_index]
    said = judge([everyone[i][0] for i in own], [everyone[i][1] for i in own], [everyone[i][2] for i in own])
    if world.num_processes == 1:
        return said, said
    found = dict(pair for part in gather_object([list(zip(own, said, strict=True))]) for pair in part)
    in_order = [found[i] for i in range(len(everyone))]
    first = sum(len(part) for part in parts[: world.process_index])
    return in_order[first : first + len(rows)], in_order
