"""Which rows are the first of their kind: DuckDB groups the keys of all chunks, on disk where memory is short."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rtrl_chem.errors import SavingError

__all__ = ["Flags", "first_rows"]

# DuckDB's own memory; what does not fit goes to files in the work folder.
MEMORY = "160MB"
THREADS = 2

Flags = np.ndarray[Any, np.dtype[np.bool_]]

_KEYS = pa.schema({"seq": pa.int64(), "key_high": pa.uint64(), "key_low": pa.uint64()})


def first_rows(work: Path, chunks: Sequence[Path], rows: int) -> Flags:
    """(rows,) flags, in a file of the folder `work`: the rows that are kept, each the first with its key."""
    import duckdb

    scratch, found = work / "duckdb", work / "first.parquet"
    settings: dict[str, Any] = {
        "memory_limit": MEMORY,
        "threads": THREADS,
        "temp_directory": str(scratch),
        "preserve_insertion_order": False,
    }
    with duckdb.connect(config=settings) as connection:
        connection.register("keys", pa.RecordBatchReader.from_batches(_KEYS, _keys(chunks)))
        target = str(found).replace("'", "''")
        try:
            connection.execute(
                f"COPY (SELECT min(seq) AS seq FROM keys GROUP BY key_high, key_low) TO '{target}' (FORMAT parquet)"
            )
        except duckdb.Error as error:  # of a full disk it says so in words of its own
            said = " ".join(str(error).split())[:200]
            raise SavingError(
                f"duplicates cannot be looked for in {work} ({said}): make room, give the same call again; it goes on"
            ) from None
    flags: Flags = np.lib.format.open_memmap(work / "first.npy", "w+", np.bool_, (rows,))
    for batch in pq.ParquetFile(found).iter_batches():
        flags[batch.column(0).to_numpy()] = True
    found.unlink()
    shutil.rmtree(scratch, ignore_errors=True)
    return flags


def _keys(chunks: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    """Position and key of the rows that were not dropped."""
    for path in chunks:
        table = pq.read_table(path, columns=[*_KEYS.names, "reason"], use_threads=False)
        yield from table.filter(pc.equal(table["reason"], "")).select(_KEYS.names).to_batches()
