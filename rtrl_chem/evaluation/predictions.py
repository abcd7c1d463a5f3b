"""Saved predictions of any model: JSON Lines or MolT5's tab-separated files, read so that every row is accounted for.

JSON Lines: one object per row with `source`, `target`, and `output` or `outputs` (best first); optional
`reconstruction` or `reconstructions` (what a model for the way back made of each output), `classes` (the reaction
class of each output), `nats` with `tokens` (log p of the source given the first output, and over how many tokens),
`truncated` (whether an output was cut off by a token limit). Tab-separated: a header with `output` and `ground truth`;
the source is the first other column. SMolInstruct's names (`input`, `gold`, `pred`) are read as well. A `target` may be
a list, of which the first counts; the SMolInstruct dialect takes them all.

An answer that is missing or null is an empty answer, which scores 0: it must not leave the denominator. A row is set
aside only where it cannot be told what was asked or answered, with the reason; rows scored and rows set aside add up to
the rows of the file.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from rtrl_chem.data.readers import open_lines
from rtrl_chem.errors import ConfigError, CorpusError

__all__ = ["Row", "SavedPredictions", "read_saved"]

_NAMES: dict[str, tuple[str, ...]] = {
    "source": ("source", "input"),
    "target": ("target", "ground truth", "ground_truth", "gold", "reference"),
    "outputs": ("outputs", "output", "pred", "prediction", "predictions"),
    "reconstructions": ("reconstructions", "reconstruction"),
    "classes": ("classes",),
}
_FAR = 1e9
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: `number` is its line in the file, `outputs` best first, at least one ("" for none).

    `target` is None in a file without labels, `more_targets` are right answers beside it; `reconstructions` and
    `classes` belong to the outputs one by one. `nats` and `tokens`, both or none, and `truncated` are of the first
    output.
    """

    number: int
    source: str
    target: str | None
    outputs: tuple[str, ...]
    reconstructions: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    more_targets: tuple[str, ...] = ()
    nats: float | None = None
    tokens: int | None = None
    truncated: bool | None = None

    @property
    def output(self) -> str:
        """The first output."""
        return self.outputs[0]


@dataclass(frozen=True)
class SavedPredictions:
    """The rows of a file that can be scored, and what became of the others: `rows_in` = rows + sum of `set_aside`."""

    path: Path
    rows: list[Row]
    rows_in: int
    set_aside: dict[str, int] = field(default_factory=dict)

    @property
    def ranks(self) -> int:
        """The most outputs that a row has."""
        return max((len(row.outputs) for row in self.rows), default=0)

    @property
    def labelled(self) -> bool:
        """Whether rows have targets."""
        return any(row.target is not None for row in self.rows)

    def counts(self) -> dict[str, Any]:
        """`rows_in`, `scored`, `empty` (scored rows whose first output is empty) and `set_aside` by reason; where there
        are any, `several_targets` (rows with more than one)."""
        empty = sum(not row.output for row in self.rows)
        found = {"rows_in": self.rows_in, "scored": len(self.rows), "empty": empty, "set_aside": self.set_aside}
        several = sum(bool(row.more_targets) for row in self.rows)
        return found | ({"several_targets": several} if several else {})


class _Unusable(Exception):
    """A row that cannot be scored; the message is the reason."""


def read_saved(path: Path) -> SavedPredictions:
    """Read a file of predictions, gzipped or not; bytes that are not UTF-8 become U+FFFD.

    ConfigError if there is no such file or its header names no output, CorpusError if no row can be used.
    """
    if not path.is_file():
        raise ConfigError(f"no file {str(path)!r}: give a file of predictions, JSON Lines or tab-separated")
    rows: list[Row] = []
    reasons: Counter[str] = Counter()
    total = 0
    with open_lines(path) as lines:
        for total, found in enumerate(_parsed(path, lines), start=1):  # noqa: B007  # the count is used after the loop
            if isinstance(found, Row):
                rows.append(found)
            else:
                reasons[found] += 1
    if any(row.target is not None for row in rows):
        unlabelled = [row for row in rows if row.target is None]
        reasons.update({"no target": len(unlabelled)} if unlabelled else {})
        rows = [row for row in rows if row.target is not None]
    if not rows:
        why = ", ".join(f"{reason}: {count}" for reason, count in reasons.items()) or "it is empty"
        raise CorpusError(f"{path}: none of its {total} rows can be scored ({why})")
    return SavedPredictions(path, rows, total, dict(reasons))


def _parsed(path: Path, lines: Iterator[str]) -> Iterator[Row | str]:
    """Each row of the file, or the reason why it is set aside."""
    head = list(islice(lines, 1))
    if not head:
        return
    whole = chain(head, lines)
    if _is_json_lines(path, head[0]):
        yield from _json_rows(whole)
    else:
        yield from _table_rows(path, whole)


def _is_json_lines(path: Path, first: str) -> bool:
    name = path.name.lower().removesuffix(".gz")
    return name.endswith((".jsonl", ".ndjson", ".json")) or (
        not name.endswith(".tsv") and first.lstrip().startswith("{")
    )


# ---- JSON Lines ---------------------------------------------------------------------------------------------------


def _json_rows(lines: Iterable[str]) -> Iterator[Row | str]:
    for number, line in enumerate(lines, start=1):
        try:
            yield _json_row(number, line)
        except _Unusable as reason:
            yield str(reason)


def _json_row(number: int, line: str) -> Row:
    if not line.strip():
        raise _Unusable("empty line")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise _Unusable("not JSON") from None
    if not isinstance(record, dict):
        raise _Unusable("not a JSON object")
    values = {key: _first_named(record, names) for key, names in _NAMES.items()}
    if not any(name in record for name in _NAMES["outputs"]):
        raise _Unusable("no output")
    target, *more = _texts(values["target"], "target") or (None,)
    return Row(
        number,
        _text(values["source"], "source") or "",
        target,
        _texts(values["outputs"], "output") or ("",),
        _texts(values["reconstructions"], "reconstruction"),
        _texts(values["classes"], "class"),
        tuple(text for text in more if text is not None),
        *_likelihood(record),
        _flag(record.get("truncated")),
    )


def _likelihood(record: Mapping[str, Any]) -> tuple[float | None, int | None]:
    """`nats` and `tokens`; neither where they are not numbers: an unknown key may have these names."""
    nats: Any = record.get("nats")
    tokens: Any = record.get("tokens")
    if type(nats) not in (int, float) or type(tokens) is not int or tokens < 1:
        return None, None
    # Log-probabilities are nowhere near; an integer beyond them need not even be a float.
    return (float(nats), tokens) if abs(nats) < _FAR else (None, None)


def _flag(value: Any) -> bool | None:
    """True or false of the first output; None where that is not said."""
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, bool) else None


def _first_named(record: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _text(value: Any, what: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _Unusable(f"{what} is not text")
    return None if value is None else _clean(value)


def _texts(value: Any, what: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    return tuple(_text(one, what) or "" for one in (value if isinstance(value, list) else [value]))


# ---- tab-separated ------------------------------------------------------------------------------------------------


def _table_rows(path: Path, lines: Iterator[str]) -> Iterator[Row | str]:
    """Quotes are ordinary characters, as in MolT5's scripts; cells beyond the header are left alone."""
    header = [name.strip() for name in next(lines).split("\t")]
    output, target = _column(header, "outputs"), _column(header, "target")
    if output is None:
        raise ConfigError(
            f"{path}: no column 'output' among {header}: predictions are JSON Lines with source, target and output, "
            "or tab-separated with a header such as SMILES, ground truth, output"
        )
    source = _column(header, "source")
    if source is None:
        source = next((i for i in range(len(header)) if i not in (output, target)), None)
    for number, line in enumerate(lines, start=2):
        cells = line.split("\t")
        if not line.strip():
            yield "empty line"
        elif target is not None and len(cells) <= target:
            yield "fewer cells than the header"
        else:
            yield Row(number, _cell(cells, source) or "", _cell(cells, target), (_cell(cells, output) or "",))


def _column(header: Sequence[str], key: str) -> int | None:
    folded = [name.lower() for name in header]
    return next((folded.index(name) for name in _NAMES[key] if name in folded), None)


def _cell(cells: Sequence[str], column: int | None) -> str | None:
    """The cell; "" where the line ends before it, as when an editor has cut an empty last cell."""
    if column is None:
        return None
    return _clean(cells[column]) if column < len(cells) else ""


def _clean(text: str) -> str:
    """Bytes that were not UTF-8, and halves of surrogate pairs, as U+FFFD: no library downstream takes them."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)
