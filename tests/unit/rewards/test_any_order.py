"""The likelihood of a molecule over its spellings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.chem.spellings import spellings
from rtrl_chem.config import LikelihoodReward
from rtrl_chem.rewards.any_order import AnyOrder, log_sum
from rtrl_chem.rewards.likelihood import Likelihood
from rtrl_chem.rewards.options import AnyOrderReward


@given(st.lists(st.floats(-600, 0), min_size=1, max_size=20))
def test_log_sum_is_the_log_of_the_sum(nats: list[float]) -> None:
    assert log_sum(nats) == pytest.approx(math.log(math.fsum(map(math.exp, nats))))


def test_log_sum_does_not_underflow() -> None:
    assert log_sum([-1e5, -1e5]) == pytest.approx(-1e5 + math.log(2))


@pytest.mark.parametrize("form", ["log", "probability"])
def test_it_sums_over_the_spellings(
    make_policy: Callable[..., Any], make_batch: Any, make_reverse: Any, form: Any
) -> None:
    policy = make_policy("plain", seed=2)
    sources, outputs = ["CCO", "CC(=O)O", "C", "CCO"], ["ethanol", "acetic acid", "methane", "propane"]
    found = AnyOrder(AnyOrderReward(k=4, form=form))(make_batch(sources, outputs, reverse=make_reverse(policy)))
    alone = make_reverse(policy)
    for value, x, y in zip(found, sources, outputs, strict=True):
        total = sum(math.exp(alone.log_likelihood([s], [y])[0].nats) for s in spellings(x, 4))
        expected = total if form == "probability" else max(math.log(total) if total else -100.0, -100.0)
        assert value == pytest.approx(expected, rel=1e-4)


def test_more_spellings_never_earn_less(taught_policy: Any, make_batch: Any, make_reverse: Any) -> None:
    batch = make_batch(["CC(=O)O"], ["acetic acid"], reverse=make_reverse(taught_policy))
    one = Likelihood(LikelihoodReward())(batch)[0]
    few, many = (AnyOrder(AnyOrderReward(k=k))(batch)[0] for k in (2, 8))
    assert 0 < one <= few <= many <= 1


def test_a_text_has_one_spelling(taught_policy: Any, make_batch: Any, make_reverse: Any) -> None:
    batch = make_batch(["ethanol"], ["CCO"], direction="reverse", reverse=make_reverse(taught_policy, "reverse"))
    assert AnyOrder(AnyOrderReward())(batch) == Likelihood(LikelihoodReward())(batch)
    assert batch.reverse.scored == 1
