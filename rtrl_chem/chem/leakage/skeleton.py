"""SMILES read tolerantly, as a graph of elements: what a text says about a molecule even where it is no valid SMILES.

A piece cut out of a ring, a SMILES in capitals, one whose bonds were lost among separators: all keep which atom is
joined to which. Bond orders, charges, hydrogens and stereo are not compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from rdkit import Chem, rdBase

__all__ = ["ATOM", "TOKEN", "Skeleton", "contains", "is_atom", "skeleton_of", "skeleton_of_molecule"]

ATOM = r"(?:\[\d*(?:[A-Z][a-z]?|[bcnops]|se|as|te|\*)[@A-Z\d+\-:]*\]|Br|Cl|[BCNOPSFIbcnops*])"
TOKEN = re.compile(rf"{ATOM}|%\d\d|[-=#$:/\\~.()\d]")
_IS_ATOM = re.compile(ATOM)
_ELEMENT = re.compile(r"\[?\d*([A-Z][a-z]?|[a-z]{1,2}|\*)")
# So many atoms are looked up. All of them would be exact, and for chains of like rings without end. Text that spells
# out 32 neighbouring atoms of a molecule does not do so by chance.
_PROBE_ATOMS = 32


@dataclass(frozen=True)
class Skeleton:
    """Heavy atoms by atomic number and the pairs of them that are joined, in order of reading."""

    elements: tuple[int, ...]
    bonds: tuple[tuple[int, int], ...]

    @cached_property
    def counts(self) -> Counter[int]:
        """How often each element occurs."""
        return Counter(self.elements)

    @cached_property
    def mol(self) -> Chem.Mol:
        """All atoms as an RDKit graph with bonds of one kind."""
        return self._graph(len(self.elements))

    @cached_property
    def probe(self) -> Chem.Mol:
        """The first 32 atoms as an RDKit graph."""
        return self._graph(min(len(self.elements), _PROBE_ATOMS))

    def _graph(self, size: int) -> Chem.Mol:
        graph = Chem.RWMol()
        for element in self.elements[:size]:
            graph.AddAtom(Chem.Atom(element))
        for a, b in self.bonds:
            if max(a, b) < size:
                graph.AddBond(a, b, Chem.BondType.SINGLE)
        return graph.GetMol()


def contains(larger: Skeleton, smaller: Skeleton) -> bool:
    """Whether `smaller` (its first 32 atoms) is a part of `larger`."""
    if smaller.counts - larger.counts:
        return False
    return bool(larger.mol.HasSubstructMatch(smaller.probe))


def is_atom(token: str) -> bool:
    """Whether a token of SMILES stands for an atom, hydrogen included."""
    return _IS_ATOM.fullmatch(token) is not None


def skeleton_of(tokens: Sequence[str]) -> Skeleton:
    """The graph that tokens of SMILES describe; whatever a cut left open (branches, rings, bonds) is passed over."""
    elements: list[int] = []
    bonds: set[tuple[int, int]] = set()
    branches: list[int | None] = []
    rings: dict[str, int] = {}
    last: int | None = None
    for token in tokens:
        if token == "(":
            branches.append(last)
        elif token == ")":
            last = branches.pop() if branches else last
        elif token == ".":
            last = None
        elif token[0] == "%" or token.isdigit():
            if last is not None and (other := rings.pop(token, None)) is None:
                rings[token] = last
            elif last is not None and other is not None and other != last:
                bonds.add((min(other, last), max(other, last)))
        elif is_atom(token) and (element := _atomic_number(token)) > 1:
            elements.append(element)
            if last is not None:
                bonds.add((last, len(elements) - 1))
            last = len(elements) - 1
    return Skeleton(tuple(elements), tuple(sorted(bonds)))


def skeleton_of_molecule(mol: Chem.Mol) -> Skeleton:
    """The graph of a molecule's heavy atoms."""
    heavy = [atom for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    place = {atom.GetIdx(): i for i, atom in enumerate(heavy)}
    pairs = ((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds())
    bonds = sorted((place[a], place[b]) for a, b in pairs if a in place and b in place)
    return Skeleton(tuple(atom.GetAtomicNum() for atom in heavy), tuple(bonds))


@lru_cache(maxsize=4_096)
def _atomic_number(token: str) -> int:
    """Of the element that a token names; 0 for a dummy atom or none."""
    found = _ELEMENT.match(token)
    symbol = found[1].capitalize() if found else "*"
    with rdBase.BlockLogs():
        for name in (symbol, symbol[:1]):
            try:
                return int(Chem.GetPeriodicTable().GetAtomicNumber(name))
            except RuntimeError:
                continue
    return 0
