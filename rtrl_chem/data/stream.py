"""A corpus that is read from its start to its end again and again, shuffled through a buffer.

For what cannot be memory-mapped: archives, and data sets that stay on the Hub. The order is a function of (seed, epoch)
and the corpus; a stretch further on is reached by reading up to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np

from rtrl_chem.errors import CorpusError

if TYPE_CHECKING:
    from rtrl_chem.data.corpus import Admitted

__all__ = ["Stream"]


@dataclass
class _Reading:
    """One walk through a stream: how many items it has given, and what it met on the way."""

    position: int = 0
    rows_in: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    items: Iterator[str] = field(init=False)


@dataclass(frozen=True)
class Stream:
    """The usable items of a corpus, read anew for each epoch.

    `read` starts at the first row and says what became of each. Items of `taken_out` are never given, and `limit` ends
    an epoch after so many. Duplicates are not noticed: that would take the memory that a stream saves.
    """

    where: str
    read: Callable[[], Iterable[Admitted]]
    buffer: int
    taken_out: frozenset[str] = frozenset()
    limit: int | None = None
    # One for each seed: two directions that draw from one corpus must not send each other back to its start.
    _readings: dict[tuple[int, ...], _Reading] = field(default_factory=dict, init=False, repr=False, compare=False)

    def without(self, texts: Iterable[str]) -> Stream:
        """The stream without these texts."""
        return replace(self, taken_out=self.taken_out | frozenset(texts))

    def limited(self, limit: int) -> Stream:
        """The first `limit` items of the corpus, again and again."""
        return replace(self, limit=limit)

    def draw(self, start: int, count: int, seed: tuple[int, ...]) -> list[str]:
        """The items at the positions `start` .. `start + count`, counted over all epochs: read on from where the last
        call stopped, or from the first row if that lies behind. CorpusError if the corpus holds no usable item."""
        reading = self._readings.get(seed)
        if reading is None or start < reading.position:
            reading = self._readings[seed] = _Reading()
            reading.items = self._epochs(seed, reading)
        wanted = list(islice(reading.items, start - reading.position, start - reading.position + count))
        reading.position = start + count
        return wanted

    def summary(self) -> str:
        """What was read so far, for a log: `my.smi.gz: 4,200 rows read, 100 of them set aside (does not parse 100)`."""
        rows = sum(one.rows_in for one in self._readings.values())
        rejects: Counter[str] = sum((one.rejects for one in self._readings.values()), Counter())
        return f"{self.where}: {rows:,} rows read" + (f", set aside: {_reasons(rejects)}" if rejects else "")

    def _epochs(self, seed: tuple[int, ...], reading: _Reading) -> Iterator[str]:
        for epoch in count():
            items = self._shuffled((seed[0], epoch, *seed[1:]), reading)
            first = next(items, None)
            if first is None:
                raise CorpusError(f"{self.where} holds nothing to train on: {_reasons(reading.rejects) or 'no rows'}")
            yield first
            yield from items

    def _shuffled(self, seed: tuple[int, ...], reading: _Reading) -> Iterator[str]:
        """One epoch: each item waits in the buffer until chance picks it, so none comes more than `buffer` early."""
        rng = np.random.default_rng(seed)
        waiting: list[str] = []
        for item in islice(self._usable(reading), self.limit):
            if len(waiting) < self.buffer:
                waiting.append(item)
                continue
            place = int(rng.integers(self.buffer))
            yield waiting[place]
            waiting[place] = item
        rng.shuffle(waiting)
        yield from waiting

    def _usable(self, reading: _Reading) -> Iterator[str]:
        for row in self.read():
            reading.rows_in += 1
            if row.reason:
                reading.rejects[row.reason] += 1
            elif row.item not in self.taken_out:
                yield row.item


def _reasons(rejects: Counter[str]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in rejects.most_common())
