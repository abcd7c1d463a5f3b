"""A split depends on the item, the shares and the salt, and on nothing else."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.data import hash_split, murcko_scaffold, scaffold_split

SHARES = {"train": 0.8, "validation": 0.05, "test": 0.15}


@pytest.mark.parametrize(
    ("item", "salt", "split"),
    [("CCO", "", "train"), ("CCC", "", "test"), ("CCC", "other", "validation"), ("β-alanine", "", "test")],
)
def test_split_is_the_same_for_ever(item: str, salt: str, split: str) -> None:
    assert hash_split(item, SHARES, salt) == split


def test_shares_are_met() -> None:
    counts = Counter(hash_split(f"item {i}", SHARES) for i in range(20_000))
    assert {name: counts[name] / 20_000 for name in SHARES} == pytest.approx(SHARES, abs=0.01)


def test_another_salt_gives_an_independent_split() -> None:
    items = [f"item {i}" for i in range(5_000)]
    in_test = [item for item in items if hash_split(item, SHARES) == "test"]
    again = sum(hash_split(item, SHARES, "other") == "test" for item in in_test)
    assert again / len(in_test) == pytest.approx(SHARES["test"], abs=0.05)


@given(st.text())
def test_growing_the_last_share_moves_items_only_out_of_its_neighbour(item: str) -> None:
    grown = {"train": 0.8, "validation": 0.02, "test": 0.18}
    before, after = hash_split(item, SHARES), hash_split(item, grown)
    assert before == after or (before, after) == ("validation", "test")


@given(st.text(), st.lists(st.integers(1, 100), min_size=1, max_size=30))
def test_shares_with_rounding_errors_always_give_a_split(item: str, weights: list[int]) -> None:
    shares = {str(i): weight / sum(weights) for i, weight in enumerate(weights)}
    assert hash_split(item, shares) in shares


@pytest.mark.parametrize("shares", [{}, {"a": 0.5}, {"a": 0.0, "b": 1.0}, {"a": 1.5, "b": -0.5}, {"a": float("nan")}])
def test_shares_must_be_positive_and_sum_to_one(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="shares must be positive and sum to 1"):
        hash_split("CCO", shares)


@pytest.mark.parametrize(
    ("smiles", "scaffold"),
    [
        pytest.param("Cc1ccccc1", "c1ccccc1", id="side chain"),
        pytest.param("c1ccccc1CCC1CCNCC1", "c1ccc(CCC2CCNCC2)cc1", id="linker"),
        pytest.param("C[C@@H]1CC[C@H]2CCCC[C@@H]2C1", "C1CCC2CCCCC2C1", id="stereo"),
        pytest.param("OC1CCC(/C=C/c2ccncc2)CC1", "C(=CC1CCCCC1)c1ccncc1", id="double bond in the linker"),
        pytest.param("[Cl-].C[NH+]1CCCCC1", "C1CC[NH2+]CC1", id="counter-ion"),
        pytest.param("C[C@H](O)F", "CC(O)F", id="no ring: the molecule itself"),
    ],
)
def test_scaffold(smiles: str, scaffold: str) -> None:
    assert murcko_scaffold(smiles) == scaffold


def test_molecules_of_one_scaffold_stay_together() -> None:
    series = ["c1ccccc1" + "C" * n for n in range(1, 30)]
    assert len({scaffold_split(smiles, SHARES) for smiles in series}) == 1


def test_molecules_without_rings_spread_over_the_splits() -> None:
    assert {scaffold_split("C" * n + "O", SHARES) for n in range(1, 80)} == set(SHARES)


@given(st.sampled_from(["Cc1ccccc1O", "C[C@H](O)CC", "OC1CCC(/C=C/c2ccncc2)CC1"]), st.integers(0, 2**31 - 1))
def test_the_spelling_of_a_molecule_does_not_matter(smiles: str, seed: int) -> None:
    from rdkit.Chem import MolFromSmiles, MolToRandomSmilesVect

    (spelling,) = MolToRandomSmilesVect(MolFromSmiles(smiles), 1, randomSeed=seed)
    assert scaffold_split(spelling, SHARES) == scaffold_split(smiles, SHARES)


def test_invalid_molecule_has_no_scaffold() -> None:
    with pytest.raises(ValueError, match=r"not a valid SMILES \(does not parse\)"):
        murcko_scaffold("nonsense")
