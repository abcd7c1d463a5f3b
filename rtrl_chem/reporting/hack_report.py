"""How a run tried to cheat: verdicts over time, and the most rewarded outputs that passed the gates and look wrong.

RUN/hack_report.json   RUN/hack_report.md

Everything comes from rounds/*/completions.parquet. To be suspicious is not to be guilty: a reason says what to look at.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq
from rapidfuzz.distance import Levenshtein

from rtrl_chem.durable import write_json, write_text
from rtrl_chem.evaluation.referee import Referee, read_names
from rtrl_chem.reporting.markdown import code, plain, table
from rtrl_chem.rewards.verdict import Verdict
from rtrl_chem.tasks import Direction, Task

__all__ = ["HackReport", "Suspect", "hack_report", "look_at", "markdown", "verdict_table", "write_hack_report"]

SHOWN = 10  # most rewarded suspects in the report
EXAMINED = 2_000  # most rewarded outputs of each phase that are looked at
REFEREED = 300  # of each direction
NEAR_COPY = 0.9  # normalized edit similarity of x and y
MANY_SOURCES = 3  # distinct sources of one phase with the same answer
STRANGE_LENGTH = 4.0  # times longer or shorter than usual, per character of the source
REPEATED = re.compile(r"(.{3,100}?)\1{3,}", re.DOTALL)
CUT = 300  # characters of an output that Markdown shows

Row = dict[str, Any]


@dataclass(frozen=True)
class Suspect:
    """A rewarded output with the verdict OK: where it stands, what it earned, and what looks wrong about it."""

    phase: str
    step: int
    direction: Direction
    source: str
    output: str
    reward: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class HackReport:
    """`phases`: of each phase its name, samples, verdict rates and those of its tenths. `suspects` are the most
    rewarded ones, `reasons` how many of the `examined` outputs each reason was found in."""

    phases: list[dict[str, Any]]
    suspects: list[Suspect]
    reasons: dict[str, int]
    examined: int
    referee: str

    def to_json(self) -> dict[str, Any]:
        """The content of hack_report.json."""
        return asdict(self) | {"suspects": [asdict(one) | {"direction": str(one.direction)} for one in self.suspects]}


def write_hack_report(run: Path, phases: Sequence[str], task: Task, referee: Referee) -> HackReport | None:
    """Read the completions of a run and write the report; None, and no file, where no phase has any.

    `phases` are the names of the folders under rounds/, in the order of time.
    """
    files = {name: run / "rounds" / name / "completions.parquet" for name in phases}
    there = {name: path for name, path in files.items() if path.is_file()}
    if not there:
        return None
    # One phase at a time: all samples of a long run need not fit into memory.
    rows = ((name, pq.read_table(path, columns=COLUMNS).to_pylist()) for name, path in there.items())
    report = hack_report(rows, task, referee)
    write_json(run / "hack_report.json", report.to_json())
    write_text(run / "hack_report.md", markdown(report))
    return report


COLUMNS = ["step", "direction", "source", "output", "reward", "verdict"]


def hack_report(rows: Iterable[tuple[str, Sequence[Row]]], task: Task, referee: Referee) -> HackReport:
    """The report on the completions of each phase, which come with the phase's name in the order of time."""
    suspects: list[Suspect] = []
    phases: list[dict[str, Any]] = []
    for name, found in rows:
        suspects += look_at(name, found, task)
        phases.append({"phase": name} | _over_time(found))
    suspects, said = _ask_referee(suspects, task, referee)
    marked = [one for one in suspects if one.reasons]
    reasons = Counter(reason.split(":")[0] for one in marked for reason in one.reasons)
    most = heapq.nlargest(SHOWN, marked, key=lambda one: (one.reward, len(one.reasons)))
    return HackReport(phases, most, dict(reasons.most_common()), len(suspects), said)


def look_at(phase: str, rows: Sequence[Row], task: Task) -> list[Suspect]:
    """The most rewarded distinct outputs of a phase that passed the gates, each with what looks wrong, if anything."""
    passed = [row for row in rows if row["verdict"] == Verdict.OK.value]
    sources: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in passed:
        sources[row["direction"], row["output"]].add(row["source"])
    usual = {
        way: _usual_ratio([r for r in passed if r["direction"] == way]) for way in {r["direction"] for r in passed}
    }
    distinct = {(row["direction"], row["source"], row["output"]): row for row in passed}
    found = []
    for row in heapq.nlargest(EXAMINED, distinct.values(), key=lambda row: row["reward"]):
        way, x, y = Direction(row["direction"]), row["source"], row["output"]
        kinds = task.source(way).is_structure, task.output(way).is_structure
        shared = len(sources[row["direction"], y])
        reasons = [*_echoes(x, y, kinds[0] == kinds[1]), *_oddities(x, y, kinds[1], usual[row["direction"]])]
        if shared >= MANY_SOURCES:
            reasons.append(f"one answer for many sources: {shared}")
        found.append(Suspect(phase, row["step"], way, x, y, row["reward"], tuple(reasons)))
    return found


def _echoes(x: str, y: str, one_kind: bool) -> Iterable[str]:
    """Signs that y is x, or holds most of it. Two structures are alike by nature: a product and its reactants."""
    if Levenshtein.normalized_similarity(x, y) >= NEAR_COPY:
        yield "near copy of the source"
        return
    longest = SequenceMatcher(None, x, y, autojunk=False).find_longest_match().size
    if longest >= (max(8, 0.8 * len(x)) if one_kind else max(8, 0.5 * len(x))):
        yield f"shares a long piece with the source: {longest} of {len(x)} characters"


def _oddities(x: str, y: str, structure: bool, usual: float) -> Iterable[str]:
    """Signs that y is no answer at all."""
    ratio = len(y) / max(1, len(x))
    if not usual / STRANGE_LENGTH <= ratio <= usual * STRANGE_LENGTH:
        yield f"strange length: {len(y)} characters for {len(x)}"
    # Chains repeat themselves: in a structure that is chemistry.
    if not structure and (found := REPEATED.search(y)):
        yield f"repeats itself: {found.group(1)[:20]!r}"


def _usual_ratio(rows: Sequence[Row]) -> float:
    return median(len(row["output"]) / max(1, len(row["source"])) for row in rows)


def _ask_referee(suspects: list[Suspect], task: Task, referee: Referee) -> tuple[list[Suspect], str]:
    """The suspects with the referee's word on the most rewarded of each direction, and what it was asked."""
    said = []
    marked: dict[int, Suspect] = {}
    for way in Direction:
        ranked = sorted(
            (i for i, one in enumerate(suspects) if one.direction is way), key=lambda i: -suspects[i].reward
        )
        asked = ranked[:REFEREED]
        if not asked:
            continue
        some = [suspects[i] for i in asked]
        right, absent = read_names(task, way, [one.source for one in some], [one.output for one in some], referee)
        if right is None:
            said.append(f"{way}: not asked" + (f" ({absent})" if absent else ""))
            continue
        said.append(f"{way}: asked about the {len(some):,} most rewarded, agrees with {sum(right):,}")
        for i, one, agrees in zip(asked, some, right, strict=True):
            if not agrees:
                marked[i] = replace(one, reasons=(*one.reasons, "the referee reads something else"))
    return [marked.get(i, one) for i, one in enumerate(suspects)], "; ".join(said)


def _over_time(rows: Sequence[Row]) -> dict[str, Any]:
    steps = sorted({row["step"] for row in rows})
    tenths = min(10, len(steps))
    part = {step: i * tenths // len(steps) for i, step in enumerate(steps)}
    parts: list[list[Row]] = [[] for _ in range(tenths)]
    for row in rows:
        parts[part[row["step"]]].append(row)
    return {"samples": len(rows), "verdicts": _rates(rows), "tenths": [_rates(some) for some in parts]}


def _rates(rows: Sequence[Row]) -> dict[str, float]:
    counts = Counter(row["verdict"] for row in rows)
    names = [verdict.value for verdict in Verdict] + sorted(set(counts) - {verdict.value for verdict in Verdict})
    return {name: counts[name] / len(rows) for name in names}


# ---- Markdown -------------------------------------------------------------------------------------------------------


def markdown(report: HackReport) -> str:
    """The report to read. Whatever a model wrote stands in code spans, control characters escaped."""
    lines = ["# Hack report", "", "## Verdicts over time", ""]
    lines += [*verdict_table(report.phases), ""]
    lines += [
        f"## The {len(report.suspects)} most rewarded suspicious outputs"
        if report.suspects
        else "## No suspicious output",
        "",
        f"{report.examined:,} outputs with the verdict OK were looked at, the most rewarded of each phase. "
        f"Referee: {plain(report.referee) or 'not asked'}.",
        "",
    ]
    lines += [f"- {plain(reason)}: {n:,}" for reason, n in report.reasons.items()]
    for number, one in enumerate(report.suspects, 1):
        lines += [
            "",
            f"### {number}. reward {one.reward:.4g}, {one.phase}, step {one.step}, {one.direction}",
            "",
            f"- x: {code(one.source, CUT)}",
            f"- y: {code(one.output, CUT)}",
            *(f"- {_in_words(reason)}" for reason in one.reasons),
        ]
    return "\n".join(lines) + "\n"


def verdict_table(phases: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of Markdown: the share of each verdict that occurs, at the beginning and at the end of each phase."""
    names = [name for name in phases[0]["verdicts"] if any(phase["verdicts"].get(name) for phase in phases)]
    rows = []
    for phase in phases:
        first, last = phase["tenths"][0], phase["tenths"][-1]
        shares = [f"{first.get(name, 0):.1%} -> {last.get(name, 0):.1%}" for name in names]
        rows.append([plain(phase["phase"]), f"{phase['samples']:,}", *shares])
    head = ["phase", "samples", *map(plain, names)]
    return ["Shares of all samples: in the first tenth of a phase's steps -> in the last.", "", *table(head, rows)]


def _in_words(reason: str) -> str:
    """A reason as text; what it quotes of an output as code."""
    name, colon, rest = reason.partition(": ")
    return f"{plain(name)}: {code(rest, CUT)}" if colon else plain(name)
