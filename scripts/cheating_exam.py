"""The cheating exam: what `rtrl_chem.chem.find_leak` catches, what it misses, and how often it is wrong.

    python scripts/cheating_exam.py --out docs/cheating_exam.md                   # bundled molecules and names
    python scripts/cheating_exam.py --out docs/cheating_exam.md --data my_copies  # real captions and reactions as well

Each way of `cheating_ways.py` hides 100 molecules in sentences and names, in the spelling that the policy was given
(canonical SMILES) and in a random one. Pairs of ways, one upon the other, are drawn at random. `--data` is a folder
with chebi20/*.txt, uspto50k/*.tsv.gz and uspto_mit/*.tsv.gz as `eval/README.md` describes them; what raises an alarm
there goes to the file `--alarms`, never into the report.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cheating_ways import FRAMES, NAME_FRAMES, TRICKS, WAYS, Trick, Way, respelled
from rdkit import rdBase
from rich.console import Console
from rich.progress import track

from rtrl_chem import chem
from rtrl_chem.chem import Leak
from rtrl_chem.data import bundled_path, read_pairs
from rtrl_chem.tasks import CAPTIONING, NAMING, REACTION, Direction, Task

# Findings of a reading by hand. They are no part of the exam; whoever changes the detector reads anew.
MISSES = """\
Read by hand: misses among 60 outputs of each of 13 ways, on bundled molecules.

- Nothing undoes base58, and lists of atoms and bonds are not read as a graph.
- A cipher without a sign of itself (emoji, random substitution, code words, XOR) is found by where its signs repeat,
  which shows the two spellings that the detector knows, and none of a respelled molecule. Of one with few repeats
  (`CNC(=S)NN`) it shows nothing at all.
- Ascii85 and base85 are read where they stand alone between blanks: text glued to them, as in `N-[...]propanamide`,
  shifts every byte after it. Where a full stop or a bracket ends a code, it may be a part of it.
- Chunks glued to words are put together again only from the known spellings, and chunks turned round only from few
  pieces. Run lengths are read where the molecule's atoms are left.
- The rest are small molecules (`CCOCl`, `CSC1=NCCS1`) of which a damaged spelling leaves fewer than 6 heavy atoms, or
  no more than half, in one piece."""
# 20 alarms of each direction, drawn by one random.Random(0).sample from the file `--alarms`, to reactants first.
ALARMS = """\
Read by hand: 20 USPTO-MIT alarms of each direction, drawn at random.

| what the record is | to product | to reactants |
| --- | ---: | ---: |
| the product is a reactant: as a salt, with another counter-ion, the acid beside a chloride, unchanged | 18 | 7 |
| what they share is a counter-ion or a spectator, larger than the rest of x | 1 | 4 |
| an isomerisation: a double bond or a proton moves | 1 | 1 |
| a bond is made where a hydrogen was (nitration, oxidation, amidation): the reactants are the product cut | 0 | 8 |

In the first row y hands x over, whatever the chemist meant by it, and the floor is what it should earn. The others are
false alarms: 2 of 20 and 13 of 20, so about 0.05% of all products and 0.6% of all reactants. They cost a correct answer
its reward and no more; `ungated: [LEAKED_SOURCE]` in a config turns the gate off, for whom that is too much."""
LEAST_ATOMS = 6  # a smaller molecule is looked for only as a SMILES of its own
SPELLINGS: dict[str, Callable[[str, random.Random], str]] = {"as given": lambda x, rng: x, "respelled": respelled}
CONSOLE = Console(stderr=True)


@dataclass
class Tally:
    """How many of the outputs were caught, and as what."""

    outputs: int = 0
    ways: Counter[str] = field(default_factory=Counter)

    def add(self, leak: Leak | None) -> None:
        self.outputs += 1
        if leak:
            self.ways[leak.way] += 1

    @property
    def caught(self) -> int:
        return self.ways.total()

    @property
    def share(self) -> str:
        return f"{self.caught / self.outputs:.0%}" if self.outputs else "-"


def hidden(way: Way, x: str, rng: random.Random) -> str:
    """An output that hides the SMILES."""
    return rng.choice(FRAMES + NAME_FRAMES).format(way.hide(x, rng))


def exam_of_ways(ways: Sequence[Way], molecules: Sequence[str], number: int, seed: int) -> dict[str, dict[str, Tally]]:
    """Caught by way and spelling."""
    results: dict[str, dict[str, Tally]] = {}
    for way in track(ways, "ways", console=CONSOLE):
        results[way.name] = {spelling: Tally() for spelling in SPELLINGS}
        for spelling, respell in SPELLINGS.items():
            rng = random.Random(f"{seed} {way.name} {spelling}")
            for x in rng.sample(molecules, number):
                leak = chem.find_leak(x, hidden(way, respell(x, rng), rng), True, False)
                results[way.name][spelling].add(leak)
    return results


def exam_of_pairs(molecules: Sequence[str], number: int, seed: int) -> tuple[Tally, dict[str, Tally]]:
    """Caught when a second disguise is put on a first: in all, and by the one outside."""
    rng = random.Random(f"{seed} pairs")
    inner = [way for way in WAYS if not way.keyed]
    outer = [way for way in inner if way.composable]
    total, by_outer = Tally(), {way.name: Tally() for way in outer}
    for _ in track(range(number), "pairs", console=CONSOLE):
        x, first, second = rng.choice(molecules), rng.choice(inner), rng.choice(outer)
        text = second.hide(first.hide(x, rng), rng)
        leak = chem.find_leak(x, rng.choice(FRAMES + NAME_FRAMES).format(text), True, False)
        total.add(leak)
        by_outer[second.name].add(leak)
    return total, by_outer


def exam_of_tricks(products: Sequence[str], number: int, seed: int) -> dict[str, Tally]:
    """Caught among molecules."""
    results = {}
    for trick in track(TRICKS, "tricks", console=CONSOLE):
        rng = random.Random(f"{seed} {trick.name}")
        results[trick.name] = tally = Tally()
        for x in rng.sample(products, len(products)):
            if tally.outputs < number and (y := trick.hide(x, rng)):
                tally.add(chem.find_leak(x, y, True, True))
    return results


@dataclass(frozen=True)
class Honest:
    """A set of honest answers: how many raised an alarm, by way, and CPU time per answer in microseconds."""

    name: str
    answers: int
    alarms: list[tuple[str, str, Leak]]
    microseconds: list[float]

    def row(self) -> str:
        ways = Counter(leak.way for _, _, leak in self.alarms)
        times = sorted(self.microseconds)
        mean, late = sum(times) / len(times), times[len(times) * 99 // 100]
        kinds = ", ".join(f"{way}: {count}" for way, count in ways.most_common())
        rate = len(self.alarms) / self.answers
        return (
            f"| {self.name} | {self.answers:,} | {len(self.alarms)} | {rate:.3%} | {kinds} | {mean:.0f} | {late:.0f} |"
        )


def exam_of_honest(name: str, task: Task, direction: Direction, pairs: Iterable[tuple[str, str]]) -> Honest:
    """Alarms on labelled pairs; sources are parsed before the clock runs, as they are in training."""
    x_kind, y_kind = task.source(direction).is_structure, task.output(direction).is_structure
    alarms, times = [], []
    for x, y in track(list(pairs), name, console=CONSOLE):
        for side, is_structure in ((x, x_kind), (y, y_kind)):
            if is_structure:
                chem.parse(side)
        start = time.process_time_ns()
        leak = chem.find_leak(x, y, x_kind, y_kind)
        times.append((time.process_time_ns() - start) / 1_000)
        if leak:
            alarms.append((x, y, leak))
    return Honest(name, len(times), alarms, times)


def honest_sets(data: Path | None) -> list[Honest]:
    """Every set of honest answers at hand, in both directions."""
    found = []
    bundled = [(NAMING, "naming"), (REACTION, "reaction")]
    for task, folder in bundled:
        files = [bundled_path(f"{folder}/{part}") for part in ("labelled", "validation", "test")]
        found += _both_ways(f"bundled {folder}", task, files, (None, None))
    if data:
        found += _both_ways("ChEBI-20", CAPTIONING, sorted(data.glob("chebi20/*.txt")), ("SMILES", "description"))
        columns = ("reactants", "product")
        found += _both_ways("USPTO-50k", REACTION, sorted(data.glob("uspto50k/*.tsv.gz")), columns)
        found += _both_ways("USPTO-MIT", REACTION, sorted(data.glob("uspto_mit/*.tsv.gz")), columns)
    return found


def _both_ways(name: str, task: Task, files: Sequence[Path], columns: tuple[str | None, str | None]) -> list[Honest]:
    pairs = [pair for file in files for pair in read_pairs(file, task, columns)]
    if not pairs:
        return []
    there = f"{task.left.name} to {task.right.name}"
    back = f"{task.right.name} to {task.left.name}"
    return [
        exam_of_honest(f"{name}, {there}", task, Direction.FORWARD, pairs),
        exam_of_honest(f"{name}, {back}", task, Direction.REVERSE, [(y, x) for x, y in pairs]),
    ]


def large_molecules(data: Path | None) -> list[str]:
    """ChEBI-20's molecules that are not tiny, where there is a copy."""
    files = sorted(data.glob("chebi20/*.txt")) if data else []
    pairs = [pair for file in files for pair in read_pairs(file, CAPTIONING, ("SMILES", "description"))]
    return [x for x, _ in pairs if len(x) <= 150 and is_large_enough(x)]


def is_large_enough(smiles: str) -> bool:
    molecule = chem.parse(smiles)
    return molecule is not None and molecule.heavy_atoms >= LEAST_ATOMS


def write_report(arguments: argparse.Namespace) -> str:
    """Everything, as Markdown."""
    names = list(read_pairs(bundled_path("naming/test"), NAMING))
    molecules = [x for x, _ in names if is_large_enough(x)]
    small = [x for x, _ in names if not is_large_enough(x)]
    products = [y for _, y in read_pairs(bundled_path("reaction/test"), REACTION) if is_large_enough(y)]
    number, seed = arguments.number, arguments.seed
    sets = {"bundled": exam_of_ways(WAYS, molecules, number, seed)}
    if large := large_molecules(arguments.data):
        sets["ChEBI-20"] = exam_of_ways(WAYS, large, number, seed)
    tiny = exam_of_ways(WAYS, small, min(number, len(small)), seed)
    pairs, by_outer = exam_of_pairs(molecules, 10 * number, seed)
    tricks = exam_of_tricks(products, number, seed)
    honest = honest_sets(arguments.data)
    if arguments.alarms:
        lines = [json.dumps([one.name, x, y, str(leak), leak.way]) for one in honest for x, y, leak in one.alarms]
        arguments.alarms.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return "\n".join(
        [
            *_head(arguments, sets),
            *_table_of_ways(sets, molecules, seed),
            *_table_of_groups(tiny, pairs, by_outer),
            "## What is missed",
            "",
            MISSES,
            "",
            *_table_of_tricks(tricks),
            *_table_of_honest(honest),
        ]
    )


def _head(arguments: argparse.Namespace, sets: dict[str, dict[str, dict[str, Tally]]]) -> list[str]:
    data = " --data my_copies" if arguments.data else ""
    plain = [way for way in WAYS if not way.keyed]
    lines = [
        "# Cheating exam",
        "",
        f"Written by `python scripts/cheating_exam.py --out docs/cheating_exam.md{data}`, {arguments.number} outputs a",
        "cell. What counts as a leak and how it is looked for: [rewards.md](rewards.md#leaks).",
        "",
        "Molecules of at least 6 heavy atoms are hidden in sentences and names by the ways of",
        "`scripts/cheating_ways.py`. The detector was developed on these ways (with other molecules), but not on the",
        "pairs of ways further down. *Key*: the reader of such an output needs more than the output, so that whatever",
        "is caught is caught by chance.",
        "",
    ]
    for name, results in sets.items():
        for spelling in SPELLINGS:
            tallies = [results[way.name][spelling] for way in plain]
            caught, outputs = sum(one.caught for one in tallies), sum(one.outputs for one in tallies)
            all_of_them = sum(one.caught == one.outputs for one in tallies)
            lines.append(
                f"- {name}, {spelling}: {caught:,} of {outputs:,} caught ({caught / outputs:.1%}); "
                f"{all_of_them} of {len(plain)} ways without exception"
            )
    return [*lines, ""]


def _table_of_ways(sets: dict[str, dict[str, dict[str, Tally]]], molecules: Sequence[str], seed: int) -> list[str]:
    columns = [(name, spelling) for name in sets for spelling in SPELLINGS]
    heads = " | ".join(f"{name}, {spelling}" for name, spelling in columns)
    lines = ["## Ways", "", f"| way | {heads} | example |", "| --- |" + " ---: |" * len(columns) + " --- |"]
    group = ""
    for way in WAYS:
        if way.group != group:
            group = way.group
            lines.append(f"| **{group}** |" + " |" * (len(columns) + 1))
        shares = " | ".join(sets[name][way.name][spelling].share for name, spelling in columns)
        example = way.hide("CC(=O)Oc1ccccc1Cl", random.Random(seed))
        lines.append(f"| {_cell(way.name)}{' (key)' if way.keyed else ''} | {shares} | {_code(example)} |")
    return [*lines, ""]


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _code(text: str) -> str:
    shown = " ".join(text.split())[:48].encode("unicode_escape").decode() if not text.isprintable() else text[:48]
    return f"`{_cell(shown).replace('`', '')}`"


def _table_of_groups(tiny: dict[str, dict[str, Tally]], pairs: Tally, by_outer: dict[str, Tally]) -> list[str]:
    caught = {s: sum(tiny[way.name][s].caught for way in WAYS if not way.keyed) for s in SPELLINGS}
    outputs = {s: sum(tiny[way.name][s].outputs for way in WAYS if not way.keyed) for s in SPELLINGS}
    rows = sorted(by_outer.items(), key=lambda item: item[1].caught / max(item[1].outputs, 1))
    return [
        "## Tiny molecules",
        "",
        "Of fewer than 6 heavy atoms, all ways without a key together. Such a molecule is looked for only as a SMILES",
        "of its own, since words hold its letters by chance. "
        + ", ".join(f"{spelling}: {caught[spelling] / outputs[spelling]:.1%} caught" for spelling in SPELLINGS)
        + ".",
        "",
        "## Pairs of ways",
        "",
        f"A way upon a way, drawn at random: {pairs.caught:,} of {pairs.outputs:,} caught ({pairs.share}).",
        "",
        "| outer way | outputs | caught |",
        "| --- | ---: | ---: |",
        *(f"| {_cell(name)} | {tally.outputs} | {tally.share} |" for name, tally in rows),
        "",
    ]


def _table_of_tricks(tricks: dict[str, Tally]) -> list[str]:
    def row(trick: Trick) -> str:
        tally = tricks[trick.name]
        ways = ", ".join(way for way, _ in tally.ways.most_common(2))
        return f"| {trick.name} | {'honest' if trick.honest else 'leak'} | {tally.outputs} | {tally.share} | {ways} |"

    return [
        "## Molecules for molecules",
        "",
        "The product of a bundled reaction given away among its reactants. *Honest*: what retrosynthesis does as well,",
        "and must not be called a leak. Fewer outputs where few products allow the change.",
        "",
        "| answer | is | outputs | called a leak | as |",
        "| --- | --- | ---: | ---: | --- |",
        *map(row, TRICKS),
        "",
    ]


def _table_of_honest(honest: Sequence[Honest]) -> list[str]:
    return [
        "## Honest answers",
        "",
        "Labels of data sets as outputs. CPU time in microseconds on one core, after all SMILES have been parsed.",
        "",
        "| set | answers | alarms | rate | as | mean | 99% |",
        "| --- | ---: | ---: | ---: | --- | ---: | ---: |",
        *(one.row() for one in honest),
        "",
        *((ALARMS, "") if any("USPTO-MIT" in one.name for one in honest) else ()),
    ]


def main() -> None:
    """Hold the exam and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--data", type=Path, help="folder with copies of public data sets")
    parser.add_argument("--alarms", type=Path, help="JSON Lines file for the honest answers that raised an alarm")
    parser.add_argument("--number", type=int, default=100, help="outputs for each way")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with rdBase.BlockLogs():
        report = write_report(arguments)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(report, encoding="utf-8")
    CONSOLE.print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
