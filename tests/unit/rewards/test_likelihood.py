"""The likelihood term in its four forms, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.models.reverse import Score
from rtrl_chem.rewards.likelihood import FLOORS, likelihood_reward

FORMS = pytest.mark.parametrize(("form", "normalize"), FLOORS, ids=" ".join)
SCORES = st.builds(Score, st.floats(-1e4, 0), st.integers(1, 500))


@pytest.mark.parametrize(
    ("form", "normalize", "nats", "tokens", "expected"),
    [
        pytest.param("log", "sequence", -6.0, 3, -6.0, id="log p"),
        pytest.param("log", "token", -6.0, 3, -2.0, id="log p per token"),
        pytest.param("probability", "sequence", math.log(0.25), 3, 0.25, id="p itself"),
        pytest.param("probability", "token", math.log(0.125), 3, 0.5, id="geometric mean: 1/2 cubed is 1/8"),
        pytest.param("log", "token", -300.0, 3, -10.0, id="no token is worth less than -10 nats"),
        pytest.param("log", "sequence", -300.0, 3, -100.0, id="no sequence is worth less than -100 nats"),
        pytest.param("probability", "sequence", -1e6, 3, 0.0, id="p underflows to 0"),
        pytest.param("log", "sequence", 0.0, 3, 0.0, id="certain, log"),
        pytest.param("probability", "token", 0.0, 3, 1.0, id="certain, p"),
    ],
)
def test_the_forms(form: str, normalize: str, nats: float, tokens: int, expected: float) -> None:
    assert likelihood_reward(Score(nats, tokens), form, normalize) == pytest.approx(expected, abs=1e-12)


@FORMS
@given(score=SCORES)
def test_no_score_earns_less_than_the_floor(form: str, normalize: str, score: Score) -> None:
    reward = likelihood_reward(score, form, normalize)
    assert FLOORS[form, normalize] <= reward <= (1.0 if form == "probability" else 0.0)


@FORMS
@given(a=SCORES, b=SCORES)
def test_a_likelier_source_never_earns_less(form: str, normalize: str, a: Score, b: Score) -> None:
    worse, better = sorted((a, b), key=lambda s: s.nats_per_token if normalize == "token" else s.nats)
    assert likelihood_reward(worse, form, normalize) <= likelihood_reward(better, form, normalize)
