"""Corpus BLEU (Papineni et al. 2002) as sums of n-gram counts per item, one reference each, without smoothing.

nltk and sacrebleu give the corpus figure alone; an interval needs the counts item by item. Tests hold the figure
against nltk's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_ORDER", "combine", "counts"]

Array = NDArray[np.float64]

MAX_ORDER = 4


def counts(hypothesis: Sequence[str], reference: Sequence[str]) -> list[int]:
    """The item's 10 counts: matches of order 1 to 4 (clipped by the reference), n-grams of order 1 to 4 in the
    hypothesis, length of hypothesis, length of reference. Characters of a string, or a tuple of tokens."""
    matches = [_matches(hypothesis, reference, order) for order in range(1, MAX_ORDER + 1)]
    totals = [max(0, len(hypothesis) - order + 1) for order in range(1, MAX_ORDER + 1)]
    return [*matches, *totals, len(hypothesis), len(reference)]


def combine(sums: Array, orders: int = MAX_ORDER) -> Array:
    """BLEU (...) from sums (..., 10) of `counts`: the geometric mean of the precisions of order 1 to `orders`, times
    the brevity penalty exp(1 - reference length / length) where the hypotheses are shorter. 0 if any precision is."""
    matches, totals = sums[..., :orders], sums[..., MAX_ORDER : MAX_ORDER + orders]
    length, reference = sums[..., 2 * MAX_ORDER], sums[..., 2 * MAX_ORDER + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.exp(np.log(matches / totals).mean(axis=-1))
        penalty = np.exp(np.minimum(0.0, 1 - reference / length))
    return np.where((matches > 0).all(axis=-1), precision * penalty, 0.0)


def _matches(hypothesis: Sequence[str], reference: Sequence[str], order: int) -> int:
    if hypothesis == reference:
        return max(0, len(hypothesis) - order + 1)
    wanted = _ngrams(reference, order)
    return sum(min(count, wanted[gram]) for gram, count in _ngrams(hypothesis, order).items() if gram in wanted)


def _ngrams(sequence: Sequence[str], order: int) -> Counter[Sequence[str]]:
    return Counter(sequence[i : i + order] for i in range(len(sequence) - order + 1))
