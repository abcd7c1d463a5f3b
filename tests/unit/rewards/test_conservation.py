"""Atoms come from somewhere."""

from __future__ import annotations

from typing import Any

import pytest

from rtrl_chem.rewards.conservation import Conservation, conserved
from rtrl_chem.rewards.options import ConservationReward

ESTER = ("CCO.CC(=O)O", "CCOC(C)=O")


@pytest.mark.parametrize(
    ("reactants", "product", "expected"),
    [
        pytest.param(*ESTER, 1.0, id="an ester from acid and alcohol"),
        pytest.param("C=C.[H][H]", "CC", 1.0, id="hydrogens are free"),
        pytest.param("CCO", "CCCl", 2 / 3, id="chlorine out of nothing"),
        pytest.param("CCO", "CCOCC", 3 / 5, id="two carbons too many"),
        pytest.param("N", "CCO", 0.0, id="nothing in common"),
        pytest.param("CCO.CC", "OCC", 0.0, id="the product is a reactant"),
        pytest.param("CCO.CC(=O)O", "CCOC(C)=O.CCO", 0.0, id="a product beside a reactant left over"),
        pytest.param("CCO.", "CCOC", 0.0, id="no molecule"),
        pytest.param("C[O-].[Na+].CBr", "COC", 1.0, id="charges do not matter"),
    ],
)
def test_by_hand(reactants: str, product: str, expected: float) -> None:
    assert conserved(reactants, product) == pytest.approx(expected)


def test_it_knows_which_side_is_the_product(make_batch: Any) -> None:
    term = Conservation(ConservationReward())
    assert term(make_batch(*([side] for side in ESTER), task="reaction")) == [1.0]
    assert term(make_batch(*([side] for side in ESTER[::-1]), task="reaction", direction="reverse")) == [1.0]
    assert term(make_batch(["CCOC(C)=O"], ["CCO"], task="reaction", direction="reverse")) == [pytest.approx(0.5)]
