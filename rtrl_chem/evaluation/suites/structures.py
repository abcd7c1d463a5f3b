"""The structures that the benchmark suites ask about: what `rtrl-chem prepare` keeps out of a corpus."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from rtrl_chem.data.prepare.decontaminate import Benchmark
from rtrl_chem.data.readers import Columns, open_rows
from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.evaluation.suites.data import located, published
from rtrl_chem.evaluation.suites.schema import DataSet, Part, load_suite, suite_names

__all__ = ["benchmark_structures"]

_PROBE_SECONDS = 5
# Reactants, without the reagents that some suites put behind a > in the same cell; the > of a dative bond, ->, is none.
_REACTANTS = re.compile(r"(?<!-)>")


def benchmark_structures(
    given: str, domain: Literal["molecule", "reaction"], say: Callable[[str], None] = lambda text: None
) -> Iterator[Benchmark]:
    """Each data set of each suite with all of its structures, sources and labels alike, or why it cannot be had.

    `given`: the folder of local copies that `rtrl-chem evaluate --data` takes; "hub" for what is bundled and what the
    Hub has; "bundled" asks nobody. For a corpus of molecules, sets of several reactants are left out: they are no
    molecule. `say` gets a line before a download. ConfigError where the folder is none.
    """
    folder = None if given in ("hub", "bundled") else Path(given).expanduser()
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"benchmarks: no folder {given!r}; give that of local copies, or hub, bundled or none")
    hub_problem = {"hub": _hub_problem, "bundled": lambda: "the Hub was not asked"}.get(given, lambda: None)()
    for suite in map(load_suite, suite_names()):
        for name, data in suite.data.items():
            parts = [part for part in suite.parts.values() if part.data == name]
            problem = _out_of_reach(data, folder, hub_problem)
            if parts and problem:
                yield Benchmark(f"{suite.name}/{name}", problem=problem)
            elif parts:
                if folder is None and data.hub is not None:
                    say(f"benchmark {suite.name}/{name}: from {data.hub.id} on the Hub")
                yield _benchmark(f"{suite.name}/{name}", data, parts, folder, domain == "reaction")


def _out_of_reach(data: DataSet, folder: Path | None, hub_problem: str | None) -> str | None:
    if data.file is not None or (folder is not None and data.local):
        return None
    if data.hub is None:
        return f"no copy on the Hub is known; give a folder with {' or '.join(data.local)}"
    return hub_problem


def _benchmark(name: str, data: DataSet, parts: list[Part], folder: Path | None, sets: bool) -> Benchmark:
    try:
        with located(data, folder, name) as (place, revision):
            split = data.hub.split if data.hub and revision else None
            found = [text for part in parts for text in _structures(part, data, place, split, revision)]
    except (ConfigError, CorpusError) as error:
        return Benchmark(name, problem=str(error).removeprefix(f"{name}: "))
    # A file out of an archive of the Hub lay in a folder that is gone by now.
    where = f"{data.hub.id} on the Hub" if data.hub and folder is None and data.file is None else place
    return Benchmark(name, where, tuple(text for text, is_set in dict.fromkeys(found) if sets or not is_set))


def _structures(
    part: Part, data: DataSet, place: str, split: str | None, revision: str | None
) -> Iterator[tuple[str, bool]]:
    """Each structure, and whether it is a set of several molecules."""
    task = part.resolved_task
    source, target = task.source(part.direction), task.output(part.direction)
    if part.source is None:
        rows = open_rows(place, Columns((source,), (None,), place), split=split or "train", revision=revision)[1]
        yield from ((row.cells[0].strip(), False) for row in rows if row.cells)
        return
    for item in published(part, data, place, split, revision).items:
        for text, side in ((item.source, source), (item.target, target)):
            if text and side.is_structure:
                text = _REACTANTS.split(text)[0].strip(".")
                yield text, side.kind == "molecules" and "." in text


def _hub_problem() -> str | None:
    """Why there is no use in asking the Hub: its client would try for half a minute, and again for every data set."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return None  # the client answers at once, from its cache
    try:
        # Whatever it answers, it is there.
        with urllib.request.urlopen(constants.ENDPOINT, timeout=_PROBE_SECONDS):
            return None
    except urllib.error.HTTPError:
        return None
    except OSError as error:
        return f"{constants.ENDPOINT} cannot be reached ({getattr(error, 'reason', error)})"
