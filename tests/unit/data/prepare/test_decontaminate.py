"""What is in a benchmark is found by the first block of its InChIKey, and the shortcuts to that lose nothing."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem, rdBase

from rtrl_chem.data.prepare.decontaminate import (
    Benchmark,
    Index,
    build_index,
    describe,
    describe_all,
    element_letters,
    first_block,
    is_plain,
    outline_of,
)

MOLECULES = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "C[C@H](N)C(=O)O",
    "Oc1ccccn1",
    "CC(=O)[O-].[Na+]",
    "O=C(O)c1cc[n+]([O-])cc1",
    "CN(C)CCC=C1c2ccccc2CCc2ccccc21",
    "ClC(Br)=C(F)I",
    "C1CC2CCC1CC2",
    "CP(=O)(O)OS(C)(=O)=O",
    "C[Si](C)(C)OB(O)c1ccccc1",
    "[2H]C([2H])([2H])O",
    "C[Mg]Br",
    "Cl[Pt@SP1](Cl)([NH3])[NH3]",
    "[13CH3]C#N",
    "OCC(O)C(O)C(O)C(O)C=O",
    "N[C@@H](Cc1c[nH]c2ccccc12)C(=O)O",
    "O",
    "C",
    "[Cl-].[NH4+]",
    "FC(F)(F)c1nnn[nH]1",
]
OTHERS = ["CCO", "c1ccc2ccccc2c1", "CCCCCCCC", "NCC(=O)O", "CC(C)=O", "Clc1ccccc1", "C1CCCCC1"]


def index(*smiles: str) -> Index:
    texts = list(smiles)
    return build_index(
        [Benchmark("a/b", "here", tuple(texts))], dict(zip(texts, describe_all(None, texts), strict=True))
    )


def find(found: Index, smiles: str) -> list[int]:
    mol = Chem.MolFromSmiles(smiles)
    return found.find_all([Chem.MolToSmiles(mol)]).get(0, [])


@pytest.mark.parametrize(
    ("benchmark", "smiles", "same"),
    [
        ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", True),
        ("CC(=O)O", "CC(=O)[O-]", True),
        ("Oc1ccccn1", "O=c1cccc[nH]1", True),
        ("CO", "[2H]C([2H])([2H])O", True),
        ("[2H]C([2H])([2H])O", "CO", True),
        ("CC#N", "[13CH3]C#N", True),
        ("CC(=O)[O-].[Na+]", "CC(=O)O[Na]", True),
        ("CC(=O)O", "CC(=O)O.[Na]", False),
        ("CCO", "COC", False),
        ("CC(C)C", "CCCC", False),
        ("C*", "*C", True),
    ],
)
def test_the_first_block_decides(benchmark: str, smiles: str, same: bool) -> None:
    assert bool(find(index(benchmark), smiles)) is same


def variants(smiles: str) -> set[str]:
    """The molecule respelt, without stereo, with other charges, as its tautomers."""
    from rdkit.Chem.MolStandardize import rdMolStandardize

    mol = Chem.MolFromSmiles(smiles)
    found = {Chem.MolToSmiles(mol, isomericSmiles=False), Chem.MolToSmiles(rdMolStandardize.Uncharger().uncharge(mol))}
    found.update(Chem.MolToSmiles(mol, doRandom=True) for _ in range(3))
    tautomers = rdMolStandardize.TautomerEnumerator()
    tautomers.SetMaxTautomers(8)
    found.update(Chem.MolToSmiles(tautomer) for tautomer in tautomers.Enumerate(mol))
    found.update(one.replace("C(=O)O", "C(=O)[O-]") for one in list(found) if one.endswith("C(=O)O"))
    return found


@pytest.mark.parametrize("smiles", MOLECULES)
def test_the_shortcuts_lose_nothing(smiles: str) -> None:
    with rdBase.BlockLogs():
        known = index(*MOLECULES, *OTHERS)
        block = describe(smiles).block  # type: ignore[union-attr]
        for variant in variants(smiles):
            mol = Chem.MolFromSmiles(variant)
            if mol is not None and first_block(mol, variant) == block:
                assert find(known, variant) == [0], variant


ATOMS = st.sampled_from(
    ["C", "N", "O", "S", "Cl", "Br", "F", "[O-]", "[NH3+]", "[13CH3]", "[C@H](F)", "C(=O)", "c1ccccc1"]
)


@given(st.lists(st.one_of(ATOMS, st.sampled_from(["C(C)", "C1CC1", "C(Cl)(Br)", ".", "=C"])), min_size=1, max_size=8))
def test_the_outline_is_that_of_the_graph(pieces: list[str]) -> None:
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles("".join(pieces))
    if mol is None or mol.GetNumAtoms() == 0:
        return
    smiles = Chem.MolToSmiles(mol)
    if is_plain(smiles, element_letters(smiles)):
        ends = sorted(atom.GetSymbol()[-1] for atom in mol.GetAtoms() if atom.GetDegree() < 2)
        fragments = len(Chem.GetMolFrags(mol))
        rings = mol.GetNumBonds() - mol.GetNumAtoms() + fragments
        assert outline_of(smiles) == f" {fragments} {rings} {''.join(ends)}"


@pytest.mark.parametrize(
    ("smiles", "plain"),
    [
        ("C[N+](C)(C)[O-]", True),
        ("[13CH4]", True),
        ("C[C@@H](F)Cl", True),
        ("[2H]C", False),
        ("C[Mg]Br", False),
        ("[Cs+]", False),
        ("[Sc]", False),
        ("C*", False),
        ("[NH3]->[Fe]", False),
        ("C" * 400, False),
    ],
)
def test_metals_and_explicit_hydrogens_are_not_plain(smiles: str, plain: bool) -> None:
    canonical = Chem.CanonSmiles(smiles)
    assert is_plain(canonical, element_letters(canonical)) is plain


def test_marks_of_stereo_are_no_elements() -> None:
    assert element_letters("Cl[Pt@SP1](Cl)([NH3])[NH3]") == element_letters("Cl[Pt](Cl)([NH3])[NH3]")


def test_an_index_survives_its_file() -> None:
    made = index(*MOLECULES)
    assert Index.load(made.dump()) == made
    shuffled = random.Random(0).sample(MOLECULES, len(MOLECULES))
    assert sorted(Index.load(index(*shuffled).dump()).shapes) == sorted(made.shapes)


def test_what_could_not_be_had_is_in_the_report() -> None:
    texts = ["CCO", "OCC", "not a SMILES"]
    described = dict(zip(texts, describe_all(None, texts), strict=True))
    benchmarks = [
        Benchmark("a/x", "x.smi", tuple(texts)),
        Benchmark("a/y", problem="no copy"),
        Benchmark("b/z", "z", ("CCO",)),
    ]
    made = build_index(benchmarks, described)
    assert made.report == [
        {"benchmark": "a/x", "where": "x.smi", "molecules": 1},
        {"benchmark": "a/y", "not_checked": "no copy"},
        {"benchmark": "b/z", "where": "z", "molecules": 1},
    ]
    assert find(made, "CCO") == [0, 2]
