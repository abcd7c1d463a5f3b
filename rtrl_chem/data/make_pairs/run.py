"""`rtrl-chem make-pairs`: labelled pairs from molecules alone, each with how it was made."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any

from rdkit import rdBase

from rtrl_chem import __version__, chem
from rtrl_chem.chem.reaction_templates import TEMPLATES
from rtrl_chem.data.corpus import admit, reject
from rtrl_chem.data.inspect.source import Source, open_source
from rtrl_chem.data.make_pairs import captions, naming, reactions
from rtrl_chem.data.make_pairs.files import check_out, ending_of, write_rows
from rtrl_chem.data.make_pairs.reactions import Recipe
from rtrl_chem.data.prepare.files import sha256_of
from rtrl_chem.data.prepared import is_prepared, open_prepared
from rtrl_chem.data.readers import Row
from rtrl_chem.data.workers import in_chunks, stream_chunks
from rtrl_chem.durable import replacing, write_text
from rtrl_chem.errors import ConfigError, CorpusError, did_you_mean
from rtrl_chem.tasks import TASKS

__all__ = ["Made", "Request", "make_pairs"]

Progress = Callable[[str, int, "int | None"], None]

_MOLECULE = TASKS["naming"].left
# OPSIN costs a second a call, so names wait for company.
_NAMES_AT_ONCE = 20_000
_DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Request:
    """What is to be made of which molecules, and where it goes. `limit` takes the first so many rows of the input,
    `seconds` is the time that one name may take, `names` puts them into captions."""

    task: str
    path: str
    out: Path
    column: str | None = None
    limit: int | None = None
    names: bool = False
    seed: int = 0
    processes: int = 2
    seconds: float = 10.0
    recipe: Recipe = field(default_factory=Recipe)


@dataclass(frozen=True)
class Made:
    """What came of a run: rows read, pairs written, rows that gave none by reason (with duplicates)."""

    rows_in: int
    pairs: int
    dropped: dict[str, int]
    out: Path
    rejects: Path
    manifest: Path

    def summary(self) -> str:
        """One line for a log: `pairs.jsonl: 980 pairs from 1,000 rows (duplicate 15, does not parse 5)`."""
        text = f"{self.out}: {self.pairs:,} pairs from {self.rows_in:,} rows"
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.dropped.items())
        return f"{text} ({reasons}; see {self.rejects.name})" if reasons else text


@dataclass(frozen=True, slots=True)
class _Item:
    """A row on its way: its canonical SMILES and what was made of it so far, or the reason why it goes no further."""

    row: Row
    smiles: str = ""
    name: str = ""
    reason: str = ""
    cells: tuple[Any, ...] = ()


def make_pairs(request: Request, on_progress: Progress = lambda what, done, total: None) -> Made:
    """Write the pairs, the rows that gave none (`NAME.rejects.jsonl`) and a manifest (`NAME.manifest.json`).

    ConfigError where the call is wrong or a package is missing, CorpusError where not one pair could be made.
    """
    makers = {"naming": _name, "captioning": _caption, "reaction": _react}
    if request.task not in makers:
        raise ConfigError(f"--task {request.task}: no pairs can be made for it; {did_you_mean(request.task, makers)}")
    if request.names and request.task != "captioning":
        raise ConfigError("--names: only captions take names; leave it out")
    if request.task == "naming" or request.names:
        naming.require_namers()
    check_out(request.out)
    columns = (request.column,) if request.column else ()
    if is_prepared(request.path) and open_prepared(request.path).manifest.get("task_domain") == "reaction":
        raise ConfigError(f"{request.path} is a corpus of reactions, which are pairs already; give one of molecules")
    return makers[request.task](request, _Log(request, open_source(request.path, None, columns), on_progress))


class _Log:
    """Counts rows, writes rejects as they come, and at the end the manifest."""

    def __init__(self, request: Request, source: Source, on_progress: Progress) -> None:
        self.request, self.source, self.on_progress = request, source, on_progress
        stem = request.out.name[: -len(ending_of(request.out))]
        self.rejects = request.out.with_name(f"{stem}.rejects.jsonl")
        self.manifest = request.out.with_name(f"{stem}.manifest.json")
        self.dropped: Counter[str] = Counter()
        self.rows_in = self.pairs = 0
        sizes = [size for size in (source.manifest.get("kept"), request.limit) if size is not None]
        self.total = min(sizes, default=None)

    def rows(self) -> Iterator[Row]:
        """The rows of the input, counted."""
        for row in islice(self.source.rows, self.request.limit):
            self.rows_in += 1
            if self.rows_in % 250 == 0:
                self.on_progress("rows", self.rows_in, self.total)
            yield row

    def kept(self, items: Iterable[_Item], handle: Any) -> Iterator[tuple[Any, ...]]:
        """The cells of those that became pairs; the others are written to `handle`."""
        for item in items:
            if item.reason:
                self.set_aside(item.row, item.reason, handle, item.name)
            else:
                self.pairs += 1
                yield item.cells

    def set_aside(self, row: Row, reason: str, handle: Any, name: str = "") -> None:
        """Count a row that gave no pair, and write it down with the name that was tried, if any."""
        self.dropped[reason] += 1
        record = asdict(reject(self.source.where, row, reason)) | ({"name": name} if name else {})
        handle.write(json.dumps(record, ensure_ascii=False) + "\n")

    def write(self, columns: tuple[str, ...], items: Iterable[_Item], more: dict[str, Any] | None = None) -> Made:
        """Write everything; `items` are consumed as they are written."""
        out = self.request.out
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.rejects) as path, open(path, "w", encoding="utf-8") as handle:
            write_rows(out, columns, self.kept(items, handle))
        return self.finish(columns, more or {})

    def finish(self, columns: tuple[str, ...], more: dict[str, Any]) -> Made:
        """The manifest; CorpusError where there is no pair."""
        out, dropped = self.request.out, dict(self.dropped.most_common())
        if not self.pairs:
            out.unlink()
            nothing = "no template fits them" if self.rows_in else "it has no rows"
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in dropped.items()) or nothing
            raise CorpusError(f"{self.source.where}: no pair could be made of its {self.rows_in:,} rows ({reasons})")
        record = {
            "format": "rtrl-chem pairs",
            "version": 1,
            "task": self.request.task,
            "synthetic": True,
            "source": self.source.where,
            "rows_in": self.rows_in,
            "pairs": self.pairs,
            "dropped": dropped,
            "file": out.name,
            "sha256": sha256_of(out),
            "columns": list(columns),
            **more,
            "settings": _settings(self.request),
            "versions": _versions(),
        }
        write_text(self.manifest, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        return Made(self.rows_in, self.pairs, dropped, out, self.rejects, self.manifest)


# ---- from rows to molecules ------------------------------------------------------------------------------------------


def _admit_rows(rows: list[Row], seconds: float | None) -> list[_Item]:
    """Canonical molecules of rows, for a process of its own; with `seconds` each gets a name as well."""
    items = []
    with rdBase.BlockLogs():
        for row in rows:
            found = admit(row.cells[0], _MOLECULE) if not row.problem else None
            reason = found.reason if found else row.problem
            item = _Item(row, found.item if found else "", reason=reason)
            if seconds is not None and not reason:
                (named,) = naming.name_molecules([item.smiles], seconds)
                item = _Item(row, item.smiles, named.name, named.reason)
            items.append(item)
    return items


def _molecules(log: _Log, named: bool) -> Iterator[_Item]:
    """One item per row; the second row of a molecule is a duplicate."""
    seconds = log.request.seconds if named else None
    seen: set[bytes] = set()
    processes = log.request.processes if named else 1  # reading alone is quicker than what is made of it
    for item in stream_chunks(partial(_admit_rows, seconds=seconds), log.rows(), processes):
        key = hashlib.blake2b(item.smiles.encode(), digest_size=8).digest()  # 8 bytes, for there may be 10^7
        if item.smiles and key in seen:
            yield _Item(item.row, item.smiles, reason=_DUPLICATE)
            continue
        seen.add(key)
        yield item


def _checked(log: _Log, items: Iterable[_Item]) -> Iterator[_Item]:
    """Items whose name OPSIN reads as their molecule; the others with the reason."""
    for chunk in in_chunks(items, _NAMES_AT_ONCE):
        named = [item for item in chunk if not item.reason]
        log.on_progress("OPSIN reads the names", log.rows_in, log.total)
        verdicts = iter(naming.read_back([item.smiles for item in named], [item.name for item in named]))
        for item in chunk:
            yield item if item.reason else _Item(item.row, item.smiles, item.name, next(verdicts))


# ---- the three tasks -------------------------------------------------------------------------------------------------


def _name(request: Request, log: _Log) -> Made:
    made_by, checked_by = f"openclatura {version('openclatura')}", f"OPSIN (py2opsin {version('py2opsin')})"
    columns = ("smiles", "name", "made_by", "checked_by", "source_row")

    def finished(item: _Item) -> _Item:
        cells = (item.smiles, item.name, made_by, checked_by, item.row.number)
        return _Item(item.row, name=item.name, reason=item.reason, cells=cells)

    return log.write(columns, map(finished, _checked(log, _molecules(log, named=True))))


def _caption(request: Request, log: _Log) -> Made:
    columns = ("smiles", "description", "phrasing", "named", "made_by", "source_row")
    items = _molecules(log, named=request.names)
    if request.names:
        items = map(_without_bad_name, _checked(log, items))
    write = partial(_caption_items, seed=request.seed, made_by=f"rtrl-chem {__version__}")
    return log.write(columns, stream_chunks(write, items, request.processes))


def _without_bad_name(item: _Item) -> _Item:
    """A molecule whose name is missing or wrong gets a caption all the same."""
    lost = item.reason and item.smiles and item.reason != _DUPLICATE
    return _Item(item.row, item.smiles) if lost else item


def _caption_items(items: list[_Item], seed: int, made_by: str) -> list[_Item]:
    """Captions of molecules, for a process of its own."""
    return [_captioned(item, seed, made_by) for item in items]


def _captioned(item: _Item, seed: int, made_by: str) -> _Item:
    if item.reason:
        return item
    molecule = chem.parse(item.smiles)
    if molecule is None:  # RDKit wrote it and does not read it
        return _Item(item.row, reason="does not survive being written")
    if "*" in item.smiles:
        return _Item(item.row, reason="wildcard atom")
    text, phrasing = captions.caption(item.smiles, captions.facts_of(molecule.mol), seed, item.name)
    if chem.find_leak(item.smiles, text, source_is_molecule=True, output_is_molecule=False):
        return _Item(item.row, reason="caption would hold the SMILES")
    return _Item(item.row, cells=(item.smiles, text, phrasing, bool(item.name), made_by, item.row.number))


def _react(request: Request, log: _Log) -> Made:
    made_by = f"rtrl-chem {__version__} templates"
    columns = ("reactants", "product", "template", "synthetic", "made_by")
    request.out.parent.mkdir(parents=True, exist_ok=True)
    blocks: set[str] = set()
    with rdBase.BlockLogs(), replacing(log.rejects) as path, open(path, "w", encoding="utf-8") as handle:
        for row in log.rows():
            smiles, reason = _block(row, request.recipe)
            if reason or smiles in blocks:
                log.set_aside(row, reason or _DUPLICATE, handle)
            blocks.add(smiles)
        report = partial(log.on_progress, "templates")
        found, _ = reactions.generate(sorted(blocks - {""}), request.recipe, report)
        log.pairs = len(found)
        rows = ((one.reactants, one.product, one.template, True, made_by) for one in found)
        write_rows(request.out, columns, rows)
    per_template = Counter(reaction.template for reaction in found)
    more = {"building_blocks": len(blocks - {""}), "templates": {t.name: per_template[t.name] for t in TEMPLATES}}
    return log.finish(columns, more)


def _block(row: Row, recipe: Recipe) -> tuple[str, str]:
    if row.problem:
        return "", row.problem
    found = admit(row.cells[0], _MOLECULE)
    return ("", found.reason) if found.reason else reactions.admit_block(found.item, recipe.max_block_atoms)


# ---- small helpers ---------------------------------------------------------------------------------------------------


def _settings(request: Request) -> dict[str, Any]:
    """What the task of the request depends on."""
    of_task: dict[str, dict[str, Any]] = {
        "naming": {"seconds": request.seconds},
        "captioning": {"seed": request.seed, "names": request.names},
        "reaction": asdict(request.recipe),
    }
    return {"column": request.column, "limit": request.limit, **of_task[request.task]}


def _versions() -> dict[str, str]:
    found = {"rtrl-chem": __version__}
    for package in ("rdkit", "openclatura", "py2opsin"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # of an extra that is not there
            continue
    return found
