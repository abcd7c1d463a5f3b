"""The chemistry of rows: mended, standardised, filtered, canonical, or dropped for a reason.

Nothing is remembered from row to row: `rtrl_chem.chem` keeps what it has parsed, which here would only fill memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
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
# Letters of a canonical SMILES other than those of hydrogen.
_HEAVY_ATOM = re.compile("[A-GI-Za-gi-z]")


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
    """A molecule, or molecules joined by dots, and what is the same for duplicates of it."""

    smiles: str
    key: str


class _Draft(NamedTuple):
    """A cell as RDKit is to read it."""

    text: str
    repaired: tuple[str, ...]


class _Clean(NamedTuple):
    """A row that has passed all but the benchmarks, with the canonical SMILES of its molecules."""

    kept: Kept
    molecules: tuple[str, ...]


class Cleaner:
    """Cleans rows as a job says. The log of RDKit is the caller's to silence."""

    def __init__(self, job: Job) -> None:
        self.settings = job.settings
        self.domain = job.domain
        self.index = job.index
        self.filters = _Filters(job)
        self.standardizers = _standardizers(job.settings)
        by_smiles = job.settings.dedup in ("canonical", "none")
        self.looks_closer = bool(self.standardizers) or not self.filters.idle or not by_smiles

    def clean(self, rows: Iterable[tuple[str, str]], kind: Kind) -> list[Kept | Dropped]:
        """What becomes of some hundred rows, given as (cell, why there is none) and what cells hold."""
        if self.domain == "molecule":
            found = self._molecules(rows, kind)
        else:
            found = [self._reaction_or_not(*row, kind) for row in rows]
        outcomes = [one.kept if isinstance(one, _Clean) else one for one in found]
        if self.index is not None:
            self._drop_benchmarks(self.index, found, outcomes)
        return outcomes

    def _drop_benchmarks(self, index: Index, found: list[_Clean | Dropped], outcomes: list[Kept | Dropped]) -> None:
        owners: list[int] = []
        molecules: list[str] = []
        for position, one in enumerate(found):
            if isinstance(one, _Clean):
                owners += [position] * len(one.molecules)
                molecules += one.molecules
        for number, benchmarks in index.find_all(molecules).items():
            known = outcomes[owners[number]]
            every = {*benchmarks, *(known.benchmarks if isinstance(known, Dropped) else ())}
            outcomes[owners[number]] = Dropped(f"in benchmark {index.names[min(every)]}", tuple(sorted(every)))

    def close(self) -> None:
        """Forget what the helpers of other rooms remember of the molecules seen."""
        clear_cache()

    # ---- molecules --------------------------------------------------------------------------------------------------

    def _molecules(self, rows: Iterable[tuple[str, str]], kind: Kind) -> list[_Clean | Dropped]:
        """Each step goes over all rows. Between two calls of RDKit, which leave nothing of Python in the processor's
        cache, the same steps took three times as long."""
        drafts = [self._draft(*row, kind) for row in rows]
        sides = iter(self._written([draft.text for draft in drafts if isinstance(draft, _Draft)], kind))
        as_given = kind == "text" and not self.settings.canonicalize
        return [
            draft if isinstance(draft, Dropped) else self._finished(draft, next(sides), as_given) for draft in drafts
        ]

    def _draft(self, cell: str, problem: str, kind: Kind) -> _Draft | Dropped:
        if problem:
            return Dropped(problem)
        if kind == "mol block":
            return _Draft(cell, ())
        try:
            text, repaired = self._mended(cell)
        except Dropped as dropped:
            return dropped
        if problem := text_problem(text):
            return Dropped(problem)
        return _Draft(text, repaired)

    def _written(self, texts: Sequence[str], kind: Kind) -> list[_Side | str | Dropped]:
        """The canonical SMILES, with the key where that is another, of each text.

        RDKit calls RDKit here, and no molecule outlives its turn: each line of Python in between, or memory that is not
        used again at once, costs some hundredths of the time.
        """
        mols: Iterator[Any] = map(Chem.MolFromSmiles if kind == "text" else self._of_block, texts)
        sides: Iterator[_Side | str]
        sides = map(self._looked_at, mols) if self.looks_closer else map(Chem.MolToSmiles, mols)
        written: list[_Side | str | Dropped] = []
        while len(written) < len(texts):
            try:
                for side in sides:
                    written.append(side)
            except Dropped as dropped:
                written.append(dropped)
            except (TypeError, RuntimeError, ValueError):  # of what is written: None, or a molecule beyond RDKit
                written.append(_unread(texts[len(written)], kind))
        return written

    def _looked_at(self, mol: Chem.Mol) -> _Side:
        for change in self.standardizers:
            mol = change(mol)
        smiles = Chem.MolToSmiles(mol)
        if reason := self.filters.failed(smiles, mol):
            raise Dropped(reason)
        return _Side(smiles, self._key(smiles, mol))

    def _finished(self, draft: _Draft, side: _Side | str | Dropped, as_given: bool) -> _Clean | Dropped:
        if isinstance(side, Dropped):
            return side
        smiles, key = (side, side) if isinstance(side, str) else side
        if reason := self.filters.failed_as_text(smiles):
            return Dropped(reason)
        shown = draft.text if as_given else smiles
        return _Clean(Kept((shown,), key, self._split(smiles), draft.repaired), (smiles,))

    def _of_block(self, block: str) -> Chem.Mol | None:
        mol = Chem.MolFromMolBlock(_of_utf8(block))
        if mol is None:
            return None
        if mol.GetNumAtoms() > MAX_LENGTH:
            raise Dropped("too long")
        if not self.settings.filter.wildcards and _has_query(mol):
            raise Dropped("wildcard atom or query")
        if self.settings.repair.atom_maps:
            for atom in mol.GetAtoms():
                atom.SetAtomMapNum(0)
        return mol

    # ---- reactions --------------------------------------------------------------------------------------------------

    def _reaction_or_not(self, cell: str, problem: str, kind: Kind) -> _Clean | Dropped:
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
        key = f"{reactants.key}>>{product.key}"
        if self.settings.canonicalize:
            parts = [reactants.smiles, "", product.smiles]
        kept = Kept((parts[0], reagents, parts[2]), key, self._split(product.smiles), repaired)
        return _Clean(kept, (reactants.smiles, product.smiles))

    def _side(self, name: str, text: str) -> _Side:
        smiles, mol = _side_of_reaction(name, text.strip().strip("."))
        if reason := self.filters.failed(smiles, mol):
            raise Dropped(f"{name}: {reason}")
        return _Side(smiles, self._key(smiles, mol))

    def _reagents(self, text: str) -> str | None:
        """Reagents say how, not what: they need only be molecules."""
        if not text:
            return None
        smiles, _ = _side_of_reaction("reagents", text)
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

    def _key(self, smiles: str, mol: Chem.Mol) -> str:
        if self.settings.dedup == "inchikey":
            return Chem.MolToInchiKey(mol) or smiles
        if self.settings.dedup == "stereo_free":
            Chem.RemoveStereochemistry(mol)  # nobody looks at the molecule after this
            return str(Chem.MolToSmiles(mol))
        return smiles

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

    def failed_as_text(self, smiles: str) -> str:
        """The first filter that a canonical SMILES does not pass by its letters, or ""."""
        if not _HEAVY_ATOM.search(smiles):
            return "no heavy atom"
        if len(smiles) > MAX_LENGTH:
            return "too long"
        return "wildcard atom or query" if not self.wildcards and ("*" in smiles or "~" in smiles) else ""

    def failed(self, smiles: str, mol: Chem.Mol) -> str:
        """The first filter that the molecule does not pass, or ""."""
        return self.failed_as_text(smiles) or ("" if self.idle else next(self._failed(smiles, mol), ""))

    def _failed(self, smiles: str, mol: Chem.Mol) -> Iterator[str]:
        limits = self.filter
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
        if limits.max_tokens and self._tokens(smiles) > limits.max_tokens:
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


def _unread(text: str, kind: Kind) -> Dropped:
    """Why RDKit wrote nothing for a text."""
    if kind == "text" and looks_like_reaction(text):
        return Dropped("a reaction")
    readable = kind == "text" and not isinstance(to_mol(text), str)
    return Dropped("RDKit cannot write it" if readable else "does not parse")


def _side_of_reaction(name: str, text: str) -> tuple[str, Chem.Mol]:
    """Reactants, reagents (several molecules each) or the product, canonical; raises Dropped."""
    mol = to_mol(text)
    if isinstance(mol, str):
        raise Dropped(f"no {name}" if mol == "empty" else f"{name}: {mol}")
    smiles = Chem.MolToSmiles(mol)
    return smiles if name == "product" else _sorted_fragments(smiles), mol


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


def _of_utf8(block: str) -> str:
    """The block with a ? for each byte that is not UTF-8: such stand in names and comments, and RDKit takes none."""
    return block if block.isascii() else block.encode("utf-8", "replace").decode("utf-8")


def _reaction_smiles(block: str) -> str:
    """An RXN block as `reactants>reagents>product`; Dropped where RDKit does not read it."""
    try:
        reaction = rdChemReactions.ReactionFromRxnBlock(_of_utf8(block))
    except (ValueError, RuntimeError):
        reaction = None
    if reaction is None:
        raise Dropped("does not parse")
    return str(rdChemReactions.ReactionToSmiles(reaction))
