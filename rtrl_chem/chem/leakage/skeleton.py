"""SMILES read tolerantly, as a graph of elements: what a text says about a molecule even where it is no valid SMILES.

A piece cut out of a ring, a SMILES in capitals, one whose bonds were lost among separators: all keep which atom is
joined to which. Bond orders, charges, hydrogens and stereo are not compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from rdkit import Chem, rdBase

__all__ = [
    "ATOM",
    "TOKEN",
    "Skeleton",
    "contains",
    "elements_of",
    "is_atom",
    "placed",
    "skeleton_of",
    "skeleton_of_molecule",
]

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
    def parts(self) -> tuple[Skeleton, ...]:
        """What hangs together, the largest part first."""
        groups = _groups(len(self.elements), self.bonds)
        if len(set(groups)) <= 1:
            return (self,) if groups else ()
        members: dict[int, list[int]] = {}
        for place, group in enumerate(groups):
            members.setdefault(group, []).append(place)
        bonds: dict[int, list[tuple[int, int]]] = {group: [] for group in members}
        for bond in self.bonds:
            bonds[groups[bond[0]]].append(bond)
        largest_first = sorted(members, key=lambda group: len(members[group]), reverse=True)
        return tuple(self._only(members[group], bonds[group]) for group in largest_first)

    @cached_property
    def graph(self) -> Chem.Mol:
        """All atoms as an RDKit molecule with bonds of one kind."""
        return self._graph(len(self.elements))

    @cached_property
    def probe(self) -> Chem.Mol:
        """The first 32 atoms as an RDKit molecule."""
        return self._graph(min(len(self.elements), _PROBE_ATOMS))

    def _only(self, places: Sequence[int], bonds: Iterable[tuple[int, int]]) -> Skeleton:
        rank = {place: i for i, place in enumerate(places)}
        return Skeleton(tuple(self.elements[place] for place in places), tuple((rank[a], rank[b]) for a, b in bonds))

    def _graph(self, size: int) -> Chem.Mol:
        graph = Chem.RWMol()
        for element in self.elements[:size]:
            graph.AddAtom(Chem.Atom(element))
        for a, b in self.bonds:
            if max(a, b) < size:
                graph.AddBond(a, b, Chem.BondType.SINGLE)
        return graph.GetMol()


def _groups(size: int, bonds: Iterable[tuple[int, int]]) -> list[int]:
    """For each atom one atom that stands for all that hang together with it."""
    parent = list(range(size))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for a, b in bonds:
        parent[root(b)] = root(a)
    return [root(place) for place in range(size)]


def contains(larger: Skeleton, smaller: Skeleton) -> bool:
    """Whether all of `smaller` is a part of `larger`; of each of its parts the first 32 atoms are compared."""
    if smaller.counts - larger.counts:
        return False
    return len(placed(smaller.parts, larger)) == len(smaller.parts)


def placed(parts: Sequence[Skeleton], larger: Skeleton) -> list[int]:
    """Which of some connected parts, the largest first, find room in `larger` side by side.

    One after the other: as one question RDKit would try all permutations of equal parts.
    """
    if len(parts) == 1:
        return [0] if larger.graph.HasSubstructMatch(parts[0].probe) else []
    free, found = Chem.RWMol(larger.graph), []
    for number, part in enumerate(parts):
        if len(part.elements) <= free.GetNumAtoms() and (room := free.GetSubstructMatch(part.probe)):
            for index in sorted(room, reverse=True):
                free.RemoveAtom(index)
            found.append(number)
    return found


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
        elif (element := _heavy_element(token)) > 1:
            elements.append(element)
            if last is not None:
                bonds.add((last, len(elements) - 1))
            last = len(elements) - 1
    return Skeleton(tuple(elements), tuple(sorted(bonds)))


def elements_of(tokens: Sequence[str]) -> Counter[int]:
    """How often each element occurs in the graph that the tokens describe: far cheaper than the graph."""
    counts: Counter[int] = Counter()
    for token, count in Counter(tokens).items():
        if (element := _heavy_element(token)) > 1:
            counts[element] += count
    return counts


def skeleton_of_molecule(mol: Chem.Mol) -> Skeleton:
    """The graph of a molecule's heavy atoms."""
    heavy = [atom for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    place = {atom.GetIdx(): i for i, atom in enumerate(heavy)}
    pairs = ((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds())
    bonds = sorted((place[a], place[b]) for a, b in pairs if a in place and b in place)
    return Skeleton(tuple(atom.GetAtomicNum() for atom in heavy), tuple(bonds))


@lru_cache(maxsize=4_096)
def _heavy_element(token: str) -> int:
    """Atomic number of the element that a token stands for; 0 or 1 where it is no heavy atom."""
    return _atomic_number(token) if is_atom(token) else 0


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
