"""One chunk of rows -> one small Parquet file with every row of it, kept or dropped. The same bytes in any process.

Columns: seq (the row's position in the corpus), source (its number), row (its line or record there), text (as it stands
there; null where that is the first of the next columns), the columns of the domain, split, reason ("" if kept),
key_high and key_low (128 bits of blake2b of what makes the row unique: among 10^9 rows the odds of any two alike by
chance are 10^-21). The counts of the chunk are in the file's metadata.
"""

from __future__ import annotations

import gc
import hashlib
import json
import pickle
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rdkit import rdBase

from rtrl_chem.data.corpus import printable
from rtrl_chem.data.prepare.clean import Cleaner, Dropped, Job, Kept, columns_of
from rtrl_chem.data.prepare.inputs import TEXT_LIMIT, Chunk, Kind

__all__ = ["Counts", "clean_chunk", "clean_packed", "pack", "read_counts", "schema_of"]

_COUNTS = b"rtrl-chem counts"
_KEY_BYTES = 16
_BLOCK = 250


@dataclass
class Counts:
    """What became of rows: reasons, mended cells by what was mended, rows found in each benchmark (by its number)."""

    rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)
    benchmarks: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        """Add the rows of another chunk."""
        self.rows += other.rows
        self.dropped.update(other.dropped)
        self.repaired.update(other.repaired)
        self.benchmarks.update(other.benchmarks)

    @property
    def kept(self) -> int:
        """Rows that were not dropped."""
        return self.rows - self.dropped.total()


def pack(job: Job) -> bytes:
    """The job as bytes, for `clean_packed` to unpack once in each process."""
    return pickle.dumps(job)


def clean_packed(job: bytes, chunk: Chunk) -> tuple[int, int, bytes]:
    """(index, rows, file) of a chunk; for other processes, which are given a packed job."""
    return chunk.index, len(chunk), clean_chunk(_cleaner(job), chunk)


@lru_cache(maxsize=1)
def _cleaner(job: bytes) -> Cleaner:
    return Cleaner(pickle.loads(job))


def clean_chunk(cleaner: Cleaner, chunk: Chunk) -> bytes:
    """The Parquet file of a chunk."""
    rows: list[Kept | Dropped] = []
    with rdBase.BlockLogs(), _no_collections():
        for kind, cells in _blocks(chunk):
            rows += cleaner.clean(cells, kind)
    cleaner.close()
    counts = json.dumps(vars(_counted(rows)), sort_keys=True)
    schema = schema_of(cleaner.domain).with_metadata({_COUNTS: counts})
    table = pa.table(_columns(chunk, rows, cleaner.domain), schema=schema)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=["source", "split", "reason"])
    return bytes(sink.getvalue())


def schema_of(domain: str) -> pa.Schema:
    """Names and types of a chunk's columns."""
    text = pa.string()
    types = {"seq": pa.int64(), "source": pa.int32(), "row": pa.int64(), "text": text}
    types |= dict.fromkeys(columns_of(domain), text)
    types |= {"split": text, "reason": text, "key_high": pa.uint64(), "key_low": pa.uint64()}
    return pa.schema(types)


def read_counts(path: Path) -> Counts:
    """The counts in a chunk's file."""
    content: dict[str, Any] = json.loads(pq.read_metadata(path).metadata[_COUNTS])
    return Counts(content.pop("rows"), **{name: Counter(values) for name, values in content.items()})


def _blocks(chunk: Chunk) -> Iterator[tuple[Kind, list[tuple[str, str]]]]:
    """Some hundred cells of one kind, each with what is wrong with it."""
    begin = 0
    for span in chunk.spans:
        end = begin + span.rows
        for first in range(begin, end, _BLOCK):
            positions = range(first, min(first + _BLOCK, end))
            yield span.kind, [(chunk.cells[i], chunk.problems.get(i, "")) for i in positions]
        begin = end


@contextmanager
def _no_collections() -> Iterator[None]:
    """Millions of objects and not one cycle among them: looking for cycles would cost a twentieth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _counted(rows: Sequence[Kept | Dropped]) -> Counts:
    counts = Counts(len(rows))
    for row in rows:
        if isinstance(row, Dropped):
            counts.dropped[row.reason] += 1
            counts.benchmarks.update(map(str, row.benchmarks))
        elif row.repaired:
            counts.repaired.update(row.repaired)
    return counts


def _columns(chunk: Chunk, rows: Sequence[Kept | Dropped], domain: str) -> dict[str, Any]:
    kept = [row if isinstance(row, Kept) else None for row in rows]
    sources = np.repeat([span.source for span in chunk.spans], [span.rows for span in chunk.spans])
    columns: dict[str, Any] = {
        "seq": np.arange(chunk.first, chunk.first + len(chunk)),
        "source": sources.astype(np.int32),
        "row": chunk.numbers,
        "text": [_text(chunk, i, row) for i, row in enumerate(kept)],
    }
    for i, name in enumerate(columns_of(domain)):
        columns[name] = [None if row is None else row.columns[i] for row in kept]
    columns["split"] = [None if row is None else row.split for row in kept]
    columns["reason"] = [row.reason if isinstance(row, Dropped) else "" for row in rows]
    high_low = _digests(None if row is None else row.key for row in kept)
    return columns | {"key_high": high_low[:, 0], "key_low": high_low[:, 1]}


def _text(chunk: Chunk, position: int, row: Kept | None) -> str | None:
    text = chunk.texts[position]
    if text is None:
        text = chunk.cells[position]
    if row is not None and text == row.columns[0]:
        return None
    return printable(text, TEXT_LIMIT)


def _digests(keys: Iterable[str | None]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """128 bits for each key as two numbers, zeros for None: (rows, 2)."""
    blank = bytes(_KEY_BYTES)
    digests = [blank if key is None else hashlib.blake2b(key.encode(), digest_size=_KEY_BYTES).digest() for key in keys]
    return np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2)
