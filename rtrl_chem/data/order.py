"""The order in which a run goes through its corpus: a function of (seed, epoch), never of what was drawn before.

A run walks through one shuffle of the corpus after another; an epoch is one of them. Any stretch of the walk can be
had without the one before it, so a resumed run sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rtrl_chem.data.pool import Column, Mixture, PairColumns, Pool
from rtrl_chem.data.stream import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["draw", "shuffled", "walk"]

# Up to here an epoch's order is one array of numbers (32 MB); beyond, each number is computed when it is wanted.
LARGEST_ARRAY = 2**22
# Of a mixture, this many draws hold every corpus in proportion to its weight.
CYCLE = 1000
ROUNDS = 6


def draw(pool: Pool[Any], start: int, count: int, seed: int, total: int | None = None) -> list[Any]:
    """The sources at the positions `start` .. `start + count` of the walk through `pool`.

    With `total`, the first that many sources of the walk are put in order of length before (stable: of equal length,
    the order of the walk), shortest first: a curriculum over a run that takes `total` sources. ValueError for an empty
    pool.
    """
    if total is not None:
        return sorted(draw(pool, 0, total, seed), key=_length)[start : start + count]
    if not isinstance(pool, Mixture):
        return _draw_part(pool, start, count, (seed,))
    labels, before = _deal(pool.weights, start, count, seed)
    drawn = [
        iter(_draw_part(part, int(before[k]), int((labels == k).sum()), (seed, k + 1)))
        for k, part in enumerate(pool.parts)
    ]
    return [next(drawn[k]) for k in labels]


def _length(item: Any) -> int:
    return len(item) if isinstance(item, str) else sum(map(len, item))


def _draw_part(part: Any, start: int, count: int, seed: tuple[int, ...]) -> list[Any]:
    if isinstance(part, Stream):
        return part.draw(start, count, seed)
    rows = walk(len(part), start, count, seed)
    return part.take(rows) if isinstance(part, (Column, PairColumns)) else [part[int(i)] for i in rows]


def walk(size: int, start: int, count: int, seed: tuple[int, ...]) -> NDArray[np.int64]:
    """Which of `size` items stand at the positions `start` .. `start + count` of the walk; ValueError if size is 0."""
    if not size:
        raise ValueError("the pool of sources is empty")
    found = []
    lap, position = divmod(start, size)
    while count > 0:
        taken = min(count, size - position)
        found.append(shuffled(size, position, taken, (seed[0], lap, *seed[1:])))
        count -= taken
        lap, position = lap + 1, 0
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def shuffled(size: int, start: int, count: int, seed: Sequence[int]) -> NDArray[np.int64]:
    """The stretch `start` .. `start + count` of a shuffle of range(size). Beyond `LARGEST_ARRAY` items neither time nor
    memory depend on the size.

    >>> sorted(shuffled(5, 0, 5, [0]).tolist())
    [0, 1, 2, 3, 4]
    """
    if size <= LARGEST_ARRAY:
        return np.random.default_rng(seed).permutation(size)[start : start + count]
    return scattered(size, np.arange(start, start + count), seed)


def scattered(size: int, positions: NDArray[np.int64], seed: Sequence[int]) -> NDArray[np.int64]:
    """Where a pseudo-random permutation of range(size) sends these positions.

    A Feistel network permutes the numbers of 2h bits, the fewest such that hold `size`; a result beyond the size is
    sent through again until it falls inside (cycle walking: Black and Rogaway, Ciphers with Arbitrary Finite Domains,
    CT-RSA 2002), four times at most on average.
    """
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    keys = np.random.SeedSequence(list(seed)).generate_state(ROUNDS, np.uint64).astype(np.uint64)
    found = positions.astype(np.uint64)
    outside = np.arange(len(found))
    while len(outside):
        found[outside] = _feistel(found[outside], half, keys)
        outside = outside[found[outside] >= size]
    return found.astype(np.int64)


def _feistel(numbers: NDArray[np.uint64], half: np.uint64, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = numbers >> half, numbers & mask
    for key in keys:
        left, right = right, left ^ (_mix(right + key) & mask)
    return (left << half) | right


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): each bit of x moves every bit of the result."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _deal(weights: Sequence[float], start: int, count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(which corpus each of the positions belongs to, how many positions of each corpus come before `start`).

    Every cycle of about `CYCLE` positions holds each corpus in proportion to its weight, at least once, in an order of
    its own.
    """
    shares = np.asarray(weights) / sum(weights)
    quota = np.maximum(1, np.rint(shares * CYCLE)).astype(np.int64)
    hand = np.repeat(np.arange(len(quota)), quota)
    cycle, position = divmod(start, len(hand))
    last = (start + count - 1) // len(hand)
    # The third number keeps these shuffles apart from those of the corpora.
    cycles = [np.random.default_rng([seed, c, len(quota) + 1]).permutation(hand) for c in range(cycle, last + 1)]
    labels = np.concatenate(cycles) if cycles else hand
    before = cycle * quota + np.bincount(labels[:position], minlength=len(quota))
    return labels[position : position + count], before
