"""The first pass: cheap counts over every row, and the sample that the expensive measures look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rtrl_chem.data.corpus import PROGRESS_EVERY, admit, reject
from rtrl_chem.data.inspect.counting import Distinct, Reservoir
from rtrl_chem.data.inspect.findings import Count, Example, Histogram, Section
from rtrl_chem.data.inspect.overlap import Known
from rtrl_chem.data.inspect.source import Source
from rtrl_chem.data.readers import Row
from rtrl_chem.errors import CorpusError
from rtrl_chem.tasks import Domain

__all__ = ["Sampled", "Survey", "survey"]

_TEXT = Domain(name="cell", kind="text", tag="CELL")
EXAMPLES_PER_REASON = 3


class Sampled(NamedTuple):
    """A readable row: its number and the text of each side."""

    number: int
    cells: tuple[str, ...]


class Survey:
    """Counts that grow row by row."""

    def __init__(self, sides: Sequence[Domain], benchmarks: Sequence[Known], sample: int, seed: int) -> None:
        self.sides = tuple(sides)
        self.rows = 0
        self.problem = ""
        self.reasons: Counter[str] = Counter()
        self.examples: list[Example] = []
        self.characters: list[Counter[int]] = [Counter() for _ in sides]
        self.distinct = [Distinct() for _ in sides]
        self.distinct_pairs = Distinct()
        self.sample: Reservoir[Sampled] = Reservoir(sample, seed)
        self.matched: list[set[str]] = [set() for _ in benchmarks]
        self._places: dict[str, list[tuple[set[str], str]]] = {}
        for benchmark, matched in zip(benchmarks, self.matched, strict=True):
            for text, block in benchmark.texts.items():
                self._places.setdefault(text, []).append((matched, block))

    def add(self, row: Row) -> None:
        """Count a row, and perhaps keep it."""
        self.rows += 1
        if row.problem:
            self._set_aside(row, row.problem)
            return
        admitted = [admit(cell, _TEXT) for cell in row.cells]
        for found, side in zip(admitted, self.sides, strict=True):
            if found.reason:
                self._set_aside(row, found.reason if len(self.sides) == 1 else f"{side.tag}: {found.reason}")
                return
        texts = tuple(found.item for found in admitted)
        for text, side, characters, distinct in zip(texts, self.sides, self.characters, self.distinct, strict=True):
            characters[len(text)] += 1
            distinct.add(text)
            if side.kind == "molecule" and text in self._places:
                for matched, block in self._places[text]:
                    matched.add(block)
        if len(texts) > 1:
            self.distinct_pairs.add("\t".join(texts))
        self.sample.add(Sampled(row.number, texts))

    def _set_aside(self, row: Row, reason: str) -> None:
        self.reasons[reason] += 1
        if self.reasons[reason] <= EXAMPLES_PER_REASON:
            kept = reject("", row, reason)
            self.examples.append(Example(kept.row, kept.text, reason))

    @property
    def readable(self) -> int:
        """Rows with a text on every side."""
        return self.sample.seen

    def section(self) -> Section:
        """Everything that was counted over all rows."""
        counts = [Count("unreadable", "cannot be read", sum(self.reasons.values()), self.rows, bad=True)]
        counts += [Count(f"unreadable: {r}", f"- {r}", n, self.rows, bad=True) for r, n in self.reasons.most_common()]
        if len(self.sides) > 1:
            counts.append(_repeated("duplicate_pairs", "the same pair again", self.distinct_pairs, self.rows))
            for side, distinct in zip(self.sides, self.distinct, strict=True):
                counts.append(_repeated(f"repeated_{side.tag}", f"{side.name} again", distinct, self.rows))
        else:
            counts.append(_repeated("duplicates", "duplicate text", self.distinct[0], self.rows))
        histograms = [
            Histogram(f"characters_{side.tag}", f"length of {side.noun}", "characters", self.readable, dict(counted))
            for side, counted in zip(self.sides, self.characters, strict=True)
        ]
        return Section("rows", f"All {self.rows:,} rows", tuple(counts), tuple(histograms))


def _repeated(key: str, label: str, distinct: Distinct, rows: int) -> Count:
    note = "" if distinct.step == 1 else f"estimated from 1 in {distinct.step} of all texts"
    bad = key.startswith("dup")
    return Count(key, label, distinct.duplicates, distinct.rows, note, bad)


def survey(
    source: Source,
    benchmarks: Sequence[Known],
    sample: int,
    seed: int,
    on_progress: Callable[[int], None] = lambda rows: None,
) -> Survey:
    """Read all rows of `source` once. `on_progress` gets the number of rows read so far, now and then.

    A file that is damaged midway is surveyed as far as it goes; `problem` says so. CorpusError where no row comes.
    """
    found = Survey(source.sides, benchmarks, sample, seed)
    try:
        for row in source.rows:
            found.add(row)
            if found.rows % PROGRESS_EVERY == 0:
                on_progress(found.rows)
    except CorpusError as error:
        if not found.rows:
            raise
        found.problem = str(error)
    return found
