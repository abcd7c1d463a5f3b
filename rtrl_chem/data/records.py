"""Files whose records take many lines: SDF, RXN and RDF, cut into blocks without reading them as chemistry.

RDKit reads the blocks, wherever there is a core free to do so; here a row is one record, its number counted from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rtrl_chem.data.readers import Meter, Row, file_lines, guard

__all__ = ["open_records", "record_rows"]

# A molecule of chemistry has some hundred lines; a file without separators must not become one string.
MAX_RECORD = 2_000_000


def open_records(path: Path, format: str, meter: Meter | None = None) -> Iterator[Row]:
    """The records of a file, plain or packed; CorpusError that names it where it is damaged."""

    def rows() -> Iterator[Row]:
        with file_lines(path, meter) as lines:
            yield from record_rows(lines, format)

    return guard(str(path), rows())


def record_rows(lines: Iterator[str], format: str) -> Iterator[Row]:
    """One row for each record; its only cell is the block that RDKit reads: a mol block or an RXN block."""
    records = _sdf_records(lines) if format == "sdf" else _reaction_records(lines, format)
    for number, (block, problem) in enumerate(records, 1):
        yield Row(number, block, () if problem else (block,), problem)


class _Block:
    """Lines of one record, at most `MAX_RECORD` characters of them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.size = 0
        self.complete = False

    def add(self, line: str) -> None:
        self.size += len(line) + 1
        if self.size <= MAX_RECORD:
            self.lines.append(line)

    def read(self) -> tuple[str, str]:
        """(block, problem)."""
        text = "\n".join(self.lines) + "\n"
        if not text.strip():
            return "", "empty"
        return (text[:1000], "too long") if self.size > MAX_RECORD else (text, "")


def _sdf_records(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Mol blocks: what comes before `M  END`; the data fields after it are not ours."""
    block, begun = _Block(), False
    for line in lines:
        if line.startswith("$$$$"):
            yield block.read()
            block, begun = _Block(), False
            continue
        begun = begun or bool(line.strip())
        if not block.complete:
            block.add(line)
            block.complete = line.startswith("M  END")
    if begun:  # a mol file, or an SDF without its last separator
        yield block.read()


def _reaction_records(lines: Iterator[str], format: str) -> Iterator[tuple[str, str]]:
    """RXN blocks, from `$RXN` to the next field of an RDF or the end; an RDF's record without one is a bad row."""
    block: _Block | None = None
    inside = False
    for line in lines:
        starts = line.startswith("$RXN")
        if line.startswith(("$RFMT", "$MFMT")) or (starts and (block is None or block.lines)):
            if block is not None:
                yield _reaction(block)
            block = _Block()
        if starts:
            inside = True
        elif line.startswith(("$DTYPE", "$RFMT", "$MFMT")):
            inside = False
        if inside and block is not None:
            block.add(line)
    if block is not None:
        yield _reaction(block)
    elif format == "rxn":
        yield "", "no reaction in it"


def _reaction(block: _Block) -> tuple[str, str]:
    return block.read() if block.lines else ("", "no reaction in it")
