"""The information term: what y tells about x beyond what the reverse model would have guessed anyway.

log p(x | y) - log p(x | no y) is the pointwise mutual information of x and y under the reverse model (Church and Hanks
1990). "No y" is the reverse prompt with an empty text where y would be.

Between the outputs of one source, log p(x | no y) is a constant: a baseline within the group cancels it. What remains
of the term there is its floor (no reward for telling less than nothing) and, under `share`, a scale of its own for each
source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rtrl_chem.models.reverse import Score
from rtrl_chem.rewards.options import InformationReward
from rtrl_chem.rewards.terms import Batch

__all__ = ["Information", "information_reward"]


def information_reward(given: Score, prior: Score, normalize: str) -> float:
    """Nats that y tells about x, at least 0: in all, per token, or as a share, at most 1, of -log p(x | no y)."""
    told = max(0.0, given.nats - prior.nats)
    if normalize == "share":
        return told / -prior.nats if prior.nats < 0 else 0.0
    return told / given.tokens if normalize == "token" else told


@dataclass(frozen=True)
class Information:
    """Pointwise mutual information of x and y under the frozen reverse model."""

    options: InformationReward
    floor: ClassVar[float] = 0.0
    needs_target: ClassVar[bool] = False

    def __call__(self, batch: Batch) -> list[float]:
        """What each output tells about its source."""
        priors = batch.reverse.prior(list(batch.sources))
        pairs = zip(batch.scores, priors, strict=True)
        return [information_reward(given, prior, self.options.normalize) for given, prior in pairs]
