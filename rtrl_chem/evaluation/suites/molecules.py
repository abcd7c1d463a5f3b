"""The molecules of the benchmark suites, to be looked for in a corpus: a model must not train on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from rtrl_chem.data.inspect import Benchmark, benchmark_of
from rtrl_chem.data.readers import Columns, open_rows
from rtrl_chem.errors import CorpusError
from rtrl_chem.evaluation.suites.data import located
from rtrl_chem.evaluation.suites.schema import Part, Suite, columns_of, load_suite, suite_names
from rtrl_chem.tasks import Domain

__all__ = ["benchmarks"]

_CELL = Domain(name="cell", kind="text", tag="CELL")


def benchmarks(
    data_dir: Path | None,
    processes: int = 1,
    on_progress: Callable[[str, int, int | None], None] = lambda what, done, total: None,
) -> list[Benchmark]:
    """The molecules of each data set of each suite of `eval/`: bundled ones, and those with a copy below `data_dir`.

    All rows of the published set count, whatever part of them a suite takes. Of a reaction the product counts:
    reactants are common chemicals. A set that is not at hand comes without molecules and says why; the Hub is not
    asked.
    """
    found = []
    for name in suite_names():
        suite = load_suite(name)
        for data in suite.data:
            if part := next((part for part in suite.parts.values() if part.data == data), None):
                label = name if len(suite.data) == 1 else f"{name}/{data}"
                report = partial(on_progress, f"molecules of {label}")
                found.append(_benchmark(label, suite, part, data_dir, processes, report))
    return found


def _benchmark(
    label: str, suite: Suite, part: Part, data_dir: Path | None, processes: int, report: Callable[[int, int], None]
) -> Benchmark:
    data = suite.data[part.data]
    if data.file is None and (data_dir is None or not data.local):
        return Benchmark(label, unreachable="no local copy given" if data.local else "no local copy is known")
    try:
        structures = sorted(set(_structures(suite, part, data_dir, label)))
    except CorpusError as error:
        return Benchmark(label, unreachable=str(error).removeprefix(f"{label}: "))
    return benchmark_of(label, structures, processes, report)


def _structures(suite: Suite, part: Part, data_dir: Path | None, label: str) -> Iterator[str]:
    """SMILES of the single molecules on either side of the part, as they stand in the file."""
    data = suite.data[part.data]
    wanted = _molecule_columns(part)
    columns = [*wanted, *data.where]
    with located(data, data_dir, label) as (place, _):
        chosen = Columns((_CELL,) * len(columns), tuple(columns), place)
        if part.source is None:  # unlabelled: the columns go by their usual names
            chosen = Columns((part.resolved_task.source(part.direction),), (None,), place)
        for row in open_rows(place, chosen)[1]:
            cells, conditions = row.cells[: len(wanted) or 1], row.cells[len(wanted) :]
            if not row.problem and (part.source is None or list(conditions) == list(data.where.values())):
                yield from cells


def _molecule_columns(part: Part) -> list[str]:
    """The columns that hold one molecule each: those of the sides of that kind."""
    task = part.resolved_task
    sides = ((task.source(part.direction), part.source), (task.output(part.direction), part.target))
    return [column for side, text in sides if side.kind == "molecule" and text for column in columns_of(text)[:1]]
