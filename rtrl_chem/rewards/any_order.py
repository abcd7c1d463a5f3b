"""The any-order term: the likelihood of the molecule x, whichever way the reverse model would have spelt it.

log p(molecule | y) is the log of a sum over all its SMILES. Summed are k of them, so the value is a lower bound that
grows with k. Spellings differ in length, so there is no mean over tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rtrl_chem.chem.spellings import spellings
from rtrl_chem.rewards.likelihood import FLOORS
from rtrl_chem.rewards.options import AnyOrderReward
from rtrl_chem.rewards.terms import Batch

__all__ = ["AnyOrder", "log_sum"]


def log_sum(nats: Sequence[float]) -> float:
    """log of the sum of exp, without underflow."""
    most = max(nats)
    return most + math.log(sum(math.exp(one - most) for one in nats))


@dataclass(frozen=True)
class AnyOrder:
    """log of the sum of p(s | y) over spellings s of x, or the sum itself."""

    options: AnyOrderReward
    needs_target: ClassVar[bool] = False

    @property
    def floor(self) -> float:
        """The least value of the form."""
        return FLOORS[self.options.form, "sequence"]

    def __call__(self, batch: Batch) -> list[float]:
        """The reward of each sample; all spellings of all sources are scored together."""
        structures = batch.source_domain.is_structure
        groups = [spellings(x, self.options.k) if structures else (x,) for x in batch.sources]
        outputs = [y for y, group in zip(batch.outputs, groups, strict=True) for _ in group]
        scores = iter(batch.reverse.log_likelihood([x for group in groups for x in group], outputs))
        totals = [log_sum([next(scores).nats for _ in group]) for group in groups]
        if self.options.form == "log":
            return [max(nats, self.floor) for nats in totals]
        return [math.exp(nats) for nats in totals]
