"""Counting and choosing among any number of rows in bounded memory."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from hashlib import blake2b
from typing import Generic, TypeVar

__all__ = ["Distinct", "Reservoir"]

T = TypeVar("T")


class Distinct:
    """How many texts are distinct: exactly up to `limit` of them, beyond it from a share of all texts.

    A text is told by 64 bits of a hash. When more than `limit` are held, only those texts count on whose hash is a
    multiple of 2, then of 4, ...: a share of the *texts*, each with all of its rows, so that a corpus without
    duplicates is found to have none. (Wegman's adaptive sampling; Flajolet, Computing 1990, 34, 391.)
    """

    def __init__(self, limit: int = 500_000) -> None:
        self.limit = limit
        self.step = 1
        self._rows_of: dict[int, int] = {}

    def add(self, text: str) -> None:
        """Count one row."""
        data = text.encode("utf-8", "surrogatepass")
        key = int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
        if key % self.step:
            return
        self._rows_of[key] = self._rows_of.get(key, 0) + 1
        while len(self._rows_of) > self.limit:
            self.step *= 2
            self._rows_of = {key: rows for key, rows in self._rows_of.items() if key % self.step == 0}

    @property
    def texts(self) -> int:
        """Distinct texts among those looked at."""
        return len(self._rows_of)

    @property
    def rows(self) -> int:
        """Rows of the texts looked at."""
        return sum(self._rows_of.values())

    @property
    def duplicates(self) -> int:
        """Rows, among those looked at, whose text was there before."""
        return self.rows - self.texts


class Reservoir(Generic[T]):
    """`size` of any number of items, each with the same chance; all of them if they are no more. Which ones depends on
    the seed and the items' places alone. (Algorithm L: Li, ACM Trans. Math. Softw. 1994, 20, 481.)"""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seen = 0
        self._kept: list[tuple[int, T]] = []
        self._random = random.Random(seed)
        self._weight = 1.0
        self._next = size - 1
        self._leap()

    def _leap(self) -> None:
        self._weight *= math.exp(math.log(1 - self._random.random()) / self.size)
        self._next += int(math.log(1 - self._random.random()) / math.log1p(-self._weight)) + 1

    def add(self, item: T) -> None:
        """Offer the next item."""
        if len(self._kept) < self.size:
            self._kept.append((self.seen, item))
        elif self.seen == self._next:
            self._kept[self._random.randrange(self.size)] = (self.seen, item)
            self._leap()
        self.seen += 1

    def __iter__(self) -> Iterator[T]:
        """The chosen items in the order they came in."""
        return (item for _, item in sorted(self._kept, key=lambda kept: kept[0]))

    def __len__(self) -> int:
        return len(self._kept)
