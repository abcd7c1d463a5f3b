"""Formulas of molecules and in texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from rtrl_chem.chem.formula import formula_of, formulas_named, heavy_elements


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Aspirin, C9H8O4, is a drug.", {"C9H8O4"}, id="an organic formula"),
        pytest.param("The molecular formula is C9H8O4.", {"C9H8O4"}, id="after the word"),
        pytest.param("It has the chemical formula of H3PO4", {"H3O4P"}, id="inorganic, in Hill's order"),
        pytest.param("formula: C\u2089H\u2088O\u2084", {"C9H8O4"}, id="subscripts"),
        pytest.param("The cation C2H8N+ is an ammonium ion.", {"C2H8N"}, id="a charge is dropped"),
        pytest.param("C2H6O or C2H6O", {"C2H6O"}, id="twice"),
        pytest.param("It is a C18 fatty acid with a CH3 end.", set(), id="chains and groups"),
        pytest.param("A C2H5 group is attached.", set(), id="an ethyl group"),
        pytest.param("The formula is Xx2Yy3.", set(), id="no elements"),
        pytest.param("It is In No Way Hot.", set(), id="words that are element symbols"),
        pytest.param("2-(C2H5)-phenol", set(), id="inside a name"),
        pytest.param("", set(), id="nothing"),
    ],
)
def test_formulas_named(text: str, expected: set[str]) -> None:
    assert formulas_named(text) == expected


@pytest.mark.parametrize(
    "smiles", ["CCO", "C[NH3+]", "[Na+].[Cl-]", "O=C([O-])c1ccccc1", "[2H]C([2H])Cl", "OS(O)(=O)=O"]
)
def test_the_formula_of_a_molecule_is_read_back(smiles: str) -> None:
    formula = formula_of(Chem.MolFromSmiles(smiles))
    assert formulas_named(f"Its molecular formula is {formula}.") == {formula}


def test_hydrogens_are_not_counted_however_they_are_written() -> None:
    for smiles in ("CCO", "[H]C([H])([H])C([2H])([2H])O[H]"):
        assert heavy_elements(Chem.MolFromSmiles(smiles)) == {"C": 2, "O": 1}


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    assert all(formula[0].isupper() for formula in formulas_named(text))


@pytest.mark.parametrize(
    "text", ["C" + "1" * 5_000 + "H2", "formula C" + "9" * 20_000, "formula " * 2_500 + "C", "C " * 10_000]
)
def test_odd_texts_are_no_trap(text: str) -> None:
    assert formulas_named(text) <= {"C"}  # Python refuses to read a number of 5,000 digits
