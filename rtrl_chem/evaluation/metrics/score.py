"""What a metric hands over: statistics per item, how they become one number, and over which items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtrl_chem.errors import RtrlError
from rtrl_chem.evaluation.bootstrap import resampled_sums

__all__ = ["ALL_ROWS", "Estimate", "Score", "Unavailable", "Unit", "estimate", "mean_score"]

Array = NDArray[np.float64]
Unit = Literal["share", "similarity", "nats", "number"]

ALL_ROWS = "all rows"


class Unavailable(RtrlError):
    """A metric that cannot be measured here: a package, a word list or the data for it is missing."""


@dataclass(frozen=True)
class Score:
    """A metric over n items: `combine` of the sums of `statistics` (n, k) over the items.

    A mean is sum of scores / number of items counted; corpus BLEU, which is no mean, is a function of sums of n-gram
    counts. Either way resampling items is resampling rows of `statistics`.

    `combine` takes (..., k) and gives (...), NaN where nothing was counted. `items` (n,) is each item's own score,
    `n` the number of items in the denominator, `denominator` says in words which these are.
    """

    name: str
    label: str
    statistics: Array
    combine: Callable[[Array], Array]
    items: Array
    n: int
    denominator: str = ALL_ROWS
    unit: Unit = "share"


@dataclass(frozen=True)
class Estimate:
    """A score as a number: `value` with its percentile bootstrap interval, over `n` items, those of `denominator`.

    `low` and `high` are None where an interval would mislead; `no_interval` says why.
    """

    name: str
    label: str
    unit: Unit
    value: float
    low: float | None
    high: float | None
    n: int
    denominator: str
    no_interval: str = ""


def mean_score(
    name: str,
    label: str,
    items: ArrayLike,
    *,
    counted: ArrayLike | None = None,
    denominator: str = ALL_ROWS,
    unit: Unit = "share",
) -> Score:
    """The mean of `items` (n,) over all rows, or over those with `counted` (n,) true, as `denominator` says."""
    values = np.asarray(items, dtype=np.float64)
    weight = np.ones_like(values) if counted is None else np.asarray(counted, dtype=np.float64)
    statistics = np.column_stack([values * weight, weight])
    return Score(name, label, statistics, _ratio, values, int(weight.sum()), denominator, unit)


def estimate(
    scores: Sequence[Score], resamples: int = 1_000, seed: int = 0, confidence: float = 0.95
) -> dict[str, Estimate]:
    """Value and interval of each score, all over the same n >= 1 items, which are resampled once for all of them.

    A score whose denominator is empty has the value NaN and no interval.
    """
    if not scores:
        return {}
    edges = np.cumsum([0, *(score.statistics.shape[1] for score in scores)])
    sums = resampled_sums(np.concatenate([score.statistics for score in scores], axis=1), resamples, seed)
    found = {}
    for score, start, end in zip(scores, edges[:-1], edges[1:], strict=True):
        value = float(score.combine(score.statistics.sum(axis=0)))
        low, high = _interval(score.combine(sums[:, start:end]), confidence)
        found[score.name] = Estimate(score.name, score.label, score.unit, value, low, high, score.n, score.denominator)
    return found


def _interval(values: Array, confidence: float) -> tuple[float | None, float | None]:
    # A resample may hold no item of a small denominator; it says nothing about the mean over that denominator.
    values = values[np.isfinite(values)]
    if not values.size:
        return None, None
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _ratio(sums: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])
