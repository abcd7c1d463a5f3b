"""A corpus of unlabelled items: what round-trip RL trains on.

`read_corpus` turns any file into clean, distinct items and sets aside, with its reason, every row it cannot use:

    rows_in == len(items) + duplicates + len(rejects)

A prepared corpus (`rtrl_chem.data.prepared`) has been through that: its items stay on disk. `stream_corpus` reads
what neither fits into memory nor can be mapped.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtrl_chem import chem
from rtrl_chem.data.pool import Column
from rtrl_chem.data.prepared import is_prepared, open_prepared
from rtrl_chem.data.readers import Columns, Row, open_rows
from rtrl_chem.data.stream import Stream
from rtrl_chem.durable import replacing
from rtrl_chem.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from rtrl_chem.tasks import Domain

__all__ = [
    "Admitted",
    "Corpus",
    "Reject",
    "admit",
    "printable",
    "read_corpus",
    "stream_corpus",
    "unreadable",
    "write_rejects",
]

# Far beyond any caption (`chem.MAX_LENGTH`, for molecules, is lower): a megabyte on one line is not an item.
MAX_CHARACTERS = 20_000
REJECT_TEXT = 200
PROGRESS_EVERY = 2_000
# So many rows of a prepared corpus are looked at: RDKit's canonical SMILES change between its releases.
SPOT_CHECKS = 100
DOUBLED_BACKSLASH = re.compile(r"\\{2,}")
STRAY = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Reject:
    """A row set aside: its file, its line there (1-based), its text (at most 200 characters) and why."""

    file: str
    row: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """What became of one cell: the clean `item`, or "" and the `reason`; `repaired` if its spelling was mended."""

    item: str
    reason: str = ""
    repaired: bool = False


@dataclass(frozen=True)
class Corpus:
    """Distinct clean items in file order, and an account of every row.

    Structures are canonical isomeric SMILES (of several molecules: their canonical SMILES, sorted, joined by dots);
    texts are stripped. `repaired` counts kept or duplicate rows whose doubled backslashes were undone; `note` is
    something else that a user should know about the file. The items of a prepared corpus are a `Column`.
    """

    items: Sequence[str]
    rejects: list[Reject]
    rows_in: int
    files: tuple[str, ...]
    duplicates: int = 0
    repaired: int = 0
    note: str = ""

    def __len__(self) -> int:
        return len(self.items)

    def fingerprint(self) -> str:
        """sha256 over the items in order, as hex: equal exactly when the items are."""
        return fingerprint(self.items)

    def reject_reasons(self) -> dict[str, int]:
        """Count of each reject reason, commonest first."""
        return count_reasons(self.rejects)

    def summary(self) -> str:
        """One line for a log."""
        found = summarise(self.files, len(self.items), self.rows_in, self.duplicates, self.repaired, self.rejects)
        return found + self.note


def read_corpus(
    path: str | Path,
    domain: Domain,
    field: str | None = None,
    *,
    format: str | None = None,
    split: str = "train",
    on_progress: Callable[[int], None] | None = None,
) -> Corpus:
    """Read the items of `domain` from a file (see `readers.FORMATS`), a prepared corpus, `bundled:NAME` or a Hub data
    set id `org/name`.

    `field` names the column (default: the usual names of the domain), `format` overrides the file's ending, `split` is
    the prepared corpus's or the Hub data set's. `on_progress` is called now and then with the number of rows read so
    far.
    Raises ConfigError for a wrong call (missing file, folder, no such column), CorpusError for data that cannot be read
    or holds not one usable item.
    """
    columns = Columns((domain,), (field,), str(path))
    if Path(path).expanduser().is_dir():
        return _read_prepared(path, columns, split)
    where, rows = open_rows(path, columns, format, split)
    seen: dict[str, None] = {}
    rejects: list[Reject] = []
    rows_in = repaired = 0
    for row in rows:
        rows_in += 1
        if on_progress is not None and rows_in % PROGRESS_EVERY == 0:
            on_progress(rows_in)
        entry = _admit_row(row, domain)
        if entry.reason:
            rejects.append(reject(where, row, entry.reason))
            continue
        repaired += entry.repaired
        seen[entry.item] = None
    require_some(where, len(seen), rejects, wanted=domain.tag)
    duplicates = rows_in - len(rejects) - len(seen)
    return Corpus(list(seen), rejects, rows_in, (where,), duplicates, repaired)


def stream_corpus(
    path: str | Path, domain: Domain, field: str | None = None, *, format: str | None = None, buffer: int
) -> Stream:
    """The items of `domain` in a file, `bundled:NAME` or a Hub data set, read while they are used, with a shuffle
    buffer of so many items. Errors as for `read_corpus`, some of them only while reading; ConfigError for a folder."""
    if is_prepared(path):
        raise ConfigError(f"{path} is a prepared corpus, which is read at random: leave data.streaming out")
    columns = Columns((domain,), (field,), str(path))

    def read() -> Iterator[Admitted]:
        _, rows = open_rows(path, columns, format, streaming=True)
        return (_admit_row(row, domain) for row in rows)

    next(read(), None)  # a file that is not there or has no such column is found out now
    return Stream(str(path), read, buffer)


def _read_prepared(path: str | Path, columns: Columns, split: str) -> Corpus:
    (items,), note = read_prepared(path, columns, split)
    return Corpus(items, [], len(items), (str(path),), note=note)


def read_prepared(path: str | Path, columns: Columns, split: str) -> tuple[list[Column], str]:
    """The wanted columns of a prepared corpus, and a note for its summary. Errors as for `PreparedCorpus.column`."""
    corpus = open_prepared(path)
    present = corpus.columns(split)
    found = [corpus.column(present[i], split) for i in columns.choose(present)]
    note = f" (prepared corpus, {split})" + "".join(map(_spot_check, found, columns.domains))
    return found, note


def _spot_check(column: Column, domain: Domain) -> str:
    """A warning if rows of a prepared corpus are not spelt as `admit` spells them, so that comparing them with other
    data, such as held-out items, would miss some."""
    rows = column.take(np.arange(0, len(column), max(1, len(column) // SPOT_CHECKS)))
    strange = sum(admit(text, domain).item != text for text in rows)
    if not strange:
        return ""
    return (
        f"; WARNING: {strange} of {len(rows)} {domain.tag} looked at are spelt otherwise by this version of RDKit, so "
        "held-out items may not be recognised: prepare the corpus anew"
    )


def _admit_row(row: Row, domain: Domain) -> Admitted:
    return Admitted("", row.problem) if row.problem else admit(row.cells[0], domain)


def admit(text: str, domain: Domain) -> Admitted:
    """Clean one cell, or say why not; the only place that decides what may enter a corpus.

    >>> from rtrl_chem.tasks import Domain
    >>> admit(" OCC ", Domain("smiles", "molecule", "SMILES"))
    Admitted(item='CCO', reason='', repaired=False)
    >>> admit("ethanol", Domain("smiles", "molecule", "SMILES")).reason
    'does not parse'
    """
    text = text.strip()
    if reason := unreadable(text):
        return Admitted("", reason)
    if not domain.is_structure:
        return Admitted(text)
    # ChEBI-20 and its offspring double the backslashes of some SMILES. RDKit reads them; a language model learns them.
    doubled = "\\\\" in text
    if doubled:
        text = DOUBLED_BACKSLASH.sub(r"\\", text)
    molecule = chem.parse(text)
    if molecule is None:
        return Admitted("", chem.invalid_reason(text))
    item = molecule.canonical if domain.kind == "molecule" else ".".join(molecule.fragments)
    return Admitted(item, repaired=doubled)


def unreadable(text: str) -> str:
    """Why a cell cannot be used whatever its domain; "" if it can."""
    if not text:
        return "empty"
    if len(text) > MAX_CHARACTERS:
        return "too long"
    # RDKit takes C strings: what follows a NUL would be lost unseen.
    if "\0" in text:
        return "NUL byte"
    if not text.isascii() and not _encodes(text):
        return "not UTF-8"
    return ""


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def reject(where: str, row: Row, reason: str) -> Reject:
    """The reject for a row."""
    return Reject(where, row.number, printable(row.text, REJECT_TEXT), reason)


def printable(text: str, limit: int) -> str:
    """At most `limit` characters; bytes that are not UTF-8 become `\\xNN`, so that it can be written anywhere."""
    return STRAY.sub(_show, text[:limit])[:limit]


def _show(stray: re.Match[str]) -> str:
    # surrogateescape keeps byte 0xNN as U+DCNN; any other lone surrogate came from a JSON escape.
    code = ord(stray[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def require_some(where: str, kept: int, rejects: list[Reject], wanted: str) -> None:
    """CorpusError if nothing was kept: what the file held instead, by reason, with an example."""
    if kept:
        return
    if not rejects:
        raise CorpusError(f"{where} is empty: it must hold at least one {wanted}")
    (reason, count), *_ = count_reasons(rejects).items()
    example = next(r for r in rejects if r.reason == reason)
    raise CorpusError(
        f"{where}: none of its {len(rejects)} rows could be read as {wanted}, most often ({count}) because: {reason}"
        f" (row {example.row}: {example.text[:60]!r}); check the file, or the column given by `field`"
    )


def count_reasons(rejects: Iterable[Reject]) -> dict[str, int]:
    """Count of each reason, commonest first."""
    return dict(Counter(r.reason for r in rejects).most_common())


def summarise(
    files: tuple[str, ...], kept: int, rows_in: int, duplicates: int, repaired: int, rejects: list[Reject]
) -> str:
    """`my.smi: 970 of 1,000 rows kept, 20 duplicates, 10 rejected (does not parse 8, empty 2), 3 repaired`."""
    text = f"{', '.join(files)}: {kept:,} of {rows_in:,} rows kept"
    if duplicates:
        text += f", {duplicates:,} duplicates"
    if rejects:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in count_reasons(rejects).items())
        text += f", {len(rejects):,} rejected ({reasons})"
    return text + (f", {repaired:,} repaired" if repaired else "")


def fingerprint(items: Iterable[str]) -> str:
    """sha256 over strings in order, as hex. Each goes in with its length: no two lists run together alike."""
    digest = hashlib.sha256()
    for item in items:
        data = item.encode("utf-8")
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


def write_rejects(rejects: Iterable[Reject], path: str | Path) -> None:
    """Write rejects as JSON lines (`file, row, text, reason`), in full or not at all."""
    with replacing(Path(path)) as partial, open(partial, "w", encoding="utf-8") as handle:
        for r in rejects:
            record = {"file": r.file, "row": r.row, "text": r.text, "reason": r.reason}
            handle.write(json.dumps(record, ensure_ascii=False) + "\n")
