"""Whether an output may earn a reward at all, and if not, why: cheap gates in front of the reverse model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from rtrl_chem import chem
from rtrl_chem.tasks import Direction, Task

if TYPE_CHECKING:
    from rtrl_chem.models.codec import Answer

__all__ = ["Judgement", "Verdict", "judge", "judge_batch"]


class Verdict(str, Enum):
    """What became of an output; everything but `OK` is a gate that it did not pass."""

    OK = "OK"
    EMPTY = "EMPTY"  # no answer could be read
    TRUNCATED = "TRUNCATED"  # cut off by the token limit
    INVALID = "INVALID"  # must be a structure and is none
    COPIED_SOURCE = "COPIED_SOURCE"  # y is x
    LEAKED_SOURCE = "LEAKED_SOURCE"  # y holds x, or most of it

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Judgement:
    """A verdict and what it rests on: for a leak the way it was hidden and what gives x away, else nothing."""

    verdict: Verdict
    evidence: str = ""


def judge(task: Task, direction: Direction, source: str, answer: Answer) -> Judgement:
    """The first gate, in the order of `Verdict`, that an answer to `source` fails; `OK` if it passes them all."""
    output = answer.text
    x, y = task.source(direction), task.output(direction)
    if not output:
        return Judgement(Verdict.EMPTY)
    if answer.truncated:
        return Judgement(Verdict.TRUNCATED)
    if y.is_structure and chem.parse(output) is None:
        return Judgement(Verdict.INVALID)
    if chem.is_copy(source, output):
        return Judgement(Verdict.COPIED_SOURCE, output)
    leak = chem.find_leak(source, output, x.is_structure, y.is_structure)
    return Judgement(Verdict.OK) if leak is None else Judgement(Verdict.LEAKED_SOURCE, f"{leak.way}: {leak}")


def judge_batch(task: Task, direction: Direction, sources: Sequence[str], answers: Sequence[Answer]) -> list[Judgement]:
    """`judge` pair by pair, each distinct pair once; ValueError when the two differ in length."""
    pairs = list(zip(sources, answers, strict=True))
    known = {
        key: judge(task, direction, source, answer)
        for key, (source, answer) in {(s, a.text, a.truncated): (s, a) for s, a in pairs}.items()
    }
    return [known[source, answer.text, answer.truncated] for source, answer in pairs]
