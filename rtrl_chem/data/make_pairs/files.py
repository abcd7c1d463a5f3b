"""The files of made pairs: whole or not there, and the same bytes for the same rows."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any

from rtrl_chem.data.prepare.files import folder_problem
from rtrl_chem.data.workers import in_chunks
from rtrl_chem.durable import replacing
from rtrl_chem.errors import ConfigError

__all__ = ["ENDINGS", "check_out", "write_rows", "write_tsv_gz"]

Rows = Iterable[Sequence[Any]]

_ROW_GROUP = 50_000


@contextmanager
def _text(path: Path, packed: bool) -> Iterator[IO[str]]:
    with open(path, "wb") as raw:
        if not packed:
            with io.TextIOWrapper(raw, encoding="utf-8", newline="\n") as handle:
                yield handle
            return
        # mtime=0 and no file name: the same rows give the same bytes.
        with (
            gzip.GzipFile("", "wb", 9, raw, mtime=0) as archive,
            io.TextIOWrapper(archive, encoding="utf-8", newline="\n") as handle,
        ):
            yield handle


def _write_jsonl(path: Path, columns: Sequence[str], rows: Rows, packed: bool) -> None:
    with _text(path, packed) as handle:
        for row in rows:
            handle.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n")


def _write_tsv(path: Path, columns: Sequence[str], rows: Rows, packed: bool) -> None:
    with _text(path, packed) as handle:
        for row in chain([columns], rows):
            handle.write("\t".join(str(cell) for cell in row) + "\n")


def _write_parquet(path: Path, columns: Sequence[str], rows: Rows, packed: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: pq.ParquetWriter | None = None
    for chunk in in_chunks(rows, _ROW_GROUP):
        table = pa.table({name: list(cells) for name, cells in zip(columns, zip(*chunk, strict=True), strict=True)})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is None:
        pq.write_table(pa.table({name: pa.array([], pa.string()) for name in columns}), path)
    else:
        writer.close()


_WRITERS: dict[str, tuple[Callable[[Path, Sequence[str], Rows, bool], None], bool]] = {
    ".jsonl": (_write_jsonl, False),
    ".jsonl.gz": (_write_jsonl, True),
    ".tsv": (_write_tsv, False),
    ".tsv.gz": (_write_tsv, True),
    ".parquet": (_write_parquet, False),
}
ENDINGS = tuple(_WRITERS)


def ending_of(path: Path) -> str:
    """The ending that says how a file is written; ConfigError if it is none of `ENDINGS`."""
    # The longest first: .jsonl.gz ends in .gz, which says nothing.
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if path.name.lower().endswith(ending) and len(path.name) > len(ending):
            return ending
    raise ConfigError(f"--out {path}: must end in {', '.join(ENDINGS)}")


def check_out(path: Path) -> None:
    """ConfigError if nothing can be written there, or something is there already."""
    ending_of(path)
    if problem := folder_problem(path.parent):
        raise ConfigError(f"--out {path}: {problem}")
    if path.exists():
        raise ConfigError(f"--out {path}: is there already; give another name, or delete it")


def write_rows(path: Path, columns: Sequence[str], rows: Rows) -> None:
    """Write a table in the format of the file's ending. Cells are texts, numbers or booleans; those of a TSV hold no
    tab and no line break, which is the caller's to see to."""
    write, packed = _WRITERS[ending_of(path)]
    with replacing(path) as partial:
        write(partial, columns, rows, packed)


def write_tsv_gz(path: Path, columns: Sequence[str], rows: Rows) -> None:
    """A small gzipped table with a header row, compressed in one piece: an archive's bytes depend on its pieces."""
    text = "".join("\t".join(row) + "\n" for row in chain([columns], rows))
    with replacing(path) as partial, open(partial, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(text.encode())
