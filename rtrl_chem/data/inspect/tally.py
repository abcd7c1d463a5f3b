"""The second pass: what RDKit, the tokenizer and OPSIN say of the sampled rows, added up row by row."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rdkit import rdBase

from rtrl_chem.chem.naming import Opsin
from rtrl_chem.data.inspect.findings import Count, Drawn, Example, Histogram, Overlap, Section
from rtrl_chem.data.inspect.overlap import Known
from rtrl_chem.data.inspect.pairs import (
    NAME_CHECKS,
    Problem,
    checks_of,
    has_names,
    name_problem,
    pair_problems,
)
from rtrl_chem.data.inspect.structures import Facts, examine
from rtrl_chem.data.inspect.survey import EXAMPLES_PER_REASON, Sampled, Survey
from rtrl_chem.tasks import Domain, Task

__all__ = ["Examined", "Tally", "examine_rows"]

# OPSIN costs a second a call, so names wait for company.
_NAMES_AT_ONCE = 20_000
DRAWN = 24
EXAMPLE_TEXT = 300


@dataclass(frozen=True)
class Examined:
    """A sampled row with the facts of its structure sides (None for a text) and the problems of the pair."""

    row: Sampled
    facts: tuple[Facts | None, ...]
    problems: tuple[Problem, ...] = ()


def examine_rows(rows: list[Sampled], sides: tuple[Domain, ...], task: Task | None) -> list[Examined]:
    """The expensive part, for a process of its own."""
    found = []
    with rdBase.BlockLogs():
        for row in rows:
            facts = tuple(
                examine(cell, side) if side.is_structure else None for cell, side in zip(row.cells, sides, strict=True)
            )
            problems = pair_problems(row.cells, facts, task) if task else []
            found.append(Examined(row, facts, tuple(problems)))
    return found


# What is counted of each valid structure: key, label, whether one would rather have none of it, test.
_FLAGS: tuple[tuple[str, str, bool, Callable[[Facts], bool]], ...] = (
    ("stereo", "with stereo", False, lambda f: f.stereo),
    ("open_stereo", "with stereo left open", False, lambda f: f.open_stereo),
    ("ions", "with ions", False, lambda f: f.ions),
    ("net_charge", "with a net charge", False, lambda f: f.charge != 0),
    ("fragments", "of several fragments (salts, mixtures)", False, lambda f: f.fragments > 1),
    ("isotopes", "with isotopes", False, lambda f: f.isotopes),
    ("radicals", "with radicals", False, lambda f: f.radicals),
    ("wildcards", "with wildcard atoms", True, lambda f: f.wildcards),
    ("atom_maps", "with atom maps", True, lambda f: f.mapped),
    ("doubled_backslashes", "with doubled backslashes", True, lambda f: f.repaired),
    ("not_canonical", "not written as RDKit writes it", False, lambda f: f.respelled),
)
_NUMBERS: tuple[tuple[str, str, str, Callable[[Facts], int]], ...] = (
    ("heavy_atoms", "size", "heavy atoms", lambda f: f.heavy_atoms),
    ("weight", "weight", "g/mol", lambda f: round(f.weight)),
    ("rings", "rings", "rings", lambda f: f.rings),
)


class Side:
    """What is counted of one structure side."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.seen = 0
        self.reasons: Counter[str] = Counter()
        self.flags: Counter[str] = Counter()
        self.numbers: dict[str, Counter[int]] = {key: Counter() for key, *_ in _NUMBERS}
        self.elements: Counter[str] = Counter()
        self.groups: Counter[str] = Counter()
        self.structures: set[str] = set()

    def add(self, facts: Facts) -> None:
        """Count one structure."""
        self.seen += 1
        if facts.reason:
            self.reasons[facts.reason] += 1
            return
        self.flags.update(key for key, _, _, test in _FLAGS if test(facts))
        for key, _, _, number in _NUMBERS:
            self.numbers[key][number(facts)] += 1
        self.elements.update(symbol for symbol, _ in facts.elements)
        self.groups.update(facts.groups)
        self.structures.add(facts.item)

    def section(self, tokens: Sequence[Histogram], limits: Sequence[Count], is_complete: bool) -> Section:
        """Counts and histograms of the side; duplicates only where all rows were looked at."""
        invalid = sum(self.reasons.values())
        valid = self.seen - invalid
        counts = [Count("invalid", "invalid", invalid, self.seen, bad=True)]
        counts += [Count(f"invalid: {r}", f"- {r}", n, self.seen, bad=True) for r, n in self.reasons.most_common()]
        if is_complete and self.domain.kind == "molecule":
            repeated = valid - len(self.structures)
            counts.append(Count("duplicate_structures", "structure seen before", repeated, valid, "canonical SMILES"))
        wanted = [flag for flag in _FLAGS if flag[0] != "fragments" or self.domain.kind == "molecule"]
        counts += [Count(key, label, self.flags[key], valid, bad=bad) for key, label, bad, _ in wanted]
        histograms = [Histogram(key, label, unit, valid, self.numbers[key]) for key, label, unit, _ in _NUMBERS]
        for key, label, counted in (
            ("elements", "elements", self.elements),
            ("groups", "functional groups", self.groups),
        ):
            ordered = dict(counted.most_common())
            histograms.append(Histogram(key, label, "structures that have it", valid, ordered, categories=True))
        title = f"{self.domain.noun}, {self.seen:,} rows"
        return Section(self.domain.tag, title, (*counts, *limits), (*histograms, *tokens), self.domain.name)


class Tally:
    """Everything that is counted over the sample."""

    def __init__(
        self,
        sides: tuple[Domain, ...],
        task: Task | None,
        benchmarks: Sequence[Known],
        token_lengths: Callable[[list[str]], list[int]] | None = None,
        max_tokens: int | None = None,
        seed: int = 0,
    ) -> None:
        self.sides, self.task, self.benchmarks = sides, task, benchmarks
        self.token_lengths, self.max_tokens, self.seed = token_lengths, max_tokens, seed
        self.structures = [Side(side) if side.is_structure else None for side in sides]
        self.tokens: list[Counter[int]] = [Counter() for _ in sides]
        self.problems: Counter[str] = Counter()
        self.examples: list[Example] = []
        self.rows = self.pairs = self.named = 0
        self._shown: Counter[str] = Counter()
        self.blocks: Counter[str] = Counter()
        self._to_name: list[tuple[Sampled, str]] = []
        self.remarks: list[str] = []
        self.checks_names = task is not None and has_names(task)
        if self.checks_names and not Opsin.available():
            self.checks_names = False
            self.remarks.append("names were not checked: OPSIN needs Java and py2opsin (extra `pairs` or `opsin`)")

    def add(self, examined: Examined) -> None:
        """Count one row."""
        self.rows += 1
        for side, facts in zip(self.structures, examined.facts, strict=True):
            if side is not None and facts is not None:
                side.add(facts)
                if facts.reason:
                    self._show(examined.row, facts.reason if not self.task else f"{side.domain.tag}: {facts.reason}")
                    continue
                if side.domain.kind == "molecule":
                    self.blocks[facts.block] += 1
                for label in (label for _, label, bad, test in _FLAGS if bad and test(facts)):
                    self._show(examined.row, label)
        if self.task is not None:
            self._add_pair(examined)

    def _add_pair(self, examined: Examined) -> None:
        if all(facts is None or not facts.reason for facts in examined.facts):
            self.pairs += 1
        for problem in examined.problems:
            self._count(examined.row, problem)
        left = examined.facts[0]
        if self.checks_names and left is not None and not left.reason:
            self._to_name.append((examined.row, left.item))
            if len(self._to_name) >= _NAMES_AT_ONCE:
                self._read_names()

    def _read_names(self) -> None:
        names = [row.cells[1] for row, _ in self._to_name]
        self.named += len(names)
        for (row, molecule), read in zip(self._to_name, Opsin().read(names), strict=True):
            if problem := name_problem(molecule, read):
                self._count(row, problem)
        self._to_name.clear()

    def _count(self, row: Sampled, problem: Problem) -> None:
        self.problems[problem.key] += 1
        label = (checks_of(self.task) | NAME_CHECKS)[problem.key] if self.task else problem.key
        self._show(row, label, problem.detail)

    def _show(self, row: Sampled, reason: str, detail: str = "") -> None:
        self._shown[reason] += 1
        if self._shown[reason] <= EXAMPLES_PER_REASON:
            text = "  |  ".join(row.cells)
            self.examples.append(Example(row.number, text[:EXAMPLE_TEXT], reason, detail[:EXAMPLE_TEXT]))

    def add_tokens(self, rows: Iterable[Sampled]) -> None:
        """Count the tokens of these rows."""
        if self.token_lengths is None:
            return
        for counted, texts in zip(self.tokens, zip(*(row.cells for row in rows), strict=True), strict=False):
            counted.update(self.token_lengths(list(texts)))

    def finish(self) -> None:
        """Read the names that still wait."""
        if self._to_name:
            self._read_names()

    def sections(self, is_complete: bool) -> list[Section]:
        """One section per side, and one of the pairs."""
        found = []
        for side, domain, tokens in zip(self.structures, self.sides, self.tokens, strict=True):
            histograms, limits = self._token_measures(domain, tokens)
            if side is not None:
                found.append(side.section(histograms, limits, is_complete))
            elif histograms:
                title = f"{domain.name}, {self.rows:,} rows"
                found.append(Section(domain.tag, title, tuple(limits), tuple(histograms), domain.name))
        if self.task is not None:
            found.append(self._pair_section(self.task))
        return found

    def _token_measures(self, domain: Domain, tokens: Counter[int]) -> tuple[list[Histogram], list[Count]]:
        if self.token_lengths is None:
            return [], []
        shown = Histogram(f"tokens_{domain.tag}", f"tokens of {domain.noun}", "tokens", self.rows, tokens)
        if self.max_tokens is None:
            return [shown], []
        over = sum(n for length, n in tokens.items() if length > self.max_tokens)
        limit = Count(f"over_limit_{domain.tag}", f"over {self.max_tokens:,} tokens", over, self.rows, bad=True)
        return [Histogram(shown.key, shown.label, shown.unit, shown.of, tokens, limit=self.max_tokens)], [limit]

    def _pair_section(self, task: Task) -> Section:
        counts = [Count(key, label, self.problems[key], self.rows, bad=True) for key, label in checks_of(task).items()]
        if self.checks_names:
            named = NAME_CHECKS.items()
            counts += [Count(key, label, self.problems[key], self.named, bad=True) for key, label in named]
        return Section("pairs", f"Pairs, {self.rows:,} rows", tuple(counts))

    def overlaps(self, survey: Survey) -> list[Overlap]:
        """The benchmarks, those that share most molecules first; what could not be read comes last."""
        found = []
        for benchmark, matched in zip(self.benchmarks, survey.matched, strict=True):
            shared = benchmark.blocks.intersection(self.blocks)
            found.append(
                Overlap(
                    suite=benchmark.name,
                    molecules=len(benchmark.blocks),
                    by_key=sum(self.blocks[block] for block in shared),
                    found=len(shared),
                    of=self.rows,
                    by_text=len(matched),
                    unreachable=benchmark.unreachable,
                )
            )
        return sorted(found, key=lambda o: (bool(o.unreachable), -max(o.found, o.by_text), o.suite))


def choose_drawn(rows: Sequence[Examined], seed: int) -> list[Drawn]:
    """Up to `DRAWN` valid molecules or reactions, chosen at random among `rows`."""
    chosen = list(rows)
    random.Random(seed).shuffle(chosen)
    return [drawn for examined in chosen if (drawn := _drawn(examined))][:DRAWN]


def _drawn(examined: Examined) -> Drawn | None:
    structures = [facts.item for facts in examined.facts if facts is not None and not facts.reason]
    if len(structures) < sum(facts is not None for facts in examined.facts):
        return None
    texts = [cell for cell, facts in zip(examined.row.cells, examined.facts, strict=True) if facts is None]
    return Drawn(examined.row.number, ">>".join(structures), texts[0] if texts else "")
