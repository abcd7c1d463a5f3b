"""`rtrl-chem prepare` from end to end. The same call again goes on where the last one stopped."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from rtrl_chem import __version__
from rtrl_chem.data.bundled import model_path
from rtrl_chem.data.prepare.chunks import Counts, clean_packed, pack, read_counts
from rtrl_chem.data.prepare.clean import Job
from rtrl_chem.data.prepare.decontaminate import Benchmark, Index, build_index, describe_all
from rtrl_chem.data.prepare.dedup import first_rows
from rtrl_chem.data.prepare.engine import Engine
from rtrl_chem.data.prepare.files import sha256_of
from rtrl_chem.data.prepare.inputs import Chunk, Inputs, Reading, find_inputs
from rtrl_chem.data.prepare.progress import Display, Stage
from rtrl_chem.data.prepare.settings import Settings
from rtrl_chem.data.prepare.shards import DUPLICATE, CleanRows, count_splits, write_rejects, write_splits
from rtrl_chem.data.prepare.summary import remarks, summary_table
from rtrl_chem.data.prepare.workplace import Workplace
from rtrl_chem.data.prepared import FORMAT, VERSION
from rtrl_chem.errors import ConfigError, CorpusError, SavingError

__all__ = ["BenchmarkSource", "Request", "prepare"]

# What decides the bytes of the output.
PACKAGES = ("rdkit", "pyarrow", "numpy")
STRUCTURES_AT_ONCE = 2_000

# (settings.benchmarks, domain, say) -> every benchmark, with its structures or why they cannot be had.
BenchmarkSource = Callable[[str, Literal["molecule", "reaction"], Callable[[str], None]], Iterator[Benchmark]]


@dataclass(frozen=True)
class Request:
    """What is asked of `prepare`."""

    inputs: tuple[str, ...]
    out: Path
    settings: Settings
    overwrite: bool = False
    quiet: bool = False


def prepare(request: Request, engine: Engine, benchmarks: BenchmarkSource) -> dict[str, Any]:
    """Make the corpus folder, or finish it; returns its manifest.

    Raises ConfigError for a wrong call, RunFolderError where the folder holds something else, and CorpusError where a
    file was damaged (after the corpus has been made of what could be read), where no row could be used, or where a
    worker or a Hub data set failed, and SavingError where the disk is full or cannot be written (the work that is done
    is kept).
    """
    begun = time.perf_counter()
    display = Display(request.quiet)
    inputs = find_inputs(list(request.inputs), request.settings, request.out)
    tokenizer = _tokenizer(request.settings.filter.tokenizer)
    place = Workplace(request.out)
    asked = _asked(request.settings, inputs, tokenizer, display)
    resumed = 0
    with _disk_errors(request.out), place.held():
        if not place.enter(asked, request.overwrite):
            resumed = _work(request.settings, inputs, tokenizer, asked, place, engine, benchmarks, display)
        else:
            display.say(f"{request.out}: prepared already, nothing to do")
    manifest = place.manifest
    assert manifest is not None
    display.console.print(summary_table(manifest, request.out, time.perf_counter() - begun, resumed))
    for line in remarks(manifest):
        display.say(line)
    _raise_problems(manifest, request.out)
    return manifest


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        said = f"{os.strerror(error.errno)}{f', {error.filename}' if error.filename else ''}"
        raise SavingError(
            f"{out} cannot be written ({said}): make room or mend the folder, then give the same call again; it goes on"
        ) from error


def _work(
    settings: Settings,
    inputs: Inputs,
    tokenizer: str | None,
    asked: dict[str, Any],
    place: Workplace,
    engine: Engine,
    benchmarks: BenchmarkSource,
    display: Display,
) -> int:
    """From the inputs to the manifest; the rows that an earlier run had cleaned."""
    with engine:
        index = _index(settings, inputs.domain, place, engine, benchmarks, display)
        job = Job(settings, inputs.domain, index, tokenizer)
        reading, resumed = _clean(job, inputs, place, engine, display)
    counts = Counts()
    for path in place.chunks():
        counts.add(read_counts(path))
    manifest = {"format": FORMAT, "version": VERSION, "task_domain": inputs.domain}
    manifest |= _finish(settings, inputs, counts, place, display) | asked
    manifest["sources"] = _sources(asked["sources"], reading)
    manifest["skipped"] = [asdict(one) for one in inputs.skipped]
    manifest["decontamination"] = _decontamination(settings, index, counts)
    place.finish(manifest)
    return resumed


# ---- before ---------------------------------------------------------------------------------------------------------


def _asked(settings: Settings, inputs: Inputs, tokenizer: str | None, display: Display) -> dict[str, Any]:
    """What decides the output; to go on with a corpus it must be the same."""
    sources: list[dict[str, Any]] = []
    with display.stage("checksums") as stage:
        for done, source in enumerate(inputs.sources):
            stage.update(done, done / len(inputs.sources))
            entry: dict[str, Any] = {"file": source.name}
            if source.path is not None:
                entry |= {"bytes": source.size, "sha256": sha256_of(source.path)}
            sources.append(entry)
    asked: dict[str, Any] = {"settings": settings.model_dump(mode="json"), "sources": sources}
    if tokenizer is not None:
        asked["tokenizer_sha256"] = hashlib.sha256(tokenizer.encode()).hexdigest()
    return asked | {"versions": {"rtrl-chem": __version__} | {name: _version(name) for name in PACKAGES}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # built from source
        return "unknown"


def _tokenizer(path: str | None) -> str | None:
    """The JSON of a model's tokenizer: light enough for every worker, which transformers is not."""
    if path is None:
        return None
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(model_path(path), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"filter.tokenizer: {path!r} cannot be loaded ({str(error).splitlines()[0]})") from None
    if not loaded.is_fast:
        raise ConfigError(f"filter.tokenizer: {path!r} has no tokenizer.json; give a model with a fast tokenizer")
    return str(loaded.backend_tokenizer.to_str())


def _index(
    settings: Settings,
    domain: Literal["molecule", "reaction"],
    place: Workplace,
    engine: Engine,
    source: BenchmarkSource,
    display: Display,
) -> Index | None:
    """The molecules to remove, as the first run found them."""
    if settings.benchmarks == "none":
        return None
    if place.benchmarks.is_file():
        return Index.load(place.benchmarks.read_text(encoding="utf-8"))
    benchmarks = list(source(settings.benchmarks, domain, display.say))
    texts = list(dict.fromkeys(text for benchmark in benchmarks for text in benchmark.structures))
    groups = [texts[start : start + STRUCTURES_AT_ONCE] for start in range(0, len(texts), STRUCTURES_AT_ONCE)]
    described = []
    with display.stage("benchmarks") as stage:
        for group in engine.map(describe_all, None, groups):
            described += group
            stage.update(len(described), len(described) / len(texts))
    index = build_index(benchmarks, dict(zip(texts, described, strict=True)))
    place.write(place.benchmarks, index.dump())
    return index


# ---- the work -------------------------------------------------------------------------------------------------------


def _clean(job: Job, inputs: Inputs, place: Workplace, engine: Engine, display: Display) -> tuple[Reading, int]:
    """Clean every chunk whose file is not there yet; the reading, and the rows that needed none."""
    reading = Reading(inputs, job.settings)
    done = resumed = 0

    def to_do() -> Iterator[Chunk]:
        nonlocal done, resumed
        for chunk in reading.chunks():
            if place.chunk(chunk.index).is_file():
                done, resumed = done + len(chunk), resumed + len(chunk)
                stage.update(done, _share(reading), resumed)
            else:
                yield chunk

    with display.stage("cleaning") as stage:
        for index, rows, content in engine.map(clean_packed, pack(job), to_do()):
            place.write(place.chunk(index), content)
            done += rows
            stage.update(done, _share(reading), resumed)
    return reading, resumed


def _share(reading: Reading) -> float | None:
    """What share of the input has been read; None for a Hub data set, whose size nobody says."""
    return min(reading.bytes_done / reading.bytes_in_all, 1.0) if reading.bytes_in_all else None


def _finish(settings: Settings, inputs: Inputs, counts: Counts, place: Workplace, display: Display) -> dict[str, Any]:
    """Write shards and rejects; the part of the manifest that counts."""
    chunks = place.chunks()
    first = None
    if settings.dedup != "none" and counts.kept:
        with display.stage("finding duplicates") as stage:
            stage.update(counts.rows, None)
            first = first_rows(place.work, chunks, counts.rows)
    rows = CleanRows(chunks, first, [source.name for source in inputs.sources], inputs.domain)
    sizes = count_splits(rows)
    with display.stage("writing shards") as stage:
        shards = write_splits(place.out, rows, sizes, settings.rows_per_shard, _counter(stage, counts.rows))
    with display.stage("writing rejects") as stage:
        duplicates = write_rejects(place.out, rows, _counter(stage, counts.rows))
    dropped = Counter(counts.dropped) + Counter({DUPLICATE: duplicates})
    splits = {name: {"rows": size, "shards": [asdict(shard) for shard in shards[name]]} for name, size in sizes.items()}
    return {
        "rows_in": counts.rows,
        "kept": sum(sizes.values()),
        "dropped": dict(sorted(dropped.items(), key=lambda item: (-item[1], item[0]))),
        "repaired": dict(sorted(counts.repaired.items())),
        "splits": splits or {"train": {"rows": 0, "shards": []}},
    }


def _counter(stage: Stage, rows: int) -> Callable[[int], None]:
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        stage.update(done, done / rows)

    return count


# ---- after ----------------------------------------------------------------------------------------------------------


def _sources(asked: list[dict[str, Any]], reading: Reading) -> list[dict[str, Any]]:
    sources = []
    for index, entry in enumerate(asked):
        more: dict[str, Any] = {"rows": reading.rows[index]}
        if index in reading.problems:
            more["problem"] = reading.problems[index]
        sources.append(entry | more)
    return sources


def _decontamination(settings: Settings, index: Index | None, counts: Counts) -> dict[str, Any]:
    """Which benchmarks were removed, how many input rows were in each (one may be in several), and which were not."""
    found: dict[str, Any] = {"benchmarks": settings.benchmarks}
    if index is None:
        return found
    checked, not_checked = [], []
    for number, entry in enumerate(index.report):
        if "not_checked" in entry:
            not_checked.append({"benchmark": entry["benchmark"], "reason": entry["not_checked"]})
        else:
            checked.append(entry | {"rows_removed": counts.benchmarks[str(number)]})
    return found | {"by": "first block of the InChIKey", "checked": checked, "not_checked": not_checked}


def _raise_problems(manifest: dict[str, Any], out: Path) -> None:
    problems = [source["problem"] for source in manifest["sources"] if "problem" in source]
    if problems:
        more = f" (and {len(problems) - 1} more files, see manifest.json)" if len(problems) > 1 else ""
        raise CorpusError(f"{problems[0]}{more}; {out} holds what could be read")
    if not manifest["rows_in"]:
        raise CorpusError(
            f"the input is empty: {', '.join(source['file'] for source in islice(manifest['sources'], 3))}"
        )
    if not manifest["kept"]:
        reason, count = next(iter(manifest["dropped"].items()))
        raise CorpusError(
            f"none of {manifest['rows_in']:,} rows was kept, most often ({count:,}) because: {reason}; see "
            f"{out / 'rejects.parquet'}"
        )
