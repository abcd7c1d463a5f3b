"""Outputs that say nothing: empty, cut off, going in circles, or the same whatever the source.

A reward can rise while a policy decays into these; they are counted beside it, step by step and phase by phase.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rtrl_chem.rewards.verdict import Verdict

__all__ = ["REPEATED", "WINDOW", "Degenerate", "Sample", "measure_degenerate", "repetition"]

WINDOW = 8
# An output more of which repeats earlier parts of it goes in circles.
REPEATED = 0.5


class Sample(Protocol):
    """Whatever has a source, an output and a verdict: a judged sample, a held-out prediction."""

    @property
    def source(self) -> str: ...

    @property
    def output(self) -> str: ...

    @property
    def verdict(self) -> Verdict: ...


@dataclass(frozen=True)
class Degenerate:
    """Shares from 0 to 1.

    - `empty`, `truncated`: samples with that verdict.
    - `repeated`: samples whose `repetition` is above REPEATED.
    - `same_output`: the most sources that got one and the same output, among all sources. Of a handful of sources it
      is large by nature: a batch of 8 has at least 1/8.
    - `distinct_outputs`: distinct outputs per distinct (source, output), 1 where no two sources share one. Samples that
      repeat for the same source do not count: that is what a confident policy does.
    """

    empty: float
    truncated: float
    repeated: float
    same_output: float
    distinct_outputs: float


def repetition(text: str, structure: bool = False) -> float:
    """The share of a text's windows of WINDOW characters that occur earlier in it: seq-rep-n of Welleck et al. (2020),
    over characters. Of a structure, windows of one letter are left out: a long chain goes in no circles.

    >>> repetition("ethylethylethylethylethyl")
    0.7222222222222222
    >>> repetition("CCCCCCCCCCCCCCCC(=O)O", structure=True)
    0.0
    """
    windows = [text[i : i + WINDOW] for i in range(len(text) - WINDOW + 1)]
    if structure:
        windows = [window for window in windows if len(set(window)) > 1]
    return 1 - len(set(windows)) / len(windows) if windows else 0.0


def measure_degenerate(samples: Sequence[Sample], structures: bool) -> Degenerate:
    """How degenerate outputs are, none of which is ValueError; `structures` says that they are SMILES."""
    if not samples:
        raise ValueError("no samples, no shares")
    n = len(samples)
    circling = {y for y in {one.output for one in samples} if repetition(y, structures) > REPEATED}
    pairs = {(one.source, one.output) for one in samples if one.output}
    sources_of = Counter(output for _, output in pairs)
    return Degenerate(
        empty=sum(one.verdict is Verdict.EMPTY for one in samples) / n,
        truncated=sum(one.verdict is Verdict.TRUNCATED for one in samples) / n,
        repeated=sum(one.output in circling for one in samples) / n,
        same_output=max(sources_of.values(), default=0) / len({one.source for one in samples}),
        distinct_outputs=len(sources_of) / len(pairs) if pairs else 0.0,
    )
