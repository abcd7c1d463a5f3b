"""What is inspected: a prepared corpus, a file of molecules, a file of labelled pairs; always a stream of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtrl_chem.data.prepared import PreparedCorpus, open_prepared
from rtrl_chem.data.readers import Columns, Row, open_rows
from rtrl_chem.errors import ConfigError
from rtrl_chem.tasks import TASKS, Domain, Task

__all__ = ["Source", "open_source"]


@dataclass(frozen=True)
class Source:
    """Rows with one cell per side. `manifest` is that of a prepared corpus, else empty."""

    where: str
    sides: tuple[Domain, ...]
    rows: Iterator[Row]
    task: Task | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What it is, in words."""
        what = f"pairs of {self.sides[0].name} and {self.sides[1].name}" if len(self.sides) > 1 else "molecules"
        return f"prepared corpus of {what}" if self.manifest else what


def open_source(
    path: str | Path, task: Task | None = None, fields: tuple[str, ...] = (), format: str | None = None
) -> Source:
    """The rows at `path`: a folder that `rtrl-chem prepare` wrote, or anything that `read_corpus` reads.

    Without a task a file holds molecules. `fields` names the columns, one or, for pairs, two. ConfigError where the
    call is wrong, CorpusError where a prepared corpus is damaged; reading raises what `open_rows` does.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        sides = _sides(task)
        where, rows = open_rows(path, Columns(sides, _fields(fields, len(sides)), str(path)), format)
        return Source(where, sides, rows, task)
    corpus = open_prepared(folder)
    if task is None and corpus.manifest.get("task_domain") == "reaction":
        task = TASKS["reaction"]
    sides = _sides(task)
    columns = Columns(sides, _fields(fields, len(sides)), str(path))
    return Source(str(path), sides, _shard_rows(corpus, columns), task, corpus.manifest)


def _sides(task: Task | None) -> tuple[Domain, ...]:
    return (task.left, task.right) if task else (TASKS["naming"].left,)


def _fields(fields: tuple[str, ...], sides: int) -> tuple[str | None, ...]:
    if fields and len(fields) != sides:
        raise ConfigError(f"--field: got {len(fields)} ({', '.join(fields)}), must be {sides}, one for each side")
    return fields or (None,) * sides


def _shard_rows(corpus: PreparedCorpus, columns: Columns) -> Iterator[Row]:
    """The rows of all shards of all splits, numbered through."""
    before = 0
    for file in [file for split in corpus.rows for file in corpus.shards(split)]:
        number = 0
        for row in open_rows(file, columns, "parquet")[1]:
            number = row.number
            yield row._replace(number=before + number)
        before += number
