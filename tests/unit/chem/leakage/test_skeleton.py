"""SMILES read tolerantly."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from rtrl_chem.chem.leakage.skeleton import TOKEN, Skeleton, contains, placed, skeleton_of, skeleton_of_molecule


def read(smiles: str) -> Skeleton:
    return skeleton_of(TOKEN.findall(smiles))


@pytest.mark.parametrize(
    ("smiles", "elements", "bonds"),
    [
        pytest.param("CCO", (6, 6, 8), {(0, 1), (1, 2)}, id="chain"),
        pytest.param("C(C)(N)O", (6, 6, 7, 8), {(0, 1), (0, 2), (0, 3)}, id="branches"),
        pytest.param("C1CC1", (6, 6, 6), {(0, 1), (1, 2), (0, 2)}, id="ring"),
        pytest.param("C%12CC%12", (6, 6, 6), {(0, 1), (1, 2), (0, 2)}, id="ring-of-two-digits"),
        pytest.param("C1CC", (6, 6, 6), {(0, 1), (1, 2)}, id="open-ring"),
        pytest.param("C(CN", (6, 6, 7), {(0, 1), (1, 2)}, id="open-branch"),
        pytest.param(")C)N=", (6, 7), {(0, 1)}, id="brackets-that-close-nothing"),
        pytest.param("C.N", (6, 7), set(), id="two-fragments"),
        pytest.param("[13CH3][N+](=O)[O-]", (6, 7, 8, 8), {(0, 1), (1, 2), (1, 3)}, id="bracket-atoms"),
        pytest.param("[H]C([H])Cl", (6, 17), {(0, 1)}, id="hydrogens"),
        pytest.param("C*N", (6, 7), {(0, 1)}, id="dummy-atom"),
        pytest.param("", (), set(), id="nothing"),
    ],
)
def test_what_is_read(smiles: str, elements: tuple[int, ...], bonds: set[tuple[int, int]]) -> None:
    found = read(smiles)
    assert (found.elements, set(found.bonds)) == (elements, bonds)


@given(
    st.sampled_from(["CC(=O)Oc1ccccc1C(=O)O", "C[C@H](N)c1ccc2[nH]ccc2c1", "C1CC2CCC1C2"]), st.integers(0, 2**31 - 1)
)
def test_every_spelling_has_the_skeleton_of_the_molecule(smiles: str, seed: int) -> None:
    mol = Chem.MolFromSmiles(smiles)
    spelling = Chem.MolToRandomSmilesVect(mol, 1, randomSeed=seed)[0]
    molecule, other = skeleton_of_molecule(mol), read(spelling)
    assert contains(molecule, other) and contains(other, molecule)
    assert len(other.bonds) == mol.GetNumBonds()


@given(st.text(alphabet="CNOcn()[]123%=#-.@H+", max_size=60))
def test_anything_is_read(text: str) -> None:
    found = read(text)
    assert all(0 <= a < b < len(found.elements) for a, b in found.bonds)


def test_a_part_and_not_a_part() -> None:
    aspirin = read("CC(=O)Oc1ccccc1C(=O)O")
    assert contains(aspirin, read("C1CCCCC1OC"))  # bond orders are not compared
    assert not contains(aspirin, read("CCCCCCCC"))
    assert not contains(aspirin, read("CCN"))


def test_parts_are_put_side_by_side() -> None:
    aspirin = read("CC(=O)Oc1ccccc1C(=O)O")
    assert placed(read("c1ccccc1.OC=O").parts, aspirin) == [0, 1]
    assert placed(read("c1ccccc1.c1ccccc1").parts, aspirin) == [0]
    assert contains(aspirin, read("c1ccccc1.OC=O")) and not contains(aspirin, read("c1ccccc1.OC=O.OC=O.CO"))
    # As one question to RDKit this would not end.
    assert len(placed(read("C." * 30 + "N").parts, aspirin)) == 9


def test_a_long_chain_of_rings_is_no_trap() -> None:
    rng = random.Random(0)
    chain = read("".join(f"C1{rng.choice('ONS')}C(CO)C(O)C(O)C1O" for _ in range(40)))
    assert contains(chain, chain)
