"""The rows of a suite: found below --data, in the package or on the Hub; repaired, and every one accounted for."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rtrl_chem import chem
from rtrl_chem.chem.atom_maps import without_atom_maps
from rtrl_chem.data.corpus import DOUBLED_BACKSLASH, admit, read_corpus
from rtrl_chem.data.readers import Columns, Row, open_rows
from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.evaluation.held_out import take_by_hash
from rtrl_chem.evaluation.suites.schema import DataSet, Hub, Part, Suite, columns_of
from rtrl_chem.tasks import Domain
from rtrl_chem.tasks.base import fill

__all__ = ["Item", "Items", "located", "published", "read_items"]

_HUB_SECONDS = 10
_STEP = 200  # items between two steps of a progress bar
_TEXT = Domain(name="cell", kind="text", tag="CELL")


@dataclass(frozen=True)
class Item:
    """x, its label (None without one) and the cells that the prompt needs beside x."""

    source: str
    target: str | None = None
    context: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Items:
    """The items of a part in file order. `rows_in` = rows kept + rows set aside, before the size limit.

    `repaired` counts rows whose doubled backslashes were undone, `unreadable` items whose x or label should be a
    structure and is none: they stay, or the denominator would depend on RDKit. `published` is how many rows the
    published set has, where the suite says so.
    """

    items: list[Item]
    where: str
    rows_in: int
    set_aside: dict[str, int] = field(default_factory=dict)
    repaired: int = 0
    unreadable: int = 0
    published: int | None = None

    def summary(self) -> str:
        """One line for a log: `chebi20/test.txt: 3,300 rows, 484 with doubled backslashes repaired; 500 taken`."""
        text = f"{self.where}: {self.rows_in:,} rows"
        if self.published not in (None, self.rows_in):
            text += f" (the published set has {self.published:,})"
        if self.set_aside:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.set_aside.items())
            text += f", {sum(self.set_aside.values()):,} set aside ({reasons})"
        if self.repaired:
            text += f", {self.repaired:,} with doubled backslashes repaired"
        if self.unreadable:
            text += f", {self.unreadable:,} with a SMILES that does not parse"
        kept = self.rows_in - sum(self.set_aside.values())
        return text + (f"; {len(self.items):,} taken" if len(self.items) < kept else "")

    def fingerprint(self) -> str:
        """sha256 over sources and labels in order, as hex."""
        digest = hashlib.sha256()
        for item in self.items:
            digest.update(f"{item.source}\0{item.target}\n".encode())
        return digest.hexdigest()


def read_items(
    suite: Suite, name: str, data_dir: Path | None, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Items:
    """The items of the part `name` of a suite; `on_progress` gets how many of how many RDKit has read.

    CorpusError where the rows cannot be reached or none can be used, ConfigError where a column is not there.
    """
    part = suite.parts[name]
    data = suite.data[part.data]
    with located(data, data_dir, f"{suite.name}, data {part.data!r}") as (place, revision):
        if part.source is None:
            found = _unlabelled(part, place, part.size or suite.size)
        else:
            split = data.hub.split if data.hub and revision else None
            found = _labelled(suite, name, place, split, revision, on_progress)
    if not found.items:
        raise CorpusError(f"{suite.name}, {name}: no row of {found.where} can be used ({found.summary()})")
    return replace(found, published=data.rows)


@contextmanager
def located(data: DataSet, data_dir: Path | None, what: str) -> Iterator[tuple[str, str | None]]:
    """Where the rows are: (path or bundled:NAME, None), or (Hub id, revision) for `datasets` to load. CorpusError if
    they cannot be reached, which is known at once: a missing local copy is not sought on the Hub."""
    if data.file is not None:
        yield data.file, None
    elif data_dir is not None and data.local:
        yield _local(data, data_dir, what), None
    elif data.hub is None:
        origin = f"; get it from {data.origin}" if data.origin else ""
        wanted = " or ".join(data.local)
        raise CorpusError(f"{what}: no copy on the Hub is known{origin} and give --data DIR, the folder of {wanted}")
    elif data.hub.file is None:
        _reach_hub()
        try:
            yield data.hub.id, data.hub.revision
        except CorpusError as error:
            raise CorpusError(f"{what}: {error} (--data DIR, the folder of {' or '.join(data.local)})") from error
    else:
        with _downloaded(data.hub, what) as path:
            yield str(path), None


def _local(data: DataSet, data_dir: Path, what: str) -> str:
    if not data_dir.is_dir():
        raise ConfigError(f"--data {data_dir}: no such folder; give the folder of local copies, see eval/README.md")
    for name in data.local:
        if (data_dir / name).is_file():
            return str(data_dir / name)
    origin = f" (from {data.origin})" if data.origin else ""
    raise CorpusError(f"{what}: no {' or '.join(data.local)} below {data_dir}; put a copy there{origin}")


@contextmanager
def _downloaded(hub: Hub, what: str) -> Iterator[Path]:
    """One file of a Hub data set, or a member of it, on disk."""
    assert hub.file is not None
    unreachable = _reach_hub()
    from huggingface_hub import hf_hub_download

    try:
        path = Path(hf_hub_download(hub.id, hub.file, revision=hub.revision, repo_type="dataset"))
    # The Hub's client raises everything from ConnectionError to ValueError; to the user they are one event.
    except Exception as error:
        reason = unreachable or _first_line(error)
        raise CorpusError(
            f"{what}: {hub.file} of {hub.id} on the Hub cannot be had ({reason}); "
            "check the network, or give --data DIR with a local copy"
        ) from error
    if hub.member is None:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder, _archive(path, what) as archive:
        if hub.member not in archive.namelist():
            raise CorpusError(f"{what}: {hub.file} of {hub.id} holds no {hub.member}")
        target = Path(folder) / Path(hub.member).name
        with archive.open(hub.member) as packed, open(target, "wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
        yield target


def _reach_hub() -> str:
    """Why the Hub cannot be reached, "" if it can. One try, where its client makes five in half a minute; if that
    fails, the client is told to look at what it has downloaded before, and nowhere else."""
    import huggingface_hub

    try:
        huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=_HUB_SECONDS)
    except Exception as error:  # those of whichever HTTP library the client uses
        os.environ["HF_HUB_OFFLINE"] = "1"  # for `datasets`, which asks when it is first imported
        huggingface_hub.constants.HF_HUB_OFFLINE = True
        return f"it cannot be reached: {_first_line(error)}"
    from rtrl_chem.models.processes import calm_libraries

    calm_libraries()
    return ""


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _archive(path: Path, what: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise CorpusError(f"{what}: {path} is no zip archive; remove it, to have it downloaded again") from None


def _unlabelled(part: Part, place: str, size: int | None) -> Items:
    corpus = read_corpus(place, part.resolved_task.source(part.direction))
    aside = dict(corpus.reject_reasons()) | ({"duplicate": corpus.duplicates} if corpus.duplicates else {})
    items = _take([Item(item) for item in corpus.items], size)
    return Items(items, place, corpus.rows_in, aside, corpus.repaired)


def _labelled(
    suite: Suite,
    name: str,
    place: str,
    split: str | None,
    revision: str | None,
    on_progress: Callable[[int, int], None],
) -> Items:
    part = suite.parts[name]
    found = published(part, suite.data[part.data], place, split, revision)
    # RDKit comes last: of a large set only what is taken need be read.
    taken = _take(found.items, part.size or suite.size)
    finisher = _Finisher(part, canonical=suite.smiles == "canonical")
    finished = []
    for done, item in enumerate(taken):
        if done % _STEP == 0:
            on_progress(done, len(taken))
        finished.append(finisher.finish(item))
    return replace(found, items=finished, unreadable=finisher.unreadable)


def published(part: Part, data: DataSet, place: str, split: str | None, revision: str | None) -> Items:
    """Every item of a labelled part as it was published, but for doubled backslashes; RDKit has seen none of it."""
    columns = list(dict.fromkeys([*part.columns, *data.where]))
    chosen = Columns((_TEXT,) * len(columns), tuple(columns), place)
    where, rows = open_rows(place, chosen, split=split or "train", revision=revision)
    reader = _Reader(part)
    items: list[Item] = []
    aside: Counter[str] = Counter()
    rows_in = 0
    for row in rows:
        cells = dict(zip(columns, row.cells, strict=False))
        if cells and any(cells[column] != wanted for column, wanted in data.where.items()):
            continue
        rows_in += 1
        try:
            items.append(reader.read(row, cells))
        except _Unusable as reason:
            aside[str(reason)] += 1
    return Items(items, where, rows_in, dict(aside), reader.repaired)


class _Unusable(Exception):
    """A row that asks nothing or has no label; the message is the reason."""


class _Reader:
    """Rows into items as published, but for doubled backslashes; no chemistry."""

    def __init__(self, part: Part) -> None:
        task = part.resolved_task
        self.part = part
        self.source, self.target = task.source(part.direction), task.output(part.direction)
        self.repaired = 0

    def read(self, row: Row, cells: Mapping[str, str]) -> Item:
        """The item of a row; `_Unusable` where there is none."""
        if row.problem:
            raise _Unusable(row.problem)
        source, mended = self._side(self.part.source or "", cells, self.source)
        target, too = self._side(self.part.target, cells, self.target) if self.part.target else (None, False)
        self.repaired += mended or too
        context = [column for column in columns_of(self.part.prompt or "") if column != "source"]
        return Item(source, target, tuple((column, cells[column].strip()) for column in context))

    def _side(self, template: str, cells: Mapping[str, str], domain: Domain) -> tuple[str, bool]:
        """The text of one side, and whether its backslashes were mended."""
        clean = {column: admit(cells[column], _TEXT) for column in columns_of(template)}
        if reason := next((cell.reason for cell in clean.values() if cell.reason not in ("", "empty")), ""):
            raise _Unusable(reason)
        # The first column of a template is what it is about: reactants may go without reagents, not the other way.
        if not next(iter(clean.values())).item:
            raise _Unusable("empty")
        text = fill(template, {column: cell.item for column, cell in clean.items()})
        if not domain.is_structure or "\\\\" not in text:
            return text, False
        return DOUBLED_BACKSLASH.sub(r"\\", text), True


class _Finisher:
    """Structures as they are asked for: atom maps taken out, canonical if so wanted."""

    def __init__(self, part: Part, canonical: bool) -> None:
        task = part.resolved_task
        self.unmap, self.canonical = part.unmap, canonical
        self.domains = task.source(part.direction), task.output(part.direction)
        self.unreadable = 0

    def finish(self, item: Item) -> Item:
        """The item with both sides ready; counts it where one should be a structure and is none."""
        texts, readable = [], True
        for text, domain in zip((item.source, item.target), self.domains, strict=True):
            if text is not None and domain.is_structure:
                pieces = [self._structure(piece) for piece in text.split(">")]
                text = ">".join(piece for piece, _ in pieces)
                readable &= all(fine for _, fine in pieces)
            texts.append(text)
        self.unreadable += not readable
        return Item(texts[0] or "", texts[1], item.context)

    def _structure(self, smiles: str) -> tuple[str, bool]:
        """A SMILES, and whether RDKit reads it; "" (no reagents) is fine."""
        smiles = smiles.strip(".")  # a template's dot beside an empty column
        if not smiles:
            return "", True
        if self.unmap:
            smiles = without_atom_maps(smiles) or smiles
        molecule = chem.parse(smiles)
        if molecule is None or not self.canonical:
            return smiles, molecule is not None
        return ".".join(molecule.fragments), True


def _take(items: list[Item], size: int | None) -> list[Item]:
    """At most `size` items, in file order; which ones is a function of the items alone."""
    if size is None or len(items) <= size:
        return items
    numbered = list(enumerate(items))
    chosen = take_by_hash(numbered, size, key=lambda pair: f"{pair[1].source}\0{pair[1].target}")
    return [item for _, item in sorted(chosen, key=lambda pair: pair[0])]
