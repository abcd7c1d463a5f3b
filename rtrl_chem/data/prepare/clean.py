"""The chemistry of one row: mended, standardised, filtered, canonical, or dropped for a reason.

Nothing is remembered from row to row: `rtrl_chem.chem` keeps what it has parsed, which here would only fill memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from rdkit import Chem
from rdkit.Chem import rdChemReactions

from rtrl_chem.chem.atom_maps import without_atom_maps
from rtrl_chem.chem.molecule import MAX_LENGTH, clear_cache, to_mol
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


class Cleaner:
    """Cleans rows as a job says. The log of RDKit is the caller's to silence."""

    def __init__(self, job: Job) -> None:
        self.settings = job.settings
        self.domain = job.domain
        self.index = job.index
        self.filters = _Filters(job)
        self.standardizers = _standardizers(job.settings)

    def clean(self, cell: str, kind: Kind) -> Kept:
        """The clean row of a cell; raises Dropped."""
        return self._molecule(cell, kind) if self.domain == "molecule" else self._reaction(cell, kind)

    def close(self) -> None:
        """Forget what the helpers of other rooms remember of the molecules seen."""
        clear_cache()

    # ---- molecules --------------------------------------------------------------------------------------------------

    def _molecule(self, cell: str, kind: Kind) -> Kept:
        repaired: tuple[str, ...]
        if kind == "mol block":
            text, repaired, mol = "", (), self._of_block(cell)
        else:
            text, repaired = self._mended(cell)
            mol = self._read(text)
        for change in self.standardizers:
            mol = change(mol)
        side = _Side(_written(mol), mol)
        self.filters.check(side)
        self._check_benchmarks(side)
        shown = side.smiles if self.settings.canonicalize or not text else text
        return Kept((shown,), self._key(side), self._split(side.smiles), repaired)

    def _of_block(self, block: str) -> Chem.Mol:
        try:
            mol = Chem.MolFromMolBlock(block)
        except RuntimeError:  # where RDKit finds the block broken, rather than the molecule
            mol = None
        if mol is None:
            raise Dropped("does not parse")
        if mol.GetNumHeavyAtoms() == 0:
            raise Dropped("no heavy atom")
        if mol.GetNumAtoms() > MAX_LENGTH:
            raise Dropped("too long")
        if not self.settings.filter.wildcards and _has_query(mol):
            raise Dropped("wildcard atom or query")
        if self.settings.repair.atom_maps:
            for atom in mol.GetAtoms():
                atom.SetAtomMapNum(0)
        return mol

    def _read(self, text: str) -> Chem.Mol:
        mol = to_mol(text)
        if isinstance(mol, str):
            raise Dropped("a reaction" if looks_like_reaction(text) else mol)
        return mol

    # ---- reactions --------------------------------------------------------------------------------------------------

    def _reaction(self, cell: str, kind: Kind) -> Kept:
        text, repaired = self._mended(_reaction_smiles(cell) if kind == "RXN block" else cell)
        parts = ARROW.split(text)
        if len(parts) != 3:
            raise Dropped("not a reaction")
        reactants, product = self._side("reactants", parts[0]), self._side("product", parts[2])
        reagents = self._reagents(parts[1].strip().strip("."))
        key = f"{self._key(reactants)}>>{self._key(product)}"
        if self.settings.canonicalize:
            parts = [reactants.smiles, "", product.smiles]
        return Kept((parts[0], reagents, parts[2]), key, self._split(product.smiles), repaired)

    def _side(self, name: str, text: str) -> _Side:
        with _said_of(name):
            text = text.strip().strip(".")
            mol = self._read(text)
            side = _Side(_sorted_fragments(_written(mol)) if name == "reactants" else _written(mol), mol)
            self.filters.check(side)
        self._check_benchmarks(side)
        return side

    def _reagents(self, text: str) -> str | None:
        """Reagents say how, not what: they need only be molecules."""
        if not text:
            return None
        with _said_of("reagents"):
            smiles = _sorted_fragments(_written(self._read(text)))
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

    def _check_benchmarks(self, side: _Side) -> None:
        if self.index is not None and (found := self.index.find(side.mol, side.smiles)):
            raise Dropped(f"in benchmark {self.index.names[found[0]]}", tuple(found))

    def _key(self, side: _Side) -> str:
        if self.settings.dedup == "inchikey":
            return Chem.MolToInchiKey(side.mol) or side.smiles
        if self.settings.dedup == "stereo_free":
            Chem.RemoveStereochemistry(side.mol)  # the last use of the molecule: it may be changed
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
        own = self.filter.model_dump(exclude={"wildcards"})
        self.idle = all(limit is None for limit in own.values())

    @cached_property
    def tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        return Tokenizer.from_str(self.json)

    def check(self, side: _Side) -> None:
        """Raises Dropped with the first filter that the molecule does not pass."""
        if not self.filter.wildcards and ("*" in side.smiles or "~" in side.smiles):
            raise Dropped("wildcard atom or query")
        if not self.idle:
            for reason in self._failed(side):
                raise Dropped(reason)

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


@contextmanager
def _said_of(side: str) -> Iterator[None]:
    """Say of which side of a reaction a reason is; "no product" reads better than "product: empty"."""
    try:
        yield
    except Dropped as dropped:
        reason = f"no {side}" if dropped.reason == "empty" else f"{side}: {dropped.reason}"
        raise Dropped(reason) from None


def _written(mol: Chem.Mol) -> str:
    smiles = str(Chem.MolToSmiles(mol))
    if len(smiles) > MAX_LENGTH:
        raise Dropped("too long")
    return smiles


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
