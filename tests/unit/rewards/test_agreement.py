"""What a caption claims, held against the molecule."""

from __future__ import annotations

from typing import Any

import pytest

from rtrl_chem.rewards.agreement import Agreement, agreement
from rtrl_chem.rewards.options import AgreementReward

# groups_of: carboxylic acid, ester, benzene ring
ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


@pytest.mark.parametrize(
    ("text", "precision", "f1"),
    [
        pytest.param("It is a carboxylic acid and an ester with a benzene ring.", 1.0, 1.0, id="all of them"),
        pytest.param("It is a carboxylic acid.", 1.0, 2 / 4, id="one of three"),
        pytest.param("It is a carboxylic acid and a ketone.", 1 / 2, 2 / 5, id="one right, one wrong"),
        pytest.param("It is a ketone.", 0.0, 0.0, id="wrong"),
        pytest.param("It is an interesting molecule.", 0.0, 0.0, id="says nothing"),
        pytest.param("", 0.0, 0.0, id="empty"),
        pytest.param("An ester with the formula C9H8O4.", 1.0, 2 * 2 / (2 + 4), id="the right formula"),
        pytest.param("An ester with the formula C9H8O5.", 1 / 2, 2 * 1 / (2 + 4), id="a wrong formula"),
    ],
)
def test_by_hand(text: str, precision: float, f1: float) -> None:
    assert agreement(text, ASPIRIN, "precision") == pytest.approx(precision)
    assert agreement(text, ASPIRIN, "f1") == pytest.approx(f1)


def test_it_knows_which_side_is_the_text(make_batch: Any) -> None:
    term, text = Agreement(AgreementReward()), "It is a carboxylic acid and an ester with a benzene ring."
    assert term(make_batch([ASPIRIN], [text], task="captioning")) == [1.0]
    assert term(make_batch([text], [ASPIRIN], task="captioning", direction="reverse")) == [1.0]
    assert term(make_batch([text], ["CC"], task="captioning", direction="reverse")) == [0.0]


def test_a_list_of_every_group_earns_less_than_the_truth() -> None:
    from rtrl_chem.chem.functional_groups import GROUPS

    everything = "It has an " + ", an ".join(GROUPS) + "."
    truth = "It is a carboxylic acid and an ester with a benzene ring."
    for measure in ("f1", "precision"):
        assert agreement(everything, ASPIRIN, measure) < 0.2 < agreement(truth, ASPIRIN, measure)
