"""From what a user names to rows (files, folders, globs, Hub data sets), and from rows to chunks of a fixed size."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

from rtrl_chem.data.bundled import bundled_path, is_bundled
from rtrl_chem.data.prepare.settings import Settings
from rtrl_chem.data.readers import (
    FORMATS,
    PACKED,
    REACTION_COLUMNS,
    RECORD_FORMATS,
    Columns,
    Meter,
    Row,
    bare_suffix,
    fold,
    is_hub_id,
    open_rows,
)
from rtrl_chem.data.records import open_records
from rtrl_chem.errors import ConfigError, CorpusError, did_you_mean
from rtrl_chem.tasks import Domain

__all__ = ["Chunk", "Inputs", "Kind", "Reading", "Skipped", "Source", "Span", "find_inputs", "looks_like_reaction"]

Kind = Literal["text", "mol block", "RXN block"]

# Lines of whole reactions; the other formats may hold either.
REACTION_LINES = {".rsmi": "smi", ".rsmiles": "smi"}
ENDINGS = {**FORMATS, **RECORD_FORMATS, **REACTION_LINES}
KINDS: dict[str, Kind] = {"sdf": "mol block", "rxn": "RXN block", "rdf": "RXN block"}

# The unit of work. Part of the output's recipe (row groups follow it), hence no setting. Some seconds of RDKit; and
# few enough characters that a chunk of mol blocks or of 1 MB lines is as light as one of SMILES.
CHUNK_ROWS = 20_000
CHUNK_CHARACTERS = 4_000_000
TEXT_LIMIT = 500
REJECTS = "rejects.parquet"
LEFT_OUT = "what another prepare left out"
PEEKED_ROWS = 100

MOLECULE = Domain(name="molecule", kind="molecule", tag="SMILES")
REACTION = Domain(name="reaction", kind="molecules", tag="REACTION")
# The > of a dative bond, ->, is none.
ARROW = re.compile(r"(?<!-)>")


@dataclass(frozen=True)
class Source:
    """A file or a Hub data set (`path` None), by the name that rows keep as `source_file`."""

    name: str
    path: Path | None
    format: str
    in_folder: bool = False
    """Nobody named it: it may be something else altogether."""

    @property
    def kind(self) -> Kind:
        """What a cell of it holds."""
        return KINDS.get(self.format, "text")

    @property
    def size(self) -> int:
        """Bytes on disk; 0 for a Hub data set."""
        return self.path.stat().st_size if self.path is not None else 0


@dataclass(frozen=True)
class Skipped:
    """Something in a folder or behind a glob that is not read, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Inputs:
    """What is read, in this order, and as what."""

    sources: tuple[Source, ...]
    skipped: tuple[Skipped, ...]
    domain: Literal["molecule", "reaction"]


@dataclass(frozen=True)
class Span:
    """`rows` rows of a chunk that come from one source."""

    source: int
    kind: Kind
    rows: int


@dataclass
class Chunk:
    """Rows `first`, `first + 1`, ... of the corpus, by columns.

    `cells` holds what RDKit is to read, `texts` the row as it stands in its file (at most 500 characters; None where it
    is the cell), `problems` why the row at a position has no cell.
    """

    index: int
    first: int
    spans: list[Span] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    texts: list[str | None] = field(default_factory=list)
    problems: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.cells)


def looks_like_reaction(text: str) -> bool:
    """Whether a cell is written as `reactants>reagents>product`."""
    return len(ARROW.findall(text)) == 2


# ---- what to read ---------------------------------------------------------------------------------------------------


def find_inputs(given: list[str], settings: Settings, out: Path) -> Inputs:
    """The sources behind files, folders, globs, Hub ids and `bundled:NAME`, their columns looked up.

    A folder is searched for files of known endings, in order of their paths, without what lies in `out`. ConfigError
    where nothing is found, a file is of no known kind, or a table has no column of the right name.
    """
    sources: dict[str, Source] = {}
    skipped: list[Skipped] = []
    for one in given:
        for found in _expand(one, settings, out):
            if isinstance(found, Skipped):
                skipped.append(found)
            elif found.name in sources:
                skipped.append(Skipped(found.name, "named twice"))
            else:
                sources[found.name] = found
    if not sources:
        raise ConfigError(f"nothing to read in {', '.join(given)}: give files that end in {', '.join(ENDINGS)}")
    listed = tuple(sources.values())
    domain = settings.domain if settings.domain != "auto" else _domain_of(listed[0], settings)
    if problem := settings.problem_with(domain):
        raise ConfigError(problem)
    fit = []
    for source in listed:
        problem = _misfit(source, domain, settings)
        if problem and not source.in_folder:
            raise ConfigError(problem)
        if problem:
            skipped.append(Skipped(source.name, problem))
        else:
            fit.append(source)
    if not fit:
        raise ConfigError(f"nothing to read in {', '.join(given)}: {skipped[-1].file}: {skipped[-1].reason}")
    return Inputs(tuple(fit), tuple(skipped), domain)


def _expand(given: str, settings: Settings, out: Path) -> Iterator[Source | Skipped]:
    path = Path(given).expanduser()
    if is_bundled(given):
        yield Source(given, bundled_path(given), "tsv")
    elif path.is_dir():
        yield from _folder(path, settings, out)
    elif path.exists() and not path.is_file():
        raise ConfigError(f"{given} is a pipe or a device, which cannot be read twice: save it to a file first")
    elif path.exists():
        yield Source(given, path, _format(path, settings))
    elif glob.has_magic(given):
        yield from _matches(given, settings, out)
    elif is_hub_id(given, path, None) and bare_suffix(path) not in ENDINGS:
        yield Source(given, None, "hub")
    else:
        raise ConfigError(
            f"no file {given!r}: give files, folders, globs, a Hub data set id (org/name) or bundled:NAME"
        )


def _matches(pattern: str, settings: Settings, out: Path) -> Iterator[Source | Skipped]:
    matches = sorted(glob.glob(str(Path(pattern).expanduser()), recursive=True))
    if not matches:
        raise ConfigError(f"{pattern}: matches no file")
    for match in matches:
        path = Path(match)
        if _lies_in(path, out):
            continue
        if path.name == REJECTS:
            yield Skipped(match, LEFT_OUT)
        elif path.is_file():
            yield Source(match, path, _format(path, settings))
        elif bare_suffix(path) in ENDINGS:
            yield Skipped(match, "a folder, in spite of its name")


def _folder(folder: Path, settings: Settings, out: Path) -> Iterator[Source | Skipped]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if _lies_in(path, out) or any(part.startswith(".") for part in inside.parts):
            continue
        if path.is_dir():
            if bare_suffix(path) in ENDINGS:
                yield Skipped(str(path), "a folder, in spite of its name; the files in it count as such")
        elif path.name == REJECTS:
            yield Skipped(str(path), LEFT_OUT)
        elif bare_suffix(path) in ENDINGS or settings.format is not None:
            yield Source(str(path), path, _format(path, settings), in_folder=True)
        else:
            yield Skipped(str(path), "no known ending")


def _lies_in(path: Path, out: Path) -> bool:
    return out.resolve() in (path.resolve(), *path.resolve().parents)


def _format(path: Path, settings: Settings) -> str:
    if settings.format is not None:
        return settings.format
    ending = bare_suffix(path)
    if ending not in ENDINGS:
        hint = did_you_mean(ending, ENDINGS)
        raise ConfigError(
            f"{path}: ending {ending!r} is not known, {hint} (also packed, {' '.join(PACKED)}); rename it or set format"
        )
    return ENDINGS[ending]


# ---- as what to read it ---------------------------------------------------------------------------------------------


class ReactionColumns(Columns):
    """The columns of reactions: one of whole reactions, or reactants, product and maybe reagents."""

    def choose(self, present: Sequence[str]) -> tuple[int, ...]:
        """One position, or those of reactants (reagents) product; ConfigError if there are neither."""
        if self.fields[0] is not None:
            return super().choose(present)
        return tuple(self._only(present, present[place]) for place in self._places(present))

    def _places(self, present: Sequence[str]) -> tuple[int, ...]:
        folded = [fold(column) for column in present]
        if (whole := _first(folded, REACTION_COLUMNS)) is not None:
            return (whole,)
        sides = [_first(folded, names) for names in (REACTANTS, REAGENTS, PRODUCTS)]
        if sides[0] is not None and sides[2] is not None:
            return tuple(side for side in sides if side is not None)
        if (whole := _first(folded, LINES)) is not None:
            return (whole,)
        raise ConfigError(
            f"{self.where}: no column of reactions among {list(present)}: it needs one such as reaction_smiles, or "
            "reactants and product; or say which one with `field`"
        )

    def may_lack(self, name: str) -> bool:
        """A reaction without reagents is one."""
        return fold(name) in REAGENTS


REACTANTS = ("reactants", "reactant", "precursors")
REAGENTS = ("reagents", "reagent", "agents")
PRODUCTS = ("product", "products")
LINES = ("smiles", "canonical_smiles")


def _first(present: list[str], names: tuple[str, ...]) -> int | None:
    return next((present.index(name) for name in names if name in present), None)


def _columns(source: Source, domain: str, settings: Settings) -> Columns:
    if domain == "reaction":
        return ReactionColumns((REACTION,), (settings.field,), source.name)
    return Columns((MOLECULE,), (settings.field,), source.name)


def open_source(source: Source, domain: str, settings: Settings, meter: Meter | None = None) -> Iterator[Row]:
    """The rows of a source, each with one cell: a SMILES, a reaction SMILES or a block.

    CorpusError where the file is damaged, after the rows that could be read.
    """
    if source.kind != "text":
        assert source.path is not None
        return open_records(source.path, source.format, meter)
    columns = _columns(source, domain, settings)
    if source.path is None:
        how = (None, settings.hub_split, settings.hub_revision)
        rows = open_rows(source.name, columns, *how, streaming=True)[1]
    else:
        rows = open_rows(source.path, columns, source.format, meter=meter)[1]
    return _joined(rows) if domain == "reaction" else rows


def _joined(rows: Iterator[Row]) -> Iterator[Row]:
    for row in rows:
        if len(row.cells) < 2:
            yield row
        else:
            yield row._replace(cells=(">>".join(row.cells) if len(row.cells) == 2 else ">".join(row.cells),))


def _domain_of(source: Source, settings: Settings) -> Literal["molecule", "reaction"]:
    if source.kind != "text" or (source.path is not None and bare_suffix(source.path) in REACTION_LINES):
        return "molecule" if source.kind == "mol block" else "reaction"
    try:
        rows = list(islice(open_source(source, "reaction", settings), PEEKED_ROWS))
    except (ConfigError, CorpusError):
        return "molecule"  # where that is not right either, the check of the columns will say so
    cells = [row.cells[0] for row in rows if row.cells and row.cells[0].strip()]
    return "reaction" if 2 * sum(map(looks_like_reaction, cells)) > len(cells) else "molecule"


def _misfit(source: Source, domain: str, settings: Settings) -> str:
    """Why a source cannot be read with the others, before hours are spent on them; "" if it can.

    CorpusError where a Hub data set cannot be had.
    """
    if source.kind == ("RXN block" if domain == "molecule" else "mol block"):
        holds, others = ("reactions", "molecules") if domain == "molecule" else ("molecules", "reactions")
        return f"{source.name}: holds {holds}, the others {others}; prepare them apart"
    try:
        next(open_source(source, domain, settings), None)
    except ConfigError as error:
        return str(error)
    except CorpusError:
        if source.path is None:
            raise
        # A damaged file is dealt with when its turn comes: what can be read of it is kept.
    return ""


# ---- rows in chunks -------------------------------------------------------------------------------------------------


class Reading:
    """Passes over the sources once: `chunks`, and an account of it."""

    def __init__(self, inputs: Inputs, settings: Settings) -> None:
        self.inputs = inputs
        self.settings = settings
        self.rows = [0] * len(inputs.sources)
        self.problems: dict[int, str] = {}
        self.bytes_in_all = sum(source.size for source in inputs.sources)
        self._bytes_of_finished = 0
        self._meter = Meter()

    @property
    def bytes_done(self) -> int:
        """How much of the files, as they lie on disk, has been read."""
        return self._bytes_of_finished + self._meter.position()

    def chunks(self) -> Iterator[Chunk]:
        """All rows, in chunks that depend on the rows alone. A damaged file ends early and is in `problems`;
        CorpusError where a Hub data set breaks off, for that can be had again."""
        chunk, characters = Chunk(0, 0), 0
        for index, source in enumerate(self.inputs.sources):
            begun = len(chunk)
            for row in self._rows(index, source):
                characters += _add(chunk, row)
                if len(chunk) >= CHUNK_ROWS or characters >= CHUNK_CHARACTERS:
                    self._close(chunk, index, source, begun)
                    yield chunk
                    chunk, characters, begun = Chunk(chunk.index + 1, chunk.first + len(chunk)), 0, 0
            self._close(chunk, index, source, begun)
            self._bytes_of_finished += source.size
            self._meter.handle = None
        if len(chunk):
            yield chunk

    def _rows(self, index: int, source: Source) -> Iterator[Row]:
        try:
            yield from open_source(source, self.inputs.domain, self.settings, self._meter)
        except CorpusError as error:
            if source.path is None:
                raise
            self.problems[index] = str(error)

    def _close(self, chunk: Chunk, index: int, source: Source, begun: int) -> None:
        rows = len(chunk) - begun
        self.rows[index] += rows
        if rows:
            chunk.spans.append(Span(index, source.kind, rows))


def _add(chunk: Chunk, row: Row) -> int:
    """Put a row into a chunk; the characters it takes there."""
    number, text, cells, problem = row
    cell = "" if problem else cells[0]
    if problem:
        chunk.problems[len(chunk.cells)] = problem
    chunk.numbers.append(number)
    chunk.cells.append(cell)
    chunk.texts.append(None if text == cell else text[:TEXT_LIMIT])
    return len(cell)
