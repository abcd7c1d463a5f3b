"""What an inspection found, as plain values: the terminal, `inspect.json` and the page all show these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Count", "Example", "Histogram", "Inspection", "Overlap", "Section"]


@dataclass(frozen=True)
class Count:
    """So many of so many. `note` says what exactly is counted, `bad` that one would rather have none."""

    key: str
    label: str
    count: int
    of: int
    note: str = ""
    bad: bool = False

    @property
    def share(self) -> float:
        """In [0, 1]; 0 of nothing is 0."""
        return self.count / self.of if self.of else 0.0


@dataclass(frozen=True)
class Histogram:
    """How often each value occurs: of a number (`unit` says which) or, where `categories`, of a word, commonest first.

    Categories may overlap (a molecule has many elements), so their counts are each out of `of` items.
    """

    key: str
    label: str
    unit: str
    of: int
    counts: Mapping[Any, int]
    categories: bool = False
    limit: int | None = None

    def quantile(self, share: float) -> Any:
        """The smallest value that at least this share of the items do not exceed; numbers only."""
        wanted, seen = share * sum(self.counts.values()), 0
        values = sorted(self.counts)
        for value in values:
            seen += self.counts[value]
            if seen >= wanted:
                return value
        return values[-1] if values else None

    def summary(self) -> dict[str, Any]:
        """min, median, 95%, 99% and max of a number."""
        if self.categories or not self.counts:
            return {}
        points = {"min": 0.0, "median": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
        return {name: self.quantile(share) for name, share in points.items()}

    def to_json(self) -> dict[str, Any]:
        """With the counts as pairs, since JSON has no numbers as keys."""
        order = self.counts if self.categories else sorted(self.counts)
        record = {"key": self.key, "label": self.label, "unit": self.unit, "of": self.of, **self.summary()}
        return record | {"limit": self.limit, "counts": [[value, self.counts[value]] for value in order]}


@dataclass(frozen=True)
class Section:
    """Counts and histograms that belong together: the rows, one side of a task (its name is `of`), the pairs."""

    key: str
    title: str
    counts: tuple[Count, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    of: str = ""

    def to_json(self) -> dict[str, Any]:
        """Everything, each count with its share."""
        return {
            "title": self.title,
            "of": self.of,
            "counts": [asdict(count) | {"share": count.share} for count in self.counts],
            "histograms": [histogram.to_json() for histogram in self.histograms],
        }


@dataclass(frozen=True)
class Overlap:
    """A benchmark's molecules in the corpus, or why they could not be looked for.

    `by_key`: sampled items with the InChIKey first block of one of its molecules; `found`: its molecules that these
    are. `by_text`: its molecules of which the canonical SMILES, with or without stereo, is a row of the corpus: all
    rows are looked at, but other spellings are missed.
    """

    suite: str
    molecules: int = 0
    by_key: int = 0
    found: int = 0
    of: int = 0
    by_text: int = 0
    unreachable: str = ""


@dataclass(frozen=True)
class Example:
    """A row and what is the matter with it; `text` is what it holds, `detail` what shows it."""

    row: int
    text: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Drawn:
    """A molecule to draw: its row, its SMILES, what goes with it."""

    row: int
    smiles: str
    label: str = ""


@dataclass(frozen=True)
class Inspection:
    """Everything found in one corpus. `rows` is all of it, `readable` the rows that hold something on every side,
    `sampled` how many of these the expensive measures looked at. `problem` says what ended the reading early."""

    where: str
    kind: str
    rows: int
    readable: int
    sampled: int
    seed: int
    sections: tuple[Section, ...]
    overlaps: tuple[Overlap, ...]
    examples: tuple[Example, ...]
    drawn: tuple[Drawn, ...]
    remarks: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether the sample is every readable row."""
        return self.sampled >= self.readable

    def to_json(self) -> dict[str, Any]:
        """What `inspect.json` holds."""
        return {
            "format": "rtrl-chem inspection",
            "version": 1,
            "where": self.where,
            "kind": self.kind,
            "rows": self.rows,
            "readable": self.readable,
            "sampled": self.sampled,
            "seed": self.seed,
            "problem": self.problem,
            "remarks": list(self.remarks),
            "sections": {section.key: section.to_json() for section in self.sections},
            "overlaps": [asdict(overlap) for overlap in self.overlaps],
            "examples": [asdict(example) for example in self.examples],
            "settings": dict(self.settings),
            "versions": dict(self.versions),
        }
