"""The likelihood term: how well x comes back from y under the frozen reverse model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from rtrl_chem.models.reverse import Score
from rtrl_chem.rewards.options import LikelihoodReward
from rtrl_chem.rewards.terms import Batch

__all__ = ["FLOORS", "Likelihood", "likelihood_reward"]

# What an output that is not scored at all (gated, see rewards.verdict) earns; nothing scored earns less. A probability
# has a natural floor. A logarithm has none: 10 nats a token is worse than picking from 22,000 tokens at random.
FLOORS = {
    ("probability", "token"): 0.0,
    ("probability", "sequence"): 0.0,
    ("log", "token"): -10.0,
    ("log", "sequence"): -100.0,
}


def likelihood_reward(score: Score, form: str, normalize: str) -> float:
    """Reward of one reverse score.

    `form="probability", normalize="sequence"` is p(x | y) itself: the expectation of "a sampled reconstruction equals
    x", and near zero for every wrong answer. `form="log"` is log p(x | y) in nats, as in arXiv 2510.01527.
    `normalize="token"` takes the mean over tokens (for a probability: the geometric mean).
    """
    nats = score.nats_per_token if normalize == "token" else score.nats
    return max(math.exp(nats) if form == "probability" else nats, FLOORS[form, normalize])


@dataclass(frozen=True)
class Likelihood:
    """log p(x | y) or p(x | y) of the frozen reverse model."""

    options: LikelihoodReward
    needs_target: ClassVar[bool] = False

    @property
    def floor(self) -> float:
        """The least value of the form."""
        return FLOORS[self.options.form, self.options.normalize]

    def __call__(self, batch: Batch) -> list[float]:
        """The reward of each score."""
        return [likelihood_reward(score, self.options.form, self.options.normalize) for score in batch.scores]
