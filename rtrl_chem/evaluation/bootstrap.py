"""Percentile bootstrap intervals (Efron 1979) of means over items and of paired differences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Interval", "bootstrap_mean", "paired_bootstrap", "resampled_sums"]

# Scores of 0 and 1, and their differences, take two or three values: then a resample is one multinomial draw.
_FEW_VALUES = 64
_CHUNK = 1_000_000  # drawn indices held at a time: 16 MB with the values they pick


@dataclass(frozen=True)
class Interval:
    """A mean over items and the two ends of its interval.

    Where all items score the same the interval has no width: 0 of 1,000 gives [0, 0], though 3 in 1,000 is still
    plausible (the rule of three).
    """

    mean: float
    low: float
    high: float


def bootstrap_mean(values: ArrayLike, n_resamples: int = 10_000, seed: int = 0, confidence: float = 0.95) -> Interval:
    """Mean of `values` (n,) with the percentile interval of `n_resamples` resamples of the n items.

    ValueError unless there is at least one value, all are finite, n_resamples >= 1 and 0 < confidence < 1.
    """
    items = np.asarray(values, dtype=np.float64)
    if items.ndim != 1 or items.size == 0 or not np.isfinite(items).all():
        raise ValueError(f"values must be one or more finite numbers, got an array of shape {items.shape}")
    if n_resamples < 1 or not 0 < confidence < 1:
        raise ValueError(f"n_resamples must be >= 1 and confidence in (0, 1), got {n_resamples} and {confidence}")
    means = _resampled_means(items, n_resamples, np.random.default_rng(seed))
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(items.mean()), float(low), float(high))


def paired_bootstrap(
    before: ArrayLike, after: ArrayLike, n_resamples: int = 10_000, seed: int = 0, confidence: float = 0.95
) -> Interval:
    """Mean of `after - before`, both (n,) over the same items in the same order: an item's two scores are resampled
    together, so what makes an item easy or hard cancels. ValueError as in `bootstrap_mean`, or if the shapes differ."""
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"before and after must score the same items, got shapes {first.shape} and {second.shape}")
    return bootstrap_mean(second - first, n_resamples, seed, confidence)


def resampled_sums(statistics: NDArray[np.float64], n_resamples: int = 1_000, seed: int = 0) -> NDArray[np.float64]:
    """Sums (n_resamples, k) over n items drawn with replacement from the rows of `statistics` (n, k), n >= 1.

    All k columns see the same draws: what is computed from several of them (a ratio, BLEU) is one bootstrap statistic,
    and the cost of drawing is paid once.
    """
    n = len(statistics)
    if n == 0 or n_resamples < 1:
        raise ValueError(f"need at least one item and one resample, got {n} and {n_resamples}")
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK // n)
    found = []
    for start in range(0, n_resamples, rows):
        size = min(rows, n_resamples - start)
        drawn = rng.integers(0, n, (size, n), dtype=np.int64) + n * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
        found.append(times @ statistics)
    return np.concatenate(found)


def _resampled_means(items: NDArray[np.float64], n_resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Means (n_resamples,) of n items drawn with replacement."""
    distinct, counts = np.unique(items, return_counts=True)
    if len(distinct) <= _FEW_VALUES:
        drawn = rng.multinomial(items.size, counts / items.size, size=n_resamples)
        means: NDArray[np.float64] = drawn @ distinct / items.size
        return means
    return np.concatenate(list(_gathered_means(items, n_resamples, rng)))


def _gathered_means(
    items: NDArray[np.float64], n_resamples: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    rows = max(1, _CHUNK // items.size)
    for start in range(0, n_resamples, rows):
        size = (min(rows, n_resamples - start), items.size)
        yield items[rng.integers(0, items.size, size)].mean(axis=1)
