"""Is a molecule in a benchmark? By the first block of the InChIKey: the same skeleton, whatever its stereo, isotopes,
mobile hydrogens and protons.

An InChI costs more than reading and writing the SMILES. So a molecule gets one only if it could be in the list at all:
whatever two molecules with the same first block must have in common, and costs microseconds, is compared before.

1. How many atoms of each element: the formula is in the block. Not its hydrogens, which protons and tautomers change.
   The letters of the SMILES say it: elements may share them, but equal formulas have equal letters.
2. How many rings and fragments there are and which atoms have only one bond: the connection table is in the block.
3. How many walks of six bonds there are in the graph of atoms: nearly the connection table.

The last two only of molecules without metals, whose bonds InChI cuts, and without explicit hydrogens. The first two are
read off the canonical SMILES; what passes them, a few in a hundred, is read by RDKit once more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from rdkit import Chem, rdBase

from rtrl_chem.chem.molecule import to_mol

__all__ = ["Benchmark", "Index", "Structure", "build_index", "describe_all"]

# Atoms that InChI connects as the SMILES does; anything else in brackets (metals, [2H], [SiH4], maps) is not plain.
_PLAIN = re.compile(r"[^\[>*~$]*(?:\[\d*(?:Cl?|c|N|n|O|o|S|s|P|p|F|Br|I)@{0,2}(?:H\d?)?(?:[+-]\d?)?\][^\[>*~$]*)*")
# Stereo marks with letters in them, which must not be counted as elements: [Pt@SP1], [Co@OH5].
_LETTERED_STEREO = re.compile(r"@(?:TH|AL|SP|TB|OH)\d*")
_DECORATION = re.compile(r"\[\d*(Cl|Br|[A-Za-z])[^\]]*\]")
# The first of several atoms, where it neither opens a ring nor branches.
_FIRST = re.compile(r"(?:C(l)|B(r)|(?!Cl|Br)([A-Z]))(?![-=#:/\\]*(?:[\d%(]|$))")
_RING_DIGITS = re.compile(r"%\d\d|\d")
_NO_ELEMENT = {code: None for code in range(128) if not chr(code).isalpha() or chr(code) in "hH"}
_MANY_ATOMS = 300


@dataclass(frozen=True)
class Benchmark:
    """A set of benchmark molecules: `name` is suite/data; without `structures` the reason is in `problem`."""

    name: str
    where: str = ""
    structures: tuple[str, ...] = ()
    problem: str = ""


class Structure(NamedTuple):
    """What of a molecule is compared: cheap to dear. Where its graph says nothing about its InChI, `outline` is ""."""

    elements: str
    outline: str
    walks: int
    block: str


@dataclass
class Index:
    """The molecules of all benchmarks, by first block; `names[i]` is the benchmark that `blocks` calls i."""

    names: list[str] = field(default_factory=list)
    report: list[dict[str, object]] = field(default_factory=list)
    blocks: dict[str, list[int]] = field(default_factory=dict)
    elements: set[str] = field(default_factory=set)
    odd_elements: set[str] = field(default_factory=set)
    outlines: set[str] = field(default_factory=set)
    shapes: set[str] = field(default_factory=set)

    def add(self, structure: Structure, benchmark: int) -> None:
        """Enter a molecule of a benchmark."""
        known = self.blocks.setdefault(structure.block, [])
        if benchmark not in known:
            known.append(benchmark)
        self.elements.add(structure.elements)
        if structure.outline:
            self.outlines.add(structure.elements + structure.outline)
            self.shapes.add(f"{structure.elements}{structure.outline} {structure.walks}")
        else:
            self.odd_elements.add(structure.elements)

    def find_all(self, molecules: Sequence[str]) -> dict[int, list[int]]:
        """Of the molecules, given by canonical SMILES, those that are in benchmarks, by their positions."""
        letters = map(element_letters, molecules)
        likely = [
            position
            for position, (canonical, elements) in enumerate(zip(molecules, letters, strict=True))
            if elements in self.elements and self._may_hold(canonical, elements)
        ]
        found = {position: self._find(molecules[position]) for position in likely}
        return {position: benchmarks for position, benchmarks in found.items() if benchmarks}

    def _may_hold(self, canonical: str, elements: str) -> bool:
        if elements in self.odd_elements or not is_plain(canonical, elements):
            return True
        return elements + outline_of(canonical) in self.outlines

    def _find(self, canonical: str) -> list[int]:
        elements = element_letters(canonical)
        if elements not in self.odd_elements and is_plain(canonical, elements):
            graph = Chem.MolFromSmiles(canonical, sanitize=False)  # an eighth of the time of reading it in full
            if f"{elements}{outline_of(canonical)} {walks(graph)}" not in self.shapes:
                return []
        mol = to_mol(canonical)
        block = canonical if isinstance(mol, str) else first_block(mol, canonical)  # a str: only a mol block could say
        return self.blocks.get(block, [])

    def dump(self) -> str:
        """As JSON, the same for the same content."""
        return json.dumps(asdict(self) | {name: sorted(getattr(self, name)) for name in _SETS})

    @classmethod
    def load(cls, text: str) -> Index:
        """What `dump` wrote."""
        content = json.loads(text)
        return cls(**content | {name: set(content[name]) for name in _SETS})


_SETS = ("elements", "odd_elements", "outlines", "shapes")


def build_index(benchmarks: Sequence[Benchmark], described: dict[str, Structure | None]) -> Index:
    """The index of all benchmarks, given `describe_all` of their structures."""
    index = Index()
    for benchmark in benchmarks:
        index.names.append(benchmark.name)
        found = [structure for text in benchmark.structures if (structure := described[text]) is not None]
        for structure in found:
            index.add(structure, len(index.names) - 1)
        entry: dict[str, object] = {"benchmark": benchmark.name}
        if benchmark.problem:
            entry["not_checked"] = benchmark.problem
        else:
            entry |= {"where": benchmark.where, "molecules": len({structure.block for structure in found})}
        index.report.append(entry)
    return index


def describe_all(_: None, smiles: Sequence[str]) -> list[Structure | None]:
    """`describe` of each, in order; in the form that an engine maps."""
    with rdBase.BlockLogs():
        return [describe(one) for one in smiles]


def describe(smiles: str) -> Structure | None:
    """What is compared of a molecule, or of several joined by dots; None where RDKit does not read it."""
    mol = to_mol(smiles)
    if isinstance(mol, str):
        return None
    canonical = Chem.MolToSmiles(mol)
    elements = element_letters(canonical)
    outline, count = (outline_of(canonical), walks(mol)) if is_plain(canonical, elements) else ("", 0)
    return Structure(elements, outline, count, first_block(mol, canonical))


def element_letters(smiles: str) -> str:
    """The letters of a SMILES, sorted: equal for equal formulas, hydrogens, charges and bonds aside.

    >>> element_letters("[O-]c1ccccc1Cl")
    'ccccccclo'
    """
    if "@" in smiles:
        smiles = _LETTERED_STEREO.sub("", smiles)
    return "".join(sorted(smiles.lower().translate(_NO_ELEMENT)))


def is_plain(canonical: str, elements: str) -> bool:
    """Whether InChI has the same heavy atoms and connections as the molecule, whose `element_letters` are given."""
    return len(elements) <= _MANY_ATOMS and _PLAIN.fullmatch(canonical) is not None


def outline_of(canonical: str) -> str:
    """Number of fragments and of bonds that close rings, and the elements of atoms with fewer than two bonds, by the
    last letters of their symbols.

    These can be read off a canonical SMILES: chains end in such an atom, unless they close a ring, and may begin with
    one. RDKit's own lists of atoms take ten times as long.

    >>> outline_of("CC(=O)Oc1ccccc1Cl")
    ' 1 1 COl'
    """
    if "[" in canonical:
        canonical = _DECORATION.sub(r"\1", canonical)
    fragments = canonical.split(".")
    ends = [chain[-1:] for fragment in fragments for chain in fragment.split(")")]
    ends += [first[first.lastindex or 0] for fragment in fragments if (first := _FIRST.match(fragment))]
    rings = len(_RING_DIGITS.findall(canonical)) // 2
    return f" {len(fragments)} {rings} {''.join(sorted(filter(str.isalpha, ends)))}"


def walks(mol: Chem.Mol) -> int:
    """Number of walks of six bonds in the graph of atoms: whole numbers, hence the same in any order of atoms."""
    adjacency = Chem.GetAdjacencyMatrix(mol)
    three = adjacency @ (adjacency @ adjacency.sum(0))
    return int(three @ three)


def first_block(mol: Chem.Mol, canonical: str) -> str:
    """The first 14 letters of the InChIKey; the canonical SMILES where there is none (`*` atoms)."""
    return Chem.MolToInchiKey(mol)[:14] or canonical
