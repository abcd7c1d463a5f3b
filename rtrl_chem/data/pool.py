"""What training draws from, at any size: strings that stay on disk, and several corpora mixed by weight.

A corpus that was read from a plain file is a tuple of strings. A prepared one is a `Column`, whose strings are looked
up in a memory-mapped file when they are asked for, so that a hundred million of them need no memory of ours.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from rtrl_chem.data.stream import Stream

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Column", "Mixture", "PairColumns", "Pool", "change", "count", "parts_of"]

T = TypeVar("T")
NONE: NDArray[np.int64] = np.zeros(0, np.int64)
# A look at one string may map a hundred kilobytes around it.
TAKEN_AT_ONCE = 256


class Column(Sequence[str]):
    """The strings of an Arrow column without the rows that were taken out, or a choice of them. Nothing is copied.

    Pages of the file that were looked at would count as memory of the process until the system is short of it. So that
    memory is flat, and seen to be, they are given back: the system still caches them.
    """

    def __init__(
        self,
        strings: pa.ChunkedArray,
        maps: Sequence[mmap.mmap] = (),
        gone: NDArray[np.int64] = NONE,
        chosen: NDArray[np.int64] | None = None,
    ) -> None:
        """`maps`: the files that hold the strings; `gone`: sorted numbers of the rows that are left out; `chosen`:
        which of the others there are, in order."""
        self._strings = strings
        self._maps = maps
        self._gone = gone
        self._left_before = gone - np.arange(len(gone))  # how many rows that are left stand before each that is gone
        self._chosen = chosen

    def __len__(self) -> int:
        return len(self._strings) - len(self._gone) if self._chosen is None else len(self._chosen)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        return self._strings[self._row(int(index) % len(self))].as_py()

    def __iter__(self) -> Iterator[str]:
        if self._chosen is not None:
            yield from (self[i] for i in range(len(self)))
            return
        start = 0
        for chunk in self._strings.iterchunks():
            first, last = np.searchsorted(self._gone, [start, start + len(chunk)])
            keep = np.ones(len(chunk), bool)
            keep[self._gone[first:last] - start] = False
            texts = chunk.to_pylist()
            yield from (texts if last == first else (texts[i] for i in np.flatnonzero(keep)))
            start += len(chunk)
            self._give_back()

    def take(self, indices: NDArray[np.int64]) -> list[str]:
        """The items at these places."""
        texts: list[str] = []
        for start in range(0, len(indices), TAKEN_AT_ONCE):
            texts += [self[int(i)] for i in indices[start : start + TAKEN_AT_ONCE]]
            self._give_back()
        return texts

    def _give_back(self) -> None:
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            for one in self._maps:
                one.madvise(mmap.MADV_DONTNEED)

    def _row(self, index: int) -> int:
        if self._chosen is not None:
            index = int(self._chosen[index])
        return index + int(np.searchsorted(self._left_before, index, side="right"))

    def rows_of(self, texts: Iterable[str]) -> NDArray[np.int64]:
        """Sorted numbers of the rows of the Arrow column that hold one of these texts, taken out or not."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pa.array(sorted(texts), self._strings.type)
        found, start = [NONE], 0
        for chunk in self._strings.iterchunks():
            found.append(start + np.asarray(pc.indices_nonzero(pc.is_in(chunk, value_set=wanted)), np.int64))
            start += len(chunk)
            self._give_back()
        return np.concatenate(found)

    def without_rows(self, rows: NDArray[np.int64]) -> Column:
        """The same column with these rows taken out as well. ValueError once a choice was made."""
        if self._chosen is not None:
            raise ValueError("rows are taken out before a choice is made among the others")
        return Column(self._strings, self._maps, np.union1d(self._gone, rows))

    def without(self, texts: Iterable[str]) -> Column:
        """The column without these texts."""
        return self.without_rows(self.rows_of(texts))

    def choose(self, chosen: NDArray[np.int64]) -> Column:
        """Only the items at these places of this column."""
        chosen = chosen if self._chosen is None else self._chosen[chosen]
        return Column(self._strings, self._maps, self._gone, chosen)


@dataclass(frozen=True)
class PairColumns(Sequence[tuple[str, str]]):
    """Labelled pairs on disk: `left[i]` goes with `right[i]`."""

    left: Column
    right: Column

    def __len__(self) -> int:
        return len(self.left)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.left[index], self.right[index]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return zip(self.left, self.right, strict=True)

    def having(self, side: int, texts: Iterable[str]) -> list[tuple[str, str]]:
        """The pairs whose left (0) or right (1) side is one of these, in order."""
        rows = np.setdiff1d((self.left, self.right)[side].rows_of(set(texts)), self.left._gone)
        return list(zip(*(column._strings.take(rows).to_pylist() for column in (self.left, self.right)), strict=True))

    def take(self, indices: NDArray[np.int64]) -> list[tuple[str, str]]:
        """The pairs at these places."""
        return list(zip(self.left.take(indices), self.right.take(indices), strict=True))

    def without(self, left: Iterable[str], right: Iterable[str]) -> PairColumns:
        """The pairs neither of whose sides is one of these."""
        rows = np.union1d(self.left.rows_of(left), self.right.rows_of(right))
        return PairColumns(self.left.without_rows(rows), self.right.without_rows(rows))

    def choose(self, chosen: NDArray[np.int64]) -> PairColumns:
        """Only the pairs at these places."""
        return PairColumns(self.left.choose(chosen), self.right.choose(chosen))


@dataclass(frozen=True)
class Mixture(Generic[T]):
    """Several corpora; of the sources drawn, each gives a share in proportion to its weight.

    A part is a sequence, or a `Stream` that has no length. `names` are the paths, for messages.
    """

    parts: tuple[Any, ...]
    weights: tuple[float, ...]
    names: tuple[str, ...]


Pool = Sequence[T] | Mixture[T] | Stream


def parts_of(pool: Pool[Any]) -> tuple[Any, ...]:
    """The corpora of a mixture; of anything else, itself."""
    return pool.parts if isinstance(pool, Mixture) else (pool,)


def change(pool: Pool[Any], each: Callable[[Any], Any]) -> Any:
    """The pool with `each` applied to each of its corpora."""
    if isinstance(pool, Mixture):
        return replace(pool, parts=tuple(map(each, pool.parts)))
    return each(pool)


def count(pool: Pool[Any]) -> int:
    """Number of items on disk and in memory; a stream's are unknown and not among them."""
    return sum(len(part) for part in parts_of(pool) if not isinstance(part, Stream))
