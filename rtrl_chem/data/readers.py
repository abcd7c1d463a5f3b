"""Rows out of any file a user arrives with, one at a time: the format is settled here, chemistry comes later.

Every reader yields `Row`s and never stops at a bad one: a row that cannot be read carries its `problem` instead of
cells. What makes the *file* unusable (missing, a folder, no such column, a truncated archive) is an error naming it.

Line-based files are decoded with `surrogateescape`, so that bytes that are not UTF-8 spoil their own cell only.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from rtrl_chem.data.bundled import bundled_path, is_bundled
from rtrl_chem.errors import ConfigError, CorpusError, did_you_mean

if TYPE_CHECKING:
    from rtrl_chem.tasks import Domain

__all__ = [
    "FORMATS",
    "PACKED",
    "RECORD_FORMATS",
    "Columns",
    "Meter",
    "Row",
    "bare_suffix",
    "file_lines",
    "fold",
    "guard",
    "open_lines",
    "open_rows",
]

FORMATS = {
    ".smi": "smi",
    ".smiles": "smi",
    ".txt": "txt",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
}
# Records of many lines, which `rtrl_chem.data.records` cuts and `rtrl-chem prepare` reads.
RECORD_FORMATS = {".sdf": "sdf", ".sd": "sdf", ".mol": "sdf", ".rxn": "rxn", ".rdf": "rdf"}
PACKED = (".gz", ".xz", ".zst", ".bz2")
COLUMN_NAMES = {
    "molecule": (
        "smiles",
        "canonical_smiles",
        "isomeric_smiles",
        "molecule",
        "mol",
        "structure",
        "product",
        "products",
    ),
    "molecules": ("reactants", "precursors", "smiles", "canonical_smiles"),
    "text": ("name", "iupac", "iupac_name", "description", "caption", "text"),
}
# A whole reaction in one cell: `reactants>reagents>product`.
REACTION_COLUMNS = (
    "reaction_smiles",
    "rxn_smiles",
    "reactionsmiles",
    "rxnsmiles",
    "reaction",
    "rxn",
)
# What the first line of a file without a real header may still say; `tetrahydrofuran` is not in it.
HEADER_WORDS = {"smiles", "smile", "smi", *COLUMN_NAMES["molecule"], *COLUMN_NAMES["molecules"], *REACTION_COLUMNS}
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2"}
BATCH = 4096
# A file without line breaks must not become one string; nothing on a longer line is an item.
MAX_LINE = 2**24
# How far the closing quote of a CSV cell may be: a stray quote must not swallow the rest of the file.
MAX_QUOTED_LINES = 100


class Row(NamedTuple):
    """One row as read: `number` is its line in the file (1-based; in Parquet and Hub data the record's position).

    `cells` holds the chosen columns in the order asked for and is empty where `problem` is set.
    """

    number: int
    text: str
    cells: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True)
class Columns:
    """Which columns are wanted: one domain each, and the user's name for it, or None to go by the usual names."""

    domains: tuple[Domain, ...]
    fields: tuple[str | None, ...]
    where: str

    def choose(self, present: Sequence[str]) -> tuple[int, ...]:
        """Positions of the wanted columns among those `present`; ConfigError that lists them if one is not there."""
        chosen = tuple(self._choose_one(present, d, f) for d, f in zip(self.domains, self.fields, strict=True))
        if len(set(chosen)) < len(chosen):
            raise ConfigError(f"{self.where}: column {present[chosen[0]]!r} is named for both sides of a pair")
        return chosen

    def _choose_one(self, present: Sequence[str], domain: Domain, field: str | None) -> int:
        if field is not None:
            if field not in present:
                raise ConfigError(f"{self.where}: no column {field!r}: {did_you_mean(field, present)}")
            return self._only(present, field)
        folded = [fold(column) for column in present]
        for name in usual_names(domain):
            if name in folded:
                return self._only(present, present[folded.index(name)])
        raise ConfigError(
            f"{self.where}: no column for {domain.tag} among {list(present)}: say which one with `field`"
            " (a file without a header row must be .smi or .txt)"
        )

    def _only(self, present: Sequence[str], column: str) -> int:
        if (times := present.count(column)) > 1:
            raise ConfigError(f"{self.where}: column {column!r} is there {times} times: rename all but one")
        return present.index(column)

    def fit(self, present: Sequence[str]) -> bool:
        """Whether `choose` would find every column."""
        try:
            self.choose(present)
        except ConfigError:
            return False
        return True

    def may_lack(self, name: str) -> bool:
        """Whether a row without a value in this column is still a row."""
        return False

    @property
    def any_molecule(self) -> bool:
        """Whether a column holds structures, so that a word such as "smiles" in it can only be a header."""
        return any(domain.is_structure for domain in self.domains)


class Meter:
    """How many bytes of the file being read (as it lies on disk) have been consumed: what a progress bar can show."""

    def __init__(self) -> None:
        self.handle: IO[bytes] | None = None

    def position(self) -> int:
        """Bytes so far, or 0 where no file is open."""
        return self.handle.tell() if self.handle is not None and not self.handle.closed else 0


def usual_names(domain: Domain) -> list[str]:
    """Column names a domain usually goes by, best first: its tag, its name, then those of its kind."""
    return list(dict.fromkeys((fold(domain.tag), fold(domain.name), *COLUMN_NAMES[domain.kind])))


def open_rows(
    path: str | Path,
    columns: Columns,
    format: str | None = None,
    split: str = "train",
    revision: str | None = None,
    *,
    streaming: bool = False,
    meter: Meter | None = None,
) -> tuple[str, Iterator[Row]]:
    """(name for messages, rows) of a file, a `bundled:` set or a Hub data set id `org/name`.

    `format` overrides what the file's ending says; `split`, `revision` and `streaming` (rows as they arrive, nothing
    kept on disk) are for the Hub. Raises ConfigError where the call is wrong (missing file, folder, unknown ending or
    column), CorpusError where the data is; both may come while iterating.
    """
    if is_bundled(path):
        file = bundled_path(str(path))
        return str(path), guard(str(path), _file_rows(file, columns, "tsv", meter))
    file = Path(path).expanduser()
    if is_hub_id(str(path), file, format):
        return str(path), _hub_rows(str(path), split, columns, revision, streaming)
    _check_file(file)
    return str(path), guard(str(path), _file_rows(file, columns, format or _format_of(file), meter))


def is_hub_id(path: str, file: Path, format: str | None) -> bool:
    """Whether `path` can only mean a data set of the Hub."""
    if format is not None or file.exists() or not HUB_ID.fullmatch(path):
        return False
    # `data/mols.smi` or `data/mols` beside an existing folder `data` is a misspelt file, not somebody's data set.
    return not _has_known_ending(file) and not file.parent.exists()


def bare_suffix(file: Path) -> str:
    """The ending of a file, in lower case, without that of its packing: ".smi" of `A.SMI.gz`."""
    name = file.name.lower()
    packed = next((ending for ending in PACKED if name.endswith(ending)), "")
    return Path(name.removesuffix(packed)).suffix


def _has_known_ending(file: Path) -> bool:
    return bare_suffix(file) in FORMATS


def _check_file(file: Path) -> None:
    if file.is_dir():
        raise ConfigError(
            f"{file} is a folder: give one file of molecules ({', '.join(FORMATS)}, also packed, .gz .xz .zst)"
        )
    if not file.exists():
        raise ConfigError(
            f"no file {str(file)!r}: give the path of a file ({', '.join(FORMATS)}, also packed, .gz .xz .zst),"
            " a Hub data set id (org/name) or bundled:NAME"
        )


def _format_of(file: Path) -> str:
    ending = bare_suffix(file)
    if ending in RECORD_FORMATS:
        raise ConfigError(
            f"{file}: {ending} files are read by `rtrl-chem prepare {file} --out CORPUS`; give that corpus"
        )
    if ending not in FORMATS:
        raise ConfigError(
            f"{file}: ending {ending!r} is not one of {', '.join(FORMATS)} (also packed, .gz .xz .zst):"
            " rename the file or say its `format`"
        )
    return FORMATS[ending]


def _file_rows(file: Path, columns: Columns, format: str, meter: Meter | None = None) -> Iterator[Row]:
    readers: dict[str, Callable[[Iterator[str], Columns], Iterator[Row]]] = {
        "smi": _smi_rows,
        "txt": _txt_rows,
        "csv": _csv_rows,
        "tsv": _tsv_rows,
        "jsonl": _jsonl_rows,
    }
    if format not in (*readers, "parquet"):
        raise ConfigError(f"unknown format {format!r}: {did_you_mean(format, [*readers, 'parquet'])}")
    with _open_binary(file, meter) as raw:
        if format == "parquet":
            yield from _parquet_rows(raw, columns)
            return
        with _decoded(raw) as lines:
            yield from readers[format](lines, columns)


@contextmanager
def open_lines(path: str | Path) -> Iterator[Iterator[str]]:
    """The lines of any text file, gzipped or not, without their ends; bytes that are not UTF-8 are `surrogateescape`d.

    ConfigError if it is missing or a folder, CorpusError if it is UTF-16, a damaged archive or cannot be read.
    """
    file = Path(path).expanduser()
    _check_file(file)
    try:
        with file_lines(file) as lines:
            yield lines
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        raise CorpusError(f"{path} cannot be read: {error}") from error


@contextmanager
def file_lines(file: Path, meter: Meter | None = None) -> Iterator[Iterator[str]]:
    """As `open_lines`, for `guard` to turn what goes wrong into errors."""
    with _open_binary(file, meter) as raw, _decoded(raw) as lines:
        yield lines


@contextmanager
def _decoded(raw: IO[bytes]) -> Iterator[Iterator[str]]:
    # newline=None: LF, CRLF and CR end a line alike; utf-8-sig drops a byte order mark.
    with io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline=None) as handle:
        yield _lines(handle)


def _lines(handle: io.TextIOWrapper) -> Iterator[str]:
    """Lines without their ends, of one that is endless only the beginning."""
    while line := handle.readline(MAX_LINE):
        rest = line
        while len(rest) == MAX_LINE and not rest.endswith("\n"):
            rest = handle.readline(MAX_LINE)
        yield line.rstrip("\n")


@contextmanager
def _open_binary(file: Path, meter: Meter | None = None) -> Iterator[IO[bytes]]:
    with open(file, "rb") as raw:
        if meter is not None:
            meter.handle = raw
        head = raw.read(6)
        raw.seek(0)
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise CorpusError(f"{file} is UTF-16 text: save it as UTF-8")
        # By content, not by name: a gzipped file without the ending is common, and so is the reverse.
        packing = next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)
        if packing is None:
            yield raw
            return
        with _unpacked(raw, packing) as stream:
            yield stream


def _unpacked(raw: IO[bytes], packing: str) -> Any:
    """What a packed file holds, as a binary stream."""
    if packing == "zstd":
        import pyarrow as pa

        return pa.CompressedInputStream(raw, "zstd")
    openers: dict[str, Callable[[IO[bytes]], Any]] = {"gzip": gzip.open, "xz": lzma.open, "bzip2": bz2.open}
    return openers[packing](raw)


def guard(where: str, rows: Iterator[Row]) -> Iterator[Row]:
    """Turn what a damaged file raises midway into one error that names it and says how far the reading came."""
    number = 0
    try:
        for row in rows:
            number = row.number
            yield row
    except EOFError as error:
        raise CorpusError(f"{where} is a truncated archive ({_good(number)}): copy it again") from error
    except (zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise CorpusError(f"{where} is a damaged archive ({_good(number)}): {error}") from error
    except OSError as error:
        if "Truncated compressed stream" in str(error):  # zstd, by way of Arrow
            raise CorpusError(f"{where} is a truncated archive ({_good(number)}): copy it again") from error
        raise CorpusError(f"{where} cannot be read ({_good(number)}): {error}") from error


def _good(number: int) -> str:
    return f"good up to row {number}" if number else "nothing of it could be read"


# ---- line-based formats -------------------------------------------------------------------------------------------


def _smi_rows(lines: Iterator[str], columns: Columns) -> Iterator[Row]:
    """SMILES, then anything else on the line as its name."""
    chosen = columns.choose(["smiles", "name"])
    fresh = True
    for number, line in enumerate(lines, 1):
        parts = [*line.split(None, 1), "", ""]
        if fresh and parts[0]:
            fresh = False
            if _is_header(parts[0], columns):
                yield Row(number, line, (), "header")
                continue
        yield Row(number, line, tuple(parts[i] for i in chosen))


def _txt_rows(lines: Iterator[str], columns: Columns) -> Iterator[Row]:
    """One item per line; ChEBI-20 and others use the ending for tab-separated tables, told by their header."""
    first = next(lines, None)
    if first is None:
        return
    lines = _chain(first, lines)
    if "\t" in first and columns.fit(first.split("\t")):
        yield from _tsv_rows(lines, columns)
        return
    if len(columns.domains) > 1 or columns.fields[0] is not None:
        raise ConfigError(
            f"{columns.where}: the file has no header row to choose columns by (first line {first[:60]!r})"
        )
    for number, line in enumerate(lines, 1):
        yield Row(number, line, (line,), "header" if number == 1 and _is_header(line, columns) else "")


def _tsv_rows(lines: Iterator[str], columns: Columns) -> Iterator[Row]:
    """Tab-separated with a header row; a quote is an ordinary character unless it encloses a whole cell."""
    yield from _table_rows(
        ((n, line, [_unquote(c) for c in line.split("\t")]) for n, line in enumerate(lines, 1)), columns
    )


def _csv_rows(lines: Iterator[str], columns: Columns) -> Iterator[Row]:
    """Comma-separated with a header row; quoted cells may hold commas, doubled quotes and line breaks."""
    yield from _table_rows(_csv_records(lines), columns)


def _table_rows(records: Iterable[tuple[int, str, list[str]]], columns: Columns) -> Iterator[Row]:
    chosen: tuple[int, ...] | None = None
    width = 0
    for number, text, cells in records:
        if chosen is None:
            chosen, width = columns.choose([cell.strip() for cell in cells]), len(cells)
            continue
        if not text.strip():
            yield Row(number, text, (), "empty")
        elif len(cells) < width and max(chosen) >= len(cells):
            yield Row(number, text, (), "fewer cells than the header")
        elif len(cells) > width and any(cells[width:]):
            # An unquoted comma in a name: taking the first cells would silently cut the name.
            yield Row(number, text, (), "more cells than the header")
        else:
            yield Row(number, text, tuple([cells[i] for i in chosen]))


def _csv_records(lines: Iterator[str]) -> Iterator[tuple[int, str, list[str]]]:
    """(line number, text, cells) of each record. Lines without a quote, nearly all, never meet the csv module."""
    ahead: deque[tuple[int, str]] = deque()
    numbered = enumerate(lines, 1)
    width = 0
    while (entry := ahead.popleft() if ahead else next(numbered, None)) is not None:
        number, line = entry
        cells = line.split(",") if '"' not in line else _parse_quoted(line)
        if cells is None:
            text, cells = _join_quoted(line, width, numbered, ahead)
        else:
            text = line
        width = width or len(cells)
        yield number, text, cells


def _join_quoted(
    line: str, width: int, numbered: Iterator[tuple[int, str]], ahead: deque[tuple[int, str]]
) -> tuple[str, list[str]]:
    """The record that `line` opens with a quoted line break; if none closes it, the line alone, taken as it stands."""
    text = line
    for taken in range(1, MAX_QUOTED_LINES + 1):
        if len(ahead) < taken:
            if (entry := next(numbered, None)) is None:
                break
            ahead.append(entry)
        text += "\n" + ahead[taken - 1][1]
        cells = _parse_quoted(text) if '"' in ahead[taken - 1][1] else None
        if cells is not None and len(cells) == width:
            for _ in range(taken):
                ahead.popleft()
            return text, cells
    return line, line.split(",")


def _parse_quoted(text: str) -> list[str] | None:
    """Cells of one CSV record, or None if its quotes do not close or enclose half a cell."""
    try:
        # One string per line break: csv.reader rejects a bare line break inside a single chunk it takes for a line.
        records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return None
    return records[0] if len(records) == 1 else None


def _unquote(cell: str) -> str:
    if len(cell) < 2 or cell[0] != '"' or cell[-1] != '"':
        return cell
    inner = cell[1:-1]
    return inner.replace('""', '"') if '"' not in inner.replace('""', "") else cell


def _jsonl_rows(lines: Iterator[str], columns: Columns) -> Iterator[Row]:
    """One JSON object per line; the columns are settled by the first line that holds one."""
    names: list[str] | None = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            yield Row(number, line, (), "empty")
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            yield Row(number, line, (), "not JSON")
            continue
        if not isinstance(record, dict):
            yield Row(number, line, (), "not a JSON object")
            continue
        if names is None:
            present = list(record)
            names = [present[i] for i in columns.choose(present)]
        yield _row_of_values(number, line, names, [record.get(name) for name in names], columns)


# ---- columnar formats ---------------------------------------------------------------------------------------------


def _parquet_rows(raw: IO[bytes], columns: Columns) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # A Parquet reader jumps about in the file, which a packed stream cannot do at a price worth paying.
    source = raw if isinstance(raw, io.BufferedReader) else io.BytesIO(raw.read())
    try:
        table = pq.ParquetFile(source)
        present = table.schema_arrow.names
        names = [present[i] for i in columns.choose(present)]
        batches = table.iter_batches(BATCH, columns=names)
        read = ({name: _texts(batch.column(name)) for name in names} for batch in batches)
        yield from _batch_rows(read, names, columns)
    except pa.ArrowException as error:
        raise CorpusError(f"{columns.where} cannot be read as Parquet: {_first_line(error)}") from error


def _texts(column: Any) -> list[Any]:
    """Values of an Arrow column; strings pass through bytes, so that one that is not UTF-8 spoils its own row only."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return list(column.to_pylist())
    values = column.cast(pa.large_binary()).to_pylist()
    return [None if value is None else value.decode("utf-8", "surrogateescape") for value in values]


def _hub_rows(name: str, split: str, columns: Columns, revision: str | None, streaming: bool = False) -> Iterator[Row]:
    import datasets

    # The Hub's client raises everything from ConnectionError to ValueError; to the user they are one event.
    try:
        table = datasets.load_dataset(name, split=split, revision=revision, streaming=streaming)
        # Of a stream whose files do not say, the first record tells the columns.
        present = list(table.column_names or next(iter(table)))
    except Exception as error:
        raise _unreachable(name, split, error) from error
    names = [present[i] for i in columns.choose(present)]
    number = 0
    try:
        for row in _batch_rows(table.select_columns(names).iter(BATCH), names, columns):
            number = row.number
            yield row
    except Exception as error:
        reason = _first_line(error)
        raise CorpusError(f"Hub data set {name!r} breaks off after row {number} ({reason}): try again") from error


def _unreachable(name: str, split: str, error: Exception) -> CorpusError:
    return CorpusError(
        f"Hub data set {name!r} (split {split!r}) cannot be loaded: {_first_line(error)};"
        " check the id, the split and the network, or give a local file"
    )


def _batch_rows(batches: Iterable[Any], names: Sequence[str], columns: Columns) -> Iterator[Row]:
    """Rows of batches given as {column: values}."""
    number = 0
    for batch in batches:
        for values in zip(*(batch[name] for name in names), strict=True):
            number += 1
            text = "\t".join(value if isinstance(value, str) else str(value) for value in values)
            yield _row_of_values(number, text, names, values, columns)


def _row_of_values(number: int, text: str, names: Sequence[str], values: Sequence[Any], columns: Columns) -> Row:
    for name, value in zip(names, values, strict=True):
        if value is None and not columns.may_lack(name):
            return Row(number, text, (), f"no value for {name!r}")
        if value is not None and not isinstance(value, str):
            return Row(number, text, (), f"{name!r} is not text")
    return Row(number, text, tuple([value or "" for value in values]))


# ---- small helpers ------------------------------------------------------------------------------------------------


def fold(column: str) -> str:
    """Spellings of a column's name: `Canonical SMILES`, `canonical-smiles` and `canonical_smiles` are one name."""
    return re.sub(r"[\s_-]+", "_", column.strip().strip("#\"'").strip().lower())


def _is_header(cell: str, columns: Columns) -> bool:
    return columns.any_molecule and len(cell) < 40 and fold(cell) in HEADER_WORDS


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__
