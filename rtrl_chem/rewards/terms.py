"""What a reward term is, and what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from rtrl_chem.models.reverse import ReverseModel, Score
from rtrl_chem.tasks.base import Direction, Domain, Task

__all__ = ["Batch", "Term"]


@dataclass(frozen=True)
class Batch:
    """Samples that passed every gate: `outputs[i]` was written for `sources[i]`, whose label is `targets[i]` (None
    where there is none). The same pair may come several times.

    What several terms need is worked out once, when it is first asked for.
    """

    task: Task
    direction: Direction
    sources: tuple[str, ...]
    outputs: tuple[str, ...]
    targets: tuple[str | None, ...]
    reverse: ReverseModel = field(repr=False)
    read_back: dict[str, list[str]] = field(default_factory=dict, repr=False, compare=False)
    """The reconstructions that a term has asked for, by output."""

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def source_domain(self) -> Domain:
        """What x is."""
        return self.task.source(self.direction)

    @property
    def output_domain(self) -> Domain:
        """What y is."""
        return self.task.output(self.direction)

    @cached_property
    def scores(self) -> list[Score]:
        """log p(x | y) of each sample under the frozen reverse model."""
        return self.reverse.log_likelihood(list(self.sources), list(self.outputs))

    def reconstruct(self, n: int, temperature: float) -> list[list[str]]:
        """`n` reconstructions x_hat that the frozen reverse model samples from each output."""
        groups = self.reverse.reconstruct(list(self.outputs), n, temperature)
        self.read_back.update(zip(self.outputs, groups, strict=True))
        return groups

    @property
    def was_scored(self) -> bool:
        """Whether a term has asked for `scores`."""
        return "scores" in self.__dict__

    def take(self, rows: Sequence[int]) -> Batch:
        """The samples with these numbers, in this order."""
        if list(rows) == list(range(len(self))):
            return self
        sources, outputs = tuple(self.sources[i] for i in rows), tuple(self.outputs[i] for i in rows)
        targets = tuple(self.targets[i] for i in rows)
        return replace(self, sources=sources, outputs=outputs, targets=targets)


class Term(Protocol):
    """One part of a reward: a value for each sample of a batch, a function of (x, y, label) and nothing else.

    None leaves a sample out of the term. Rewards are compared between the samples of one source, so what is left out
    must be all of them: None is for what x lacks, never for a bad y.
    """

    @property
    def floor(self) -> float:
        """What a sample earns that failed a gate; no value may be less."""

    @property
    def needs_target(self) -> bool:
        """Whether only samples with a label are given to the term; the others are left out of it."""

    def __call__(self, batch: Batch) -> Sequence[float | None]:
        """The value of each sample, finite and at least `floor`."""
