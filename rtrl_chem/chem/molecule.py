"""What a SMILES string means: whether it is valid, its canonical forms, and when two strings are the same structure.

Every string is parsed once and remembered (bounded): the same outputs come back again and again as a policy sharpens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import _CacheInfo, cached_property, lru_cache

from rdkit import Chem, rdBase

__all__ = [
    "EQUALITIES",
    "MAX_LENGTH",
    "Molecule",
    "cache_info",
    "canonical",
    "canonical_batch",
    "clear_cache",
    "equal",
    "equal_batch",
    "fragments",
    "invalid_reason",
    "parse",
    "parse_batch",
    "stereo_free",
    "text_problem",
    "to_mol",
]

# RDKit's writer recurses along the molecule: 30,000 characters crash the process, 5,000 cost half a second. The longest
# of ChEBI-20's SMILES has 1,598.
MAX_LENGTH = 4_000

_STEREO = frozenset("@/\\")

_CACHED_STRINGS = 200_000
# An RDKit molecule holds some 40 kB, a hundred times its strings.
_CACHED_RDKIT_MOLECULES = 4_096


@dataclass(frozen=True)
class Molecule:
    """A valid SMILES and what it means; `parse` makes them. One "molecule" may have several fragments (`A.B`).

    `smiles` is the string as given, `canonical` RDKit's canonical isomeric SMILES. The other forms are worked out when
    first asked for.
    """

    smiles: str
    canonical: str
    heavy_atoms: int

    @property
    def mol(self) -> Chem.Mol:
        """The sanitised RDKit molecule, shared between callers: copy it before changing it."""
        mol = _rdkit_molecule(self.smiles)
        if isinstance(mol, str):
            raise ValueError(f"not a molecule that `parse` made: {self.smiles!r}: {mol}")
        return mol

    @cached_property
    def stereo_free(self) -> str:
        """Canonical SMILES without tetrahedral and double-bond stereo; isotopes and charges stay."""
        if not _STEREO.intersection(self.canonical):
            return self.canonical
        mol = Chem.Mol(self.mol)
        Chem.RemoveStereochemistry(mol)
        return str(Chem.MolToSmiles(mol))

    @cached_property
    def fragments(self) -> tuple[str, ...]:
        """Canonical SMILES of each disconnected fragment, sorted, duplicates kept."""
        pieces = self.canonical.split(".")
        if len(pieces) == 1:
            return (self.canonical,)
        return tuple(sorted(_canonical_or_same(piece) for piece in pieces))

    @cached_property
    def inchi(self) -> str:
        """Standard InChI; the canonical SMILES where there is none (`*` atoms), so that only equal ones are equal.

        InChI is coarser than SMILES by intent: mobile hydrogens are one tautomer, bonds to metals are cut.
        """
        with rdBase.BlockLogs():
            return str(Chem.MolToInchi(self.mol)) or self.canonical

    @cached_property
    def fragment_inchis(self) -> frozenset[str]:
        """`inchi` of each fragment; as a set, in which A.A and A are the same."""
        if len(self.fragments) == 1:
            return frozenset((self.inchi,))
        return frozenset(_inchi(fragment) for fragment in set(self.fragments))

    @cached_property
    def largest_fragment(self) -> str:
        """The fragment with the most heavy atoms; of equally large ones the last in string order."""
        return max(self.fragments, key=lambda fragment: (_heavy_atoms(fragment), fragment))


def parse(smiles: str) -> Molecule | None:
    """The molecule, or None where `invalid_reason` has something to say."""
    found = _read(smiles)
    return found if isinstance(found, Molecule) else None


def parse_batch(smiles: Iterable[str]) -> list[Molecule | None]:
    """`parse` for each string, in order."""
    return [parse(one) for one in smiles]


def invalid_reason(smiles: str) -> str:
    """Why it is no molecule: "empty", "white space", "too long", "does not parse", "no heavy atom"; "" if valid.

    RDKit alone is not enough: it reads "" as a molecule without atoms, and "CCO and prose" as ethanol with a title.

    >>> invalid_reason("CCO and prose")
    'white space'
    >>> invalid_reason("CCO")
    ''
    """
    found = _read(smiles)
    return found if isinstance(found, str) else ""


def canonical(smiles: str) -> str | None:
    """Canonical isomeric SMILES, or None if invalid.

    >>> canonical("OCC")
    'CCO'
    """
    molecule = parse(smiles)
    return molecule.canonical if molecule else None


def canonical_batch(smiles: Iterable[str]) -> list[str | None]:
    """`canonical` for each string, in order."""
    return [canonical(one) for one in smiles]


def stereo_free(smiles: str) -> str | None:
    """Canonical SMILES without stereo, or None if invalid.

    >>> stereo_free("C[C@H](N)C(=O)O")
    'CC(N)C(=O)O'
    """
    molecule = parse(smiles)
    return molecule.stereo_free if molecule else None


def fragments(smiles: str) -> tuple[str, ...] | None:
    """Canonical fragments, sorted, duplicates kept; None if invalid.

    >>> fragments("O.CCO.O")
    ('CCO', 'O', 'O')
    """
    molecule = parse(smiles)
    return molecule.fragments if molecule else None


def to_mol(smiles: str) -> Chem.Mol | str:
    """The sanitised RDKit molecule, or the `invalid_reason`. Nothing is remembered: for passing over many strings once.

    RDKit's log is the caller's to silence (`rdBase.BlockLogs`), which would cost a hundredth of the reading here.
    """
    if problem := text_problem(smiles):
        return problem
    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        return "does not parse"
    return mol if mol.GetNumHeavyAtoms() else "no heavy atom"


def text_problem(smiles: str) -> str:
    """The `invalid_reason` of what RDKit must not be asked to read, "" of anything else."""
    if not smiles:
        return "empty"
    if smiles.split() != [smiles]:
        return "white space"
    if len(smiles) > MAX_LENGTH:
        return "too long"
    # Not ASCII is not SMILES, and a lone surrogate would raise on its way into RDKit.
    return "" if smiles.isascii() else "does not parse"


_KEYS: dict[str, Callable[[Molecule], object]] = {
    # The same canonical isomeric SMILES: same atoms, bonds, charges, isotopes and stereo; fragments in any order.
    "isomeric": lambda molecule: molecule.canonical,
    # As "isomeric" after tetrahedral and double-bond stereo are removed from both.
    "stereo_free": lambda molecule: molecule.stereo_free,
    # The same multiset of canonical fragments, each made canonical by itself: the equality for sets of reactants.
    "fragment_set": lambda molecule: molecule.fragments,
    # Only the fragment with the most heavy atoms counts: forgives counter-ions and small reagents.
    "largest_fragment": lambda molecule: molecule.largest_fragment,
    # The same standard InChI of the whole: merges tautomers and what differs by mobile hydrogens.
    "inchi": lambda molecule: molecule.inchi,
    # The same set of InChIs, fragment by fragment: merges tautomers and forgets how often a fragment occurs.
    "inchi_set": lambda molecule: molecule.fragment_inchis,
}

EQUALITIES: tuple[str, ...] = tuple(_KEYS)
# What molecules that are equal under a policy have in common, and is known sooner.
_SIZES: dict[str, Callable[[Molecule], object]] = {
    "inchi": lambda molecule: molecule.heavy_atoms,
    "inchi_set": lambda molecule: {_heavy_atoms(fragment) for fragment in molecule.fragments},
}


def equal(a: str, b: str, equality: str = "isomeric") -> bool:
    """Whether both strings are the same structure under a named policy of `EQUALITIES`; an invalid one equals nothing.

    - `isomeric`: same canonical isomeric SMILES (stereo, charges and isotopes count; the order of fragments does not).
    - `stereo_free`: the same after stereo is removed from both.
    - `fragment_set`: same multiset of fragments, each canonical by itself.
    - `largest_fragment`: same largest fragment by heavy atoms; the others are not compared.
    - `inchi`: same standard InChI of the whole: tautomers by mobile hydrogens are equal.
    - `inchi_set`: same set of standard InChIs of fragments: as `inchi`, and A.A equals A.

    ValueError on an unknown policy, whatever the strings are.
    """
    if equality not in _KEYS:
        raise ValueError(f"unknown equality {equality!r}, must be one of {', '.join(EQUALITIES)}")
    left, right = parse(a), parse(b)
    if left is None or right is None:
        return False
    if left.canonical == right.canonical:
        return True
    # An InChI takes longer than all else here, and those of molecules that differ in size differ.
    size = _SIZES.get(equality)
    if size and size(left) != size(right):
        return False
    key = _KEYS[equality]
    return key(left) == key(right)


def equal_batch(a: Iterable[str], b: Iterable[str], equality: str = "isomeric") -> list[bool]:
    """`equal` pair by pair; ValueError when the two differ in length."""
    return [equal(left, right, equality) for left, right in zip(a, b, strict=True)]


def cache_info() -> _CacheInfo:
    """Hits, misses and size of the table of parsed strings: `misses` is the number of parses."""
    return _read.cache_info()


def clear_cache() -> None:
    """Forget every parsed string."""
    _read.cache_clear()
    _rdkit_molecule.cache_clear()


@lru_cache(maxsize=_CACHED_STRINGS)
def _read(smiles: str) -> Molecule | str:
    """A molecule, or the reason why the string is none."""
    mol = _rdkit_molecule(smiles)
    return mol if isinstance(mol, str) else Molecule(smiles, Chem.MolToSmiles(mol), mol.GetNumHeavyAtoms())


@lru_cache(maxsize=_CACHED_RDKIT_MOLECULES)
def _rdkit_molecule(smiles: str) -> Chem.Mol | str:
    with rdBase.BlockLogs():
        return to_mol(smiles)


def _canonical_or_same(piece: str) -> str:
    """A piece of a canonical SMILES made canonical alone; without heavy atoms (`[H+]`) it is no molecule of ours."""
    return canonical(piece) or piece


def _inchi(fragment: str) -> str:
    molecule = parse(fragment)
    return molecule.inchi if molecule else fragment


def _heavy_atoms(smiles: str) -> int:
    molecule = parse(smiles)
    return molecule.heavy_atoms if molecule else 0
