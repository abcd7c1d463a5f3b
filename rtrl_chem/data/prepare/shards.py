"""The corpus folder: the kept rows in shards, the dropped ones in `rejects.parquet`, the account in `manifest.json`.

The files are a function of the rows alone: neither times nor machines are in them, and row groups are of fixed sizes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rtrl_chem.data.prepare.clean import columns_of
from rtrl_chem.data.prepare.dedup import Flags
from rtrl_chem.data.prepare.files import sha256_of
from rtrl_chem.data.prepare.inputs import REJECTS
from rtrl_chem.data.prepare.settings import SPLITS
from rtrl_chem.durable import replacing

__all__ = ["DUPLICATE", "CleanRows", "Shard", "count_splits", "write_rejects", "write_splits"]

DUPLICATE = "duplicate"
ROW_GROUP = 100_000

_REJECTS = pa.schema({"source_file": pa.string(), "source_row": pa.int64(), "text": pa.string(), "reason": pa.string()})

OnProgress = Callable[[int], None]


@dataclass(frozen=True)
class CleanRows:
    """All rows of all chunks: files in order, flags of those that are the first of their kind (None: every row is), and
    the names of the sources by number."""

    chunks: Sequence[Path]
    first: Flags | None
    sources: Sequence[str]
    domain: str

    def tables(self, columns: Sequence[str]) -> Iterator[tuple[pa.Table, pa.Array]]:
        """(rows of a chunk, which of them are kept), chunk by chunk."""
        for path in self.chunks:
            table = pq.read_table(path, columns=["seq", "reason", *columns], use_threads=False)
            kept = pc.equal(table["reason"], "")
            if self.first is not None and len(table):
                begin = table["seq"][0].as_py()
                kept = pc.and_(kept, pa.array(self.first[begin : begin + len(table)]))
            yield table, kept

    def names(self, table: pa.Table) -> pa.Array:
        """The files that rows come from."""
        numbers = table["source"].combine_chunks()
        return pa.DictionaryArray.from_arrays(numbers, pa.array(self.sources, pa.string())).cast(pa.string())


@dataclass(frozen=True)
class Shard:
    """A file of a split."""

    file: str
    rows: int
    sha256: str


def count_splits(rows: CleanRows) -> dict[str, int]:
    """Kept rows of each split, in the order of `SPLITS`."""
    found: Counter[str] = Counter()
    for table, kept in rows.tables(["split"]):
        counts = pc.value_counts(table["split"].filter(kept)).to_pylist()
        found.update({entry["values"]: entry["counts"] for entry in counts})
    return {name: found[name] for name in SPLITS if name in found}


def write_splits(
    out: Path, rows: CleanRows, sizes: dict[str, int], rows_per_shard: int, on_progress: OnProgress
) -> dict[str, list[Shard]]:
    """Write the shards of every split; `sizes` are those of `count_splits`."""
    columns = columns_of(rows.domain)
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(_SplitWriter(out, name, size, rows_per_shard, _schema(columns)))
            for name, size in sizes.items()
        }
        for table, is_kept in rows.tables(["source", "row", *columns, "split"]):
            kept = table.filter(is_kept)
            for name, writer in writers.items():
                own = kept if len(writers) == 1 else kept.filter(pc.equal(kept["split"], name))
                writer.add(own.select(columns), rows.names(own), own["row"])
            on_progress(len(table))
    return {name: writer.shards for name, writer in writers.items()}


def write_rejects(out: Path, rows: CleanRows, on_progress: OnProgress) -> int:
    """Write every dropped row, in corpus order; the number of duplicates among them."""
    spelling = columns_of(rows.domain)[0]
    duplicates = 0
    with replacing(out / REJECTS) as path, pq.ParquetWriter(path, _REJECTS, compression="zstd") as writer:
        gathered = _Gathered(_REJECTS)
        for table, kept in rows.tables(["source", "row", "text", spelling]):
            lost = table.filter(pc.invert(kept))
            again = pc.equal(lost["reason"], "")
            duplicates += pc.sum(again).as_py() or 0
            text = pc.coalesce(lost["text"], lost[spelling], pa.scalar(""))
            reason = pc.if_else(again, DUPLICATE, lost["reason"])
            gathered.add([rows.names(lost), lost["row"], text, reason])
            while len(gathered) >= ROW_GROUP:
                writer.write_table(gathered.take(ROW_GROUP))
            on_progress(len(table))
        writer.write_table(gathered.take(len(gathered)))
    return duplicates


class _Gathered:
    """Rows on their way into row groups."""

    def __init__(self, schema: pa.Schema) -> None:
        self.table = schema.empty_table()

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def add(self, columns: list[Any]) -> None:
        more = pa.table(columns, schema=self.table.schema)
        self.table = pa.concat_tables([self.table, more])

    def take(self, rows: int) -> pa.Table:
        """The first `rows`, which are gone then."""
        taken, self.table = self.table.slice(0, rows), self.table.slice(rows)
        return taken.combine_chunks()


@dataclass
class _SplitWriter:
    """Writes the rows of a split into shards of equal size, the last but one at most."""

    out: Path
    name: str
    rows: int
    rows_per_shard: int
    schema: pa.Schema
    shards: list[Shard] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._files = -(-self.rows // self.rows_per_shard)
        self._gathered = _Gathered(self.schema)
        self._written = 0
        self._stack = ExitStack()
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> _SplitWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def add(self, columns: pa.Table, names: pa.Array, numbers: pa.ChunkedArray) -> None:
        """Rows by their own columns, the names of their files and their lines there."""
        begin = self._written + len(self._gathered)
        ids = pa.array(np.arange(begin, begin + len(columns)))
        self._gathered.add([ids, *columns.columns, names, numbers])
        while len(self._gathered) >= self._wanted() > 0:
            self._write(self._wanted())

    def _wanted(self) -> int:
        """Rows of the next row group."""
        in_shard = self._written % self.rows_per_shard
        return min(ROW_GROUP, self.rows_per_shard - in_shard, self.rows - self._written)

    def _write(self, rows: int) -> None:
        if self._writer is None:
            partial = self._stack.enter_context(replacing(self._path()))
            writer = pq.ParquetWriter(partial, self.schema, compression="zstd")
            self._writer = self._stack.enter_context(writer)
        self._writer.write_table(self._gathered.take(rows))
        self._written += rows
        if self._written % self.rows_per_shard == 0 or self._written == self.rows:
            self._close()

    def _close(self) -> None:
        path = self._path()
        self._stack.close()
        self._writer = None
        rows = self._written - len(self.shards) * self.rows_per_shard
        self.shards.append(Shard(path.name, rows, sha256_of(path)))

    def _path(self) -> Path:
        return self.out / f"{self.name}-{len(self.shards):05d}-of-{self._files:05d}.parquet"


def _schema(columns: Sequence[str]) -> pa.Schema:
    types = {"id": pa.int64()} | dict.fromkeys(columns, pa.string())
    return pa.schema(types | {"source_file": pa.string(), "source_row": pa.int64()})
