"""The chemistry of rows: mended, standardised, filtered, canonical, or dropped for a reason.

Nothing is remembered from row to row: `rtrl_chem.chem` keeps what it has parsed, which here would only fill memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from rdkit import Chem
from rdkit.Chem import rdChemReactions

from rtrl_chem.chem.atom_maps import without_atom_maps
from rtrl_chem.chem.molecule import MAX_LENGTH, clear_cache, text_problem, to_mol
from rtrl_chem.data.corpus import DOUBLED_BACKSLASH, unreadable
from rtrl_chem.data.prepare.decontaminate import Index
from rtrl_chem.data.prepare.inputs import ARROW, Kind, looks_like_reaction
from rtrl_chem.data.prepare.settings import Settings
from rtrl_chem.data.splits import hash_split, scaffold_split

__all__ = ["Cleaner", "Dropped", "Job", "Kept", "columns_of"]

_ATOM_MAP = re.compile(r":\d+\]")


@dataclass(frozen=True)
class Job:
    """All that a worker must know: picklable, the same for every chunk. `tokenizer` is a `tokenizers` JSON."""

    settings: Settings
    domain: Literal["molecule", "reaction"]
    index: Index | None = None
    tokenizer: str | None = None


class Dropped(Exception):
    """The row is not kept: `reason`, and the benchmarks it is in."""

    def __init__(self, reason: str, benchmarks: tuple[int, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.benchmarks = benchmarks


class Kept(NamedTuple):
    """A clean row: its columns (see `columns_of`), its key (equal keys are duplicates), its split, what was mended."""

    columns: tuple[str | None, ...]
    key: str
    split: str
    repaired: tuple[str, ...]


def columns_of(domain: str) -> tuple[str, ...]:
    """The columns of a row in a prepared corpus."""
    return ("smiles",) if domain == "molecule" else ("reactants", "reagents", "product")


class _Side(NamedTuple):
    """A molecule, or molecules joined by dots."""

    smiles: str
    mol: Chem.Mol


class _Draft(NamedTuple):
    """A cell as RDKit is to read it."""

    text: str
    kind: Kind
    repaired: tuple[str, ...]


class _Clean(NamedTuple):
    """A row that has passed all but the benchmarks, with its molecules."""

    kept: Kept
    sides: tuple[_Side, ...]


class Cleaner:
    """Cleans rows as a job says. The log of RDKit is the caller's to silence."""

    def __init__(self, job: Job) -> None:
        self.settings = job.settings
        self.domain = job.domain
        self.index = job.index
        self.filters = _Filters(job)
        self.standardizers = _standardizers(job.settings)

    def clean(self, rows: Sequence[tuple[str, Kind, str]]) -> list[Kept | Dropped]:
        """What becomes of some hundred rows, given as (cell, its kind, why there is no cell); all at once in memory."""
        found = self._molecules(rows) if self.domain == "molecule" else [self._reaction_or_not(*row) for row in rows]
        outcomes = [one.kept if isinstance(one, _Clean) else one for one in found]
        if self.index is not None:
            self._drop_benchmarks(self.index, found, outcomes)
        return outcomes

    def _drop_benchmarks(self, index: Index, found: list[_Clean | Dropped], outcomes: list[Kept | Dropped]) -> None:
        owners: list[int] = []
        sides: list[_Side] = []
        for position, one in enumerate(found):
            if isinstance(one, _Clean):
                owners += [position] * len(one.sides)
                sides += one.sides
        for number, benchmarks in index.find_all(sides).items():
            known = outcomes[owners[number]]
            every = {*benchmarks, *(known.benchmarks if isinstance(known, Dropped) else ())}
            outcomes[owners[number]] = Dropped(f"in benchmark {index.names[min(every)]}", tuple(sorted(every)))

    def close(self) -> None:
        """Forget what the helpers of other rooms remember of the molecules seen."""
        clear_cache()

    # ---- molecules --------------------------------------------------------------------------------------------------

    def _molecules(self, rows: Sequence[tuple[str, Kind, str]]) -> list[_Clean | Dropped]:
        """Each step goes over all rows. Between two calls of RDKit, which leave nothing of Python in the processor's
        cache, the same steps took three times as long."""
        drafts = [self._draft(*row) for row in rows]
        sides = [self._written(draft) for draft in drafts]
        return [self._finished(draft, side) for draft, side in zip(drafts, sides, strict=True)]

    def _draft(self, cell: str, kind: Kind, problem: str) -> _Draft | Dropped:
        if problem:
            return Dropped(problem)
        if kind == "mol block":
            return _Draft(cell, kind, ())
        try:
            text, repaired = self._mended(cell)
        except Dropped as dropped:
            return dropped
        if problem := text_problem(text):
            return Dropped(problem)
        return _Draft(text, kind, repaired)

    def _written(self, draft: _Draft | Dropped) -> _Side | Dropped:
        """The molecule and its canonical SMILES, nothing else: see `_molecules`."""
        if isinstance(draft, Dropped):
            return draft
        mol = Chem.MolFromSmiles(draft.text) if draft.kind == "text" else self._of_block(draft.text)
        if isinstance(mol, Dropped):
            return mol
        if mol is None or not mol.GetNumHeavyAtoms():
            return _unread(draft)
        for change in self.standardizers:
            mol = change(mol)
        return _Side(Chem.MolToSmiles(mol), mol)

    def _finished(self, draft: _Draft | Dropped, side: _Side | Dropped) -> _Clean | Dropped:
        if isinstance(draft, Dropped):
            return draft
        if isinstance(side, Dropped):
            return side
        if reason := self.filters.failed(side):
            return Dropped(reason)
        as_given = draft.kind == "text" and not self.settings.canonicalize
        shown = draft.text if as_given else side.smiles
        return _Clean(Kept((shown,), self._key(side), self._split(side.smiles), draft.repaired), (side,))

    def _of_block(self, block: str) -> Chem.Mol | Dropped:
        try:
            mol = Chem.MolFromMolBlock(block)
        except RuntimeError:  # where RDKit finds the block broken, rather than the molecule
            mol = None
        if mol is None:
            return Dropped("does not parse")
        if mol.GetNumAtoms() > MAX_LENGTH:
            return Dropped("too long")
        if not self.settings.filter.wildcards and _has_query(mol):
            return Dropped("wildcard atom or query")
        if self.settings.repair.atom_maps:
            for atom in mol.GetAtoms():
                atom.SetAtomMapNum(0)
        return mol

    # ---- reactions --------------------------------------------------------------------------------------------------

    def _reaction_or_not(self, cell: str, kind: Kind, problem: str) -> _Clean | Dropped:
        try:
            return Dropped(problem) if problem else self._reaction(cell, kind)
        except Dropped as dropped:
            return dropped

    def _reaction(self, cell: str, kind: Kind) -> _Clean:
        text, repaired = self._mended(_reaction_smiles(cell) if kind == "RXN block" else cell)
        parts = ARROW.split(text)
        if len(parts) != 3:
            raise Dropped("not a reaction")
        reactants, product = self._side("reactants", parts[0]), self._side("product", parts[2])
        reagents = self._reagents(parts[1].strip().strip("."))
        key = f"{self._key(reactants)}>>{self._key(product)}"
        if self.settings.canonicalize:
            parts = [reactants.smiles, "", product.smiles]
        kept = Kept((parts[0], reagents, parts[2]), key, self._split(product.smiles), repaired)
        return _Clean(kept, (reactants, product))

    def _side(self, name: str, text: str) -> _Side:
        side = _side_of_reaction(name, text.strip().strip("."))
        if reason := self.filters.failed(side):
            raise Dropped(f"{name}: {reason}")
        return side

    def _reagents(self, text: str) -> str | None:
        """Reagents say how, not what: they need only be molecules."""
        if not text:
            return None
        smiles = _side_of_reaction("reagents", text).smiles
        return smiles if self.settings.canonicalize else text

    # ---- both -------------------------------------------------------------------------------------------------------

    def _mended(self, cell: str) -> tuple[str, tuple[str, ...]]:
        """The cell as it can be read, and what was done to it; Dropped where it cannot be text of any kind."""
        text = cell.strip()
        if reason := unreadable(text):
            raise Dropped(reason)
        repair = self.settings.repair
        done: tuple[str, ...] = ()
        if repair.names and (" " in text or "\t" in text) and (bare := _without_name(text)):
            text, done = bare, (*done, "names")
        if repair.backslashes and "\\\\" in text:
            text, done = DOUBLED_BACKSLASH.sub(r"\\", text), (*done, "backslashes")
        if repair.atom_maps and ":" in text and _ATOM_MAP.search(text):
            parts = [(without_atom_maps(part) or part) if part else part for part in ARROW.split(text)]
            text, done = ">".join(parts), (*done, "atom_maps")
        return text, done

    def _key(self, side: _Side) -> str:
        if self.settings.dedup == "inchikey":
            return Chem.MolToInchiKey(side.mol) or side.smiles
        if self.settings.dedup == "stereo_free":
            Chem.RemoveStereochemistry(side.mol)  # what looks at the molecule after this asks for no stereo
            return str(Chem.MolToSmiles(side.mol))
        return side.smiles

    def _split(self, smiles: str) -> str:
        split = self.settings.split
        if split.method == "none":
            return "train"
        return (hash_split if split.method == "hash" else scaffold_split)(smiles, split.shares, split.salt)


class _Filters:
    """What a molecule must pass, but for the benchmarks."""

    def __init__(self, job: Job) -> None:
        self.filter = job.settings.filter
        self.json = job.tokenizer or ""
        self.elements = frozenset((*(self.filter.elements or ()), "H"))
        self.wildcards = self.filter.wildcards
        own = self.filter.model_dump(exclude={"wildcards"})
        self.idle = all(limit is None for limit in own.values())

    @cached_property
    def tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        return Tokenizer.from_str(self.json)

    def failed(self, side: _Side) -> str:
        """The first filter that the molecule does not pass, or ""."""
        if len(side.smiles) > MAX_LENGTH:
            return "too long"
        if not self.wildcards and ("*" in side.smiles or "~" in side.smiles):
            return "wildcard atom or query"
        return "" if self.idle else next(self._failed(side), "")

    def _failed(self, side: _Side) -> Iterator[str]:
        limits, mol = self.filter, side.mol
        if limits.min_heavy_atoms and mol.GetNumHeavyAtoms() < limits.min_heavy_atoms:
            yield "too few heavy atoms"
        if limits.max_heavy_atoms and mol.GetNumHeavyAtoms() > limits.max_heavy_atoms:
            yield "too many heavy atoms"
        if limits.elements and not self.elements.issuperset(atom.GetSymbol() for atom in mol.GetAtoms()):
            yield "other elements"
        if limits.min_weight and _weight(mol) < limits.min_weight:
            yield "too light"
        if limits.max_weight and _weight(mol) > limits.max_weight:
            yield "too heavy"
        if limits.max_tokens and self._tokens(side.smiles) > limits.max_tokens:
            yield "too many tokens"

    def _tokens(self, smiles: str) -> int:
        return len(self.tokenizer.encode(smiles, add_special_tokens=False).ids)


def _weight(mol: Chem.Mol) -> float:
    from rdkit.Chem import Descriptors

    return float(Descriptors.MolWt(mol))  # type: ignore[attr-defined]


def _standardizers(settings: Settings) -> list[Callable[[Chem.Mol], Chem.Mol]]:
    from rdkit.Chem.MolStandardize import rdMolStandardize

    wanted = settings.standardize
    steps: list[Callable[[Chem.Mol], Chem.Mol]] = []
    if wanted.largest_fragment:
        steps.append(rdMolStandardize.LargestFragmentChooser().choose)
    if wanted.uncharge:
        steps.append(rdMolStandardize.Uncharger().uncharge)
    if wanted.tautomer:
        steps.append(rdMolStandardize.TautomerEnumerator().Canonicalize)
    return steps


def _unread(draft: _Draft) -> Dropped:
    """Why RDKit made no molecule of a draft, or one without heavy atoms."""
    if draft.kind != "text":
        return Dropped("no heavy atom")
    return Dropped("a reaction" if looks_like_reaction(draft.text) else str(to_mol(draft.text)))


def _side_of_reaction(name: str, text: str) -> _Side:
    """Reactants, reagents (several molecules each) or the product; raises Dropped."""
    mol = to_mol(text)
    if isinstance(mol, str):
        raise Dropped(f"no {name}" if mol == "empty" else f"{name}: {mol}")
    smiles = Chem.MolToSmiles(mol)
    return _Side(smiles if name == "product" else _sorted_fragments(smiles), mol)


def _without_name(text: str) -> str:
    """The SMILES of `SMILES name`, or "": prose must not be read as the molecule that its first letter may be."""
    smiles, rest = text.split(None, 1)
    is_name = "\t" in text or rest.startswith("|") or len(rest.split()) == 1
    return smiles if is_name and len(smiles) > 1 else ""


def _sorted_fragments(smiles: str) -> str:
    """Molecules joined by dots, each canonical by itself, in order of their strings: as the corpora of `rtrl_chem.data`
    have sets of molecules."""
    pieces = smiles.split(".")
    if len(pieces) == 1:
        return smiles
    mols = [to_mol(piece) for piece in pieces]
    written = zip(pieces, mols, strict=True)
    return ".".join(sorted(piece if isinstance(mol, str) else str(Chem.MolToSmiles(mol)) for piece, mol in written))


def _has_query(mol: Chem.Mol) -> bool:
    return any(atom.HasQuery() for atom in mol.GetAtoms()) or any(bond.HasQuery() for bond in mol.GetBonds())


def _reaction_smiles(block: str) -> str:
    """An RXN block as `reactants>reagents>product`; Dropped where RDKit does not read it."""
    try:
        reaction = rdChemReactions.ReactionFromRxnBlock(block)
    except (ValueError, RuntimeError):
        reaction = None
    if reaction is None:
        raise Dropped("does not parse")
    return str(rdChemReactions.ReactionToSmiles(reaction))
