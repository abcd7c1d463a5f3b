"""What y tells about x, by hand and with a model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.config import LikelihoodReward
from rtrl_chem.errors import RewardError
from rtrl_chem.models.reverse import Score
from rtrl_chem.rewards.information import Information, information_reward
from rtrl_chem.rewards.likelihood import Likelihood
from rtrl_chem.rewards.options import InformationReward

NORMALIZE = ("share", "token", "sequence")
NATS = st.floats(-1e4, 0)


@pytest.mark.parametrize(
    ("given_", "prior", "normalize", "expected"),
    [
        pytest.param(-2.0, -8.0, "sequence", 6.0, id="nats"),
        pytest.param(-2.0, -8.0, "token", 1.5, id="nats per token"),
        pytest.param(-2.0, -8.0, "share", 0.75, id="three quarters of all there is to tell"),
        pytest.param(0.0, -8.0, "share", 1.0, id="y tells x"),
        pytest.param(-8.0, -8.0, "share", 0.0, id="y tells nothing"),
        pytest.param(-9.0, -8.0, "sequence", 0.0, id="y misleads"),
        pytest.param(0.0, 0.0, "share", 0.0, id="there is nothing to tell"),
    ],
)
def test_by_hand(given_: float, prior: float, normalize: str, expected: float) -> None:
    assert information_reward(Score(given_, 4), Score(prior, 4), normalize) == pytest.approx(expected)


@pytest.mark.parametrize("normalize", NORMALIZE)
@given(a=NATS, b=NATS, prior=NATS, tokens=st.integers(1, 500))
def test_a_likelier_source_never_earns_less_and_nothing_less_than_the_floor(
    normalize: str, a: float, b: float, prior: float, tokens: int
) -> None:
    low, high = (information_reward(Score(n, tokens), Score(prior, tokens), normalize) for n in sorted((a, b)))
    assert 0.0 <= low <= high
    assert normalize != "share" or high <= 1.0


@given(nats=st.lists(st.floats(-20, -5), min_size=2, max_size=6))
def test_above_the_floor_it_ranks_the_outputs_of_a_source_as_the_likelihood_does(nats: list[float]) -> None:
    """As the module says: between the outputs of one source the prior is a constant."""
    prior = Score(-21.0, 3)
    told = [information_reward(Score(n, 3), prior, "sequence") for n in nats]
    mean_told, mean_nats = sum(told) / len(told), sum(nats) / len(nats)
    assert [t - mean_told for t in told] == pytest.approx([n - mean_nats for n in nats], abs=1e-9)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("style", ["compact", "plain", "chat"])
def test_no_y_is_the_reverse_prompt_with_nothing_in_it(
    make_policy: Callable[..., Any], make_batch: Any, make_reverse: Any, style: str, direction: str
) -> None:
    policy = make_policy(style)
    sources, outputs = ["CCO", "c1ccccc1", "CCO"], ["ethanol", "benzene", "propane"]
    if direction == "reverse":
        sources, outputs = outputs, sources
    batch = make_batch(sources, outputs, direction=direction, reverse=make_reverse(policy, direction))
    found = Information(InformationReward(normalize="sequence"))(batch)
    scores = [
        make_reverse(policy, direction).log_likelihood([x], [y])[0].nats for x, y in zip(sources, outputs, strict=True)
    ]
    priors = [make_reverse(policy, direction).log_likelihood([x], [""])[0].nats for x in sources]
    assert found == pytest.approx([max(0.0, s - p) for s, p in zip(scores, priors, strict=True)], abs=1e-4)


def test_a_source_is_scored_once_without_y(taught_policy: Any, make_batch: Any, make_reverse: Any) -> None:
    reverse = make_reverse(taught_policy)
    for names in (["ethanol", "propane", "ethanol"], ["ethane", "propane", "x"]):
        Information(InformationReward())(make_batch(["CCO"] * 3, names, reverse=reverse))
    assert reverse.scored == 4 + 1


def test_the_right_name_tells_more_than_a_wrong_one(taught_policy: Any, make_batch: Any, make_reverse: Any) -> None:
    batch = make_batch(["CCO"] * 2, ["ethanol", "benzene"], reverse=make_reverse(taught_policy))
    right, wrong = Information(InformationReward())(batch)
    assert 0.0 <= wrong < right <= 1.0
    assert math.exp(batch.scores[0].nats) == Likelihood(LikelihoodReward())(batch)[0]


def test_a_prompt_that_is_nothing_but_y_has_no_prior(taught_policy: Any, make_reverse: Any) -> None:
    reverse = make_reverse(taught_policy)
    reverse.codec = type("Bare", (), {"prompt_ids": staticmethod(lambda direction, sources: [[]])})()
    with pytest.raises(RewardError, match="the reverse prompt is empty"):
        reverse.prior(["CCO"])
