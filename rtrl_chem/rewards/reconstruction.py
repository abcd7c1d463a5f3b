"""The reconstruction term: x_hat is written from y by the frozen reverse model, and RDKit says how like x it is.

Its share of exact reconstructions is an unbiased, noisy estimate of p(molecule | y); similarity also pays for coming
near.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rtrl_chem.rewards.compare import structures_alike, texts_equal
from rtrl_chem.rewards.options import ReconstructionReward
from rtrl_chem.rewards.terms import Batch

__all__ = ["Reconstruction"]


@dataclass(frozen=True)
class Reconstruction:
    """Mean likeness of x and the reconstructions sampled from y. Texts are the same or not."""

    options: ReconstructionReward
    floor: ClassVar[float] = 0.0
    needs_target: ClassVar[bool] = False

    def __call__(self, batch: Batch) -> list[float]:
        """The mean over the samples of each output."""
        n, options = self.options.n, self.options
        groups = batch.reconstruct(n, options.temperature)
        written = [x_hat for group in groups for x_hat in group]
        wanted = [x for x in batch.sources for _ in range(n)]
        if batch.source_domain.is_structure:
            alike = structures_alike(batch.task, written, wanted, options.equality, options.similarity)
        else:
            alike = texts_equal(written, wanted)
        return [sum(alike[i : i + n]) / n for i in range(0, len(alike), n)]
