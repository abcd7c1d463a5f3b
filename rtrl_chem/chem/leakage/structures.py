"""Reactants or products that are the source in all but spelling.

An honest answer shares most of its atoms with the source, but in other molecules: with leaving and protecting groups,
or at another oxidation level. So only these count: a fragment of the source that stands in the output unchanged or in
another form (charge, stereo, isotopes, atom maps, tautomer, dummy atoms); and fragments that are the source cut at
bonds outside rings, hydrogens or dummy atoms at the cuts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from rdkit import Chem

from rtrl_chem.chem.leakage.leak import MIN_FRAGMENT_ATOMS, Leak
from rtrl_chem.chem.leakage.skeleton import Skeleton, skeleton_of_molecule
from rtrl_chem.chem.molecule import Molecule, parse

__all__ = ["find_shared"]

_CACHED = 100_000
_HEAVY_ATOM = re.compile(r"\[(?!\d*(?:H[^a-z]|\*))[^\]]+\]|Br|Cl|[BCNOPSFIbcnops]")
_MOST_CUTS = 2
_MOST_FRAGMENTS = 10
# Two cuts in a molecule of 64 bonds; of a larger one not every pair is tried.
_MOST_TRIALS = 2_048


def find_shared(source: str, output: str) -> Leak | None:
    """Fragments of the source in the output, when they are all of it or at least 6 heavy atoms and more than half."""
    x, y = parse(source), parse(output)
    if x is None or y is None:
        return None
    same = Counter(x.fragments) & Counter(y.fragments)
    if same and _gives_away(same, x):
        return Leak(".".join(sorted(same.elements())), "unchanged")
    other_forms = _in_other_forms(x.fragments, y.fragments)
    if other_forms and _gives_away(Counter(other_forms.values()), x):
        return Leak(".".join(sorted(y.fragments[place] for place in other_forms)), "other form")
    for fragment in set(x.fragments):
        if _gives_away(Counter([fragment]), x) and (parts := _cut(fragment, y.fragments)):
            return Leak(".".join(parts), "cut")
    return None


def _gives_away(shared: Counter[str], x: Molecule) -> bool:
    if shared == Counter(x.fragments):
        return True
    atoms = sum(count * _atoms(fragment) for fragment, count in shared.items())
    return atoms >= MIN_FRAGMENT_ATOMS and 2 * atoms > x.heavy_atoms


@lru_cache(maxsize=_CACHED)
def _atoms(fragment: str) -> int:
    """Heavy atoms by the letters of a SMILES, dummy atoms left out: cheap, and known for every fragment."""
    return len(_HEAVY_ATOM.findall(fragment))


@dataclass(frozen=True)
class _Form:
    """What is the same for all forms of a molecule: its heavy atoms as a graph, and its hydrogens less its charge.

    Bonds may move and protons come and go between forms; a reduction or an oxidation changes the number.
    """

    skeleton: Skeleton
    hydrogens: int


@lru_cache(maxsize=_CACHED)
def _form(fragment: str) -> _Form:
    """A dummy atom counts as a hydrogen; `[H+]`, no molecule of ours, has no atoms."""
    molecule = parse(fragment)
    if molecule is None:
        return _Form(Skeleton((), ()), 0)
    hydrogens = 0
    for atom in molecule.mol.GetAtoms():
        dummies = sum(neighbour.GetAtomicNum() == 0 for neighbour in atom.GetNeighbors())
        hydrogens += atom.GetTotalNumHs(includeNeighbors=True) + dummies if atom.GetAtomicNum() > 1 else 0
    return _Form(skeleton_of_molecule(molecule.mol), hydrogens - Chem.GetFormalCharge(molecule.mol))


def _in_other_forms(wanted: Sequence[str], given: Sequence[str]) -> dict[int, str]:
    """Places of fragments of the output, each with a fragment of the source that it is a form of."""
    found: dict[int, str] = {}
    for fragment in wanted:
        for place, other in enumerate(given):
            if place not in found and (fragment == other or _are_forms(fragment, other)):
                found[place] = fragment
                break
    return found


def _are_forms(a: str, b: str) -> bool:
    if _atoms(a) != _atoms(b) or not _atoms(a):
        return False
    one, other = _form(a), _form(b)
    if one.hydrogens != other.hydrogens or one.skeleton.counts != other.skeleton.counts:
        return False
    return _graph_text(one.skeleton.graph) == _graph_text(other.skeleton.graph)


def _graph_text(graph: Chem.Mol) -> str:
    return str(Chem.MolToSmiles(graph))


def _cut(fragment: str, given: Sequence[str]) -> list[str]:
    """Fragments of the output that are the source's fragment cut once or twice; empty if there are none."""
    known = [one for one in given if _atoms(one)][:_MOST_FRAGMENTS]
    for cuts in range(1, _MOST_CUTS + 1):
        for parts in combinations(known, cuts + 1):
            if sum(map(_atoms, parts)) == _atoms(fragment) and _make_up(fragment, list(map(_form, parts)), cuts):
                return sorted(parts)
    return []


def _make_up(fragment: str, parts: Sequence[_Form], cuts: int) -> bool:
    """Whether the parts are the fragment after so many cuts, each of which brings two hydrogens."""
    whole = _form(fragment)
    if sum(part.hydrogens for part in parts) != whole.hydrogens + 2 * cuts:
        return False
    if sum((part.skeleton.counts for part in parts), Counter()) != whole.skeleton.counts:
        return False
    return sorted(_graph_text(part.skeleton.graph) for part in parts) in _pieces(whole.skeleton.graph, cuts)


def _pieces(graph: Chem.Mol, cuts: int) -> Iterator[list[str]]:
    """What the graph falls into when bonds outside rings are cut, for each choice of them."""
    Chem.FastFindRings(graph)
    bonds = [bond.GetIdx() for bond in graph.GetBonds() if not bond.IsInRing()]
    for trial, chosen in enumerate(combinations(bonds, cuts)):
        if trial == _MOST_TRIALS:
            return
        yield sorted(_graph_text(Chem.FragmentOnBonds(graph, chosen, addDummies=False)).split("."))
