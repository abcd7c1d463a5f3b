"""The likelihood term: how well x comes back from y under the frozen reverse model."""

from __future__ import annotations

import math

from rtrl_chem.models.reverse import Score

__all__ = ["FLOORS", "likelihood_reward"]

# What an output that is not scored at all (gated, see rewards.verdict) earns; nothing scored earns less. A probability
# has a natural floor. A logarithm has none: 10 nats a token is worse than picking from 22,000 tokens at random.
FLOORS = {
    ("probability", "token"): 0.0,
    ("probability", "sequence"): 0.0,
    ("log", "token"): -10.0,
    ("log", "sequence"): -100.0,
}


def likelihood_reward(score: Score | None, form: str, normalize: str) -> float:
    """Reward of one reverse score; None (not scored) earns the floor.

    `form="probability", normalize="sequence"` is p(x | y) itself: the expectation of "a sampled reconstruction equals
    x", and near zero for every wrong answer. `form="log"` is log p(x | y) in nats, as in arXiv 2510.01527.
    `normalize="token"` takes the mean over tokens (for a probability: the geometric mean).
    """
    floor = FLOORS[form, normalize]
    if score is None:
        return floor
    nats = score.nats_per_token if normalize == "token" else score.nats
    return max(math.exp(nats) if form == "probability" else nats, floor)
