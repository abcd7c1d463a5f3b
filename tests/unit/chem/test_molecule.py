from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from rtrl_chem.chem import molecule
from rtrl_chem.chem.molecule import (
    EQUALITIES,
    MAX_LENGTH,
    canonical,
    canonical_batch,
    clear_cache,
    equal,
    equal_batch,
    fragments,
    invalid_reason,
    parse,
    parse_batch,
    stereo_free,
)

REAL_MOLECULES = [
    "CC(=O)Oc1ccccc1C(=O)O",  # aspirin
    "CN1C=NC2=C1C(=O)N(C)C(=O)N2C",  # caffeine, Kekule form
    "CC(C)C[C@H](NC(=O)[C@H](C)N)C(=O)O",  # a dipeptide
    "OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O",  # glucose
    "CC/C=C\\C/C=C\\C/C=C\\CCCCCCCC(=O)O",  # linolenic acid
    "C[C@]12CC[C@H]3[C@H]([C@@H]1CC[C@@H]2O)CCC4=CC(=O)CC[C@]34C",  # testosterone
    "[Na+].[O-]C(=O)c1ccccc1",
    "[2H]C([2H])([2H])O",
    "Cl.Cl.NCCN",
]

molecules = st.sampled_from(REAL_MOLECULES)
seeds = st.integers(min_value=0, max_value=2**31 - 1)


def respelled(smiles: str, seed: int) -> str:
    """The same molecule written from another atom."""
    return Chem.MolToRandomSmilesVect(Chem.MolFromSmiles(smiles), 1, randomSeed=seed)[0]


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        pytest.param("CCO", "", id="ethanol"),
        pytest.param("[Na+].[Cl-]", "", id="salt"),
        pytest.param("*C", "", id="dummy-with-carbon"),
        pytest.param("", "empty", id="empty"),
        pytest.param("CCO and prose", "white space", id="prose-after-smiles"),
        pytest.param("CCO\n", "white space", id="newline"),
        pytest.param("\u00a0", "white space", id="no-break-space"),
        pytest.param("[H][H]", "no heavy atom", id="hydrogen"),
        pytest.param("*", "no heavy atom", id="dummy-alone"),
        pytest.param("ethanol", "does not parse", id="name"),
        pytest.param("C1CC", "does not parse", id="open-ring"),
        pytest.param("C(C)(C)(C)(C)C", "does not parse", id="five-bonds"),
        pytest.param("c1cccc1", "does not parse", id="no-kekule-form"),
        pytest.param("CCO>>CC", "does not parse", id="reaction"),
        pytest.param("C\x00C", "does not parse", id="nul"),
        pytest.param("é", "does not parse", id="not-ascii"),
        pytest.param("\ud800", "does not parse", id="lone-surrogate"),
        pytest.param("C" * MAX_LENGTH, "", id="longest"),
        pytest.param("C" * 100_000, "too long", id="would-crash-rdkit"),
    ],
)
def test_invalid_reason(smiles: str, reason: str) -> None:
    assert invalid_reason(smiles) == reason
    assert (parse(smiles) is None) == bool(reason)
    assert (canonical(smiles) is None) == bool(reason)


@given(molecules, seeds)
def test_canonical_does_not_depend_on_the_spelling(smiles: str, seed: int) -> None:
    other = respelled(smiles, seed)
    assert canonical(other) == canonical(smiles)
    assert stereo_free(other) == stereo_free(smiles)
    assert fragments(other) == fragments(smiles)


@given(molecules)
def test_canonical_forms_are_fixed_points(smiles: str) -> None:
    once, flat = canonical(smiles), stereo_free(smiles)
    assert once is not None and flat is not None
    assert canonical(once) == once
    assert stereo_free(flat) == flat == canonical(flat)


@given(st.text(max_size=30))
@settings(max_examples=200)
def test_any_text_is_a_molecule_or_has_a_reason(text: str) -> None:
    assert (parse(text) is None) == bool(invalid_reason(text))


@given(st.lists(molecules, min_size=1, max_size=4), st.randoms())
def test_fragments_are_those_of_the_parts_in_any_order(parts: list[str], random) -> None:
    expected = tuple(sorted(piece for part in parts for piece in fragments(part) or ()))
    shuffled = random.sample(parts, len(parts))
    assert fragments(".".join(shuffled)) == expected
    assert equal(".".join(parts), ".".join(shuffled), "fragment_set")


def test_stereo_free_keeps_isotopes_and_charges() -> None:
    assert stereo_free("[2H][C@](C)(N)C(=O)[O-]") == canonical("[2H]C(C)(N)C(=O)[O-]")
    assert stereo_free("C/C=C/C") == "CC=CC"


def test_largest_fragment_counts_heavy_atoms_not_letters() -> None:
    found = parse("[Na+].[Na+].CCO.[O-][Cl+3]([O-])([O-])[O-]")
    assert found is not None and found.largest_fragment == canonical("[O-][Cl+3]([O-])([O-])[O-]")


@pytest.mark.parametrize(
    ("a", "b", "same_under"),
    [
        pytest.param("OCC", "CCO", set(EQUALITIES), id="other-spelling"),
        pytest.param("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", {"stereo_free"}, id="enantiomers"),
        pytest.param("C/C=C/C", "C/C=C\\C", {"stereo_free"}, id="E-and-Z"),
        pytest.param("CCO.[Na+]", "[Na+].OCC", set(EQUALITIES), id="fragment-order"),
        pytest.param("CCO.O", "CCO.O.O", {"largest_fragment", "inchi_set"}, id="duplicates-count"),
        pytest.param("CCO", "CCO.Cl", {"largest_fragment"}, id="salt"),
        pytest.param("Oc1ccccn1", "O=c1cccc[nH]1", {"inchi", "inchi_set"}, id="tautomers"),
        pytest.param("*CO", "*CN", set(), id="no-InChI-is-no-equality"),
        pytest.param("CCO", "CCN", set(), id="different"),
        pytest.param("CC(=O)O", "CC(=O)[O-]", set(), id="charge"),
        pytest.param("C", "[13CH4]", set(), id="isotope"),
        pytest.param("C1CCCCC1", "c1ccccc1", set(), id="case-is-not-folded"),
        pytest.param("", "", set(), id="both-empty"),
        pytest.param("not one", "not one", set(), id="invalid-equals-nothing"),
    ],
)
def test_equality_policies(a: str, b: str, same_under: set[str]) -> None:
    assert {policy for policy in EQUALITIES if equal(a, b, policy)} == same_under
    assert {policy for policy in EQUALITIES if equal(b, a, policy)} == same_under


def test_inchi_equality_is_that_of_the_inchis_whatever_was_looked_at_first() -> None:
    some = [
        "CC(=O)O[Na]",
        "CC(=O)[O-].[Na+]",
        "Cl",
        "[H+].[Cl-]",
        "C.C",
        "C",
        "C.CC",
        "Oc1ccccn1",
        "O=c1cccc[nH]1",
        "[2H]C",
    ]
    whole = {smiles: Chem.MolToInchi(Chem.MolFromSmiles(smiles)) for smiles in some}
    parts = {smiles: {Chem.MolToInchi(Chem.MolFromSmiles(part)) for part in smiles.split(".")} for smiles in some}
    for a, b in product(some, some):
        assert equal(a, b, "inchi") == (whole[a] == whole[b]), (a, b)
        assert equal(a, b, "inchi_set") == (parts[a] == parts[b]), (a, b)


def test_unknown_equality_is_refused_even_for_invalid_strings() -> None:
    with pytest.raises(ValueError, match="isomeric, stereo_free"):
        equal("", "", "exact")


def test_batch_forms_keep_order_and_refuse_uneven_lists() -> None:
    assert canonical_batch(["OCC", "", "C"]) == ["CCO", None, "C"]
    assert [found is None for found in parse_batch(["C", "x", "C"])] == [False, True, False]
    assert equal_batch(["OCC", "C"], ["CCO", "N"]) == [True, False]
    with pytest.raises(ValueError):
        equal_batch(["C"], ["C", "C"])


def test_a_string_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real = Chem.MolFromSmiles
    monkeypatch.setattr(molecule.Chem, "MolFromSmiles", lambda smiles: calls.append(smiles) or real(smiles))
    clear_cache()
    for _ in range(3):
        assert invalid_reason("OCCN") == "" and canonical("OCCN") == "NCCO" and invalid_reason("C1C")
        found = parse("OCCN")
        assert found is not None and found.mol is parse("OCCN").mol  # type: ignore[union-attr]
    assert sorted(calls) == ["C1C", "OCCN"]
    assert molecule.cache_info().misses == 2


def test_rdkit_stays_silent_only_for_our_calls(capfd: pytest.CaptureFixture[str]) -> None:
    clear_cache()
    assert parse("C1CC") is None
    assert capfd.readouterr().err == ""
    assert Chem.MolFromSmiles("C1CC") is None
    assert "SMILES Parse Error" in capfd.readouterr().err
