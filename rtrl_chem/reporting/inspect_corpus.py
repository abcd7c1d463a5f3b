"""`rtrl-chem inspect CORPUS`: look at a corpus, say what is in it, and leave a page, its plots and its numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from rtrl_chem.data.bundled import model_path
from rtrl_chem.data.inspect import Histogram, Inspection, Known, Options, Section, inspect, known_from, open_source
from rtrl_chem.data.prepare.files import folder_problem
from rtrl_chem.errors import ConfigError, CorpusError, ModelError
from rtrl_chem.evaluation.suites.structures import benchmark_structures
from rtrl_chem.reporting.inspection_page import percent, render
from rtrl_chem.reporting.plots import require_report, save_png
from rtrl_chem.reporting.progress import progress_line
from rtrl_chem.tasks import load_task
from rtrl_chem.terminal import Console

__all__ = ["Request", "inspect_corpus"]

JSON_FILE, PAGE_FILE, PLOTS_FILE = "inspect.json", "inspect.html", "plots.png"


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    path: str
    task: str | None = None
    fields: tuple[str, ...] = ()
    out: Path | None = None
    benchmarks: Path | None = None
    options: Options = field(default_factory=Options)


def inspect_corpus(request: Request, as_json: bool = False) -> Inspection:
    """Print a summary (one JSON object with `as_json`) and write the files below `request.out`, if that is given.

    ConfigError where the call is wrong, ModelError where there is no tokenizer, CorpusError where nothing can be read,
    or where the corpus is damaged: then after everything that could be read has been shown and written.
    """
    console = Console(stderr=True)
    if request.out is not None:
        require_report("--out")
        if problem := folder_problem(request.out):
            raise ConfigError(f"--out {problem}")
    if request.benchmarks is not None and not request.benchmarks.is_dir():
        raise ConfigError(f"--benchmarks {request.benchmarks}: no such folder; give the folder of local copies")
    tokenizer, limit = request.options.tokenizer, request.options.max_tokens
    if limit is not None and tokenizer is None:
        raise ConfigError(f"--max-tokens {limit}: needs --tokenizer MODEL, whose tokens are counted")
    task = load_task(request.task) if request.task else None
    source = open_source(request.path, task, request.fields)
    lengths = _token_lengths(tokenizer) if tokenizer else None
    with progress_line(console) as on_progress:
        known = _benchmarks(request, on_progress)
        found = inspect(source, known, lengths, request.options, on_progress)
        if request.out is not None:
            on_progress("writing the page", 0, None)
            _write(found, request.out)
    if as_json:
        print(json.dumps(found.to_json()))
    else:
        _show(found, Console())
    if request.out is not None:
        console.print(f"written to {request.out}: {PAGE_FILE}, {PLOTS_FILE}, {JSON_FILE}", markup=False)
    if found.problem:
        raise CorpusError(f"{found.problem}; what is reported are the {found.rows:,} rows that could be read")
    return found


def _benchmarks(request: Request, on_progress: Callable[[str, int, int | None], None]) -> list[Known]:
    """The molecules of the bundled suites, and of those with a local copy; the Hub is not asked."""
    found = []
    for benchmark in benchmark_structures(str(request.benchmarks or "bundled"), "molecule"):
        if benchmark.problem:
            found.append(Known(benchmark.name, unreachable=benchmark.problem))
            continue
        report = partial(on_progress, f"molecules of {benchmark.name}")
        found.append(known_from(benchmark.name, benchmark.structures, request.options.processes, report))
    return found


def _token_lengths(model: str) -> Callable[[list[str]], list[int]]:
    """The number of tokens of each text as a part of a prompt: without special tokens."""
    from transformers import AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()  # "longer than the maximum" is what is being counted
    try:
        tokenizer = AutoTokenizer.from_pretrained(model_path(model), trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"--tokenizer {model}: cannot be loaded ({reason}); give a Hub id or a folder") from None

    def lengths(texts: list[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]

    return lengths


def _write(found: Inspection, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / JSON_FILE).write_text(json.dumps(found.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    plots = [(_label(s, h), h) for s in found.sections for h in s.histograms if h.counts]
    save_png(plots, out / PLOTS_FILE)
    (out / PAGE_FILE).write_text(render(found), encoding="utf-8")


# ---- terminal -------------------------------------------------------------------------------------------------------


def _show(found: Inspection, console: Console) -> None:
    how = "all of them" if found.is_complete else f"a random sample of {found.sampled:,} (seed {found.seed})"
    console.print(f"{found.where}: {found.kind}, {found.rows:,} rows; looked at closely: {how}", markup=False)
    console.print(_counts(found))
    console.print(_distributions(found))
    console.print(_overlaps(found))
    for remark in found.remarks:
        console.print(f"note: {remark}", markup=False)


def _counts(found: Inspection) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    for heading in ("rows", "of", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    for section in found.sections:
        table.add_section()
        table.add_row(Text(section.title, style="bold"))
        for count in section.counts:
            if count.count:
                label = f"{count.label} ({count.note})" if count.note else count.label
                style = "yellow" if count.bad else ""
                cells = (label, f"{count.count:,}", f"{count.of:,}", percent(count))
                table.add_row(*(Text(cell, style=style) for cell in cells))
        if absent := [count.label for count in section.counts if not count.count]:
            table.add_row(Text("none: " + ", ".join(absent), style="dim"))
    return table


def _distributions(found: Inspection) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    for heading in ("min", "median", "95%", "max"):
        table.add_column(heading, justify="right", no_wrap=True)
    for section in found.sections:
        for histogram in section.histograms:
            if histogram.counts and not histogram.categories:
                points = (f"{histogram.quantile(share):,}" for share in (0.0, 0.5, 0.95, 1.0))
                table.add_row(Text(f"{_label(section, histogram)}, {histogram.unit}"), *points)
    return table


def _label(section: Section, histogram: Histogram) -> str:
    """With whose it is, where the histogram itself does not say so."""
    return histogram.label if not section.of or section.of in histogram.label else f"{section.of}: {histogram.label}"


def _overlaps(found: Inspection) -> Table:
    table = Table(box=box.SIMPLE_HEAD, caption_justify="left")
    table.add_column("benchmark")
    for heading in ("molecules", "found in the rows looked at", "found by SMILES in all rows"):
        table.add_column(heading, justify="right")
    for overlap in found.overlaps:
        if not overlap.unreachable:
            cells = (f"{overlap.molecules:,}", f"{overlap.found:,}", f"{overlap.by_text:,}")
            style = "yellow" if overlap.found or overlap.by_text else ""
            table.add_row(*(Text(cell, style=style) for cell in (overlap.suite, *cells)))
    missing = [overlap.suite for overlap in found.overlaps if overlap.unreachable]
    if missing:
        table.caption = Text("not looked for (--benchmarks DIR): " + ", ".join(missing))
    return table
