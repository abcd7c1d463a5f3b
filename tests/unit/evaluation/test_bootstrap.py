"""Bootstrap intervals: right in the cases with a formula, paired, seeded, quick."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

from rtrl_chem.evaluation.bootstrap import bootstrap_mean, paired_bootstrap

RNG = np.random.default_rng(7)
COINS = RNG.random(1_000) < 0.3
NUMBERS = RNG.normal(2.0, 1.0, 1_000)


@pytest.mark.parametrize("values", [COINS, NUMBERS], ids=["few values: multinomial", "many values: gathered"])
def test_interval_of_a_mean_is_the_normal_one_for_many_items(values: np.ndarray) -> None:
    interval = bootstrap_mean(values)
    error = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - error, abs=0.1 * error)
    assert interval.high == pytest.approx(values.mean() + error, abs=0.1 * error)


def test_both_ways_of_resampling_agree() -> None:
    nearly = COINS + np.linspace(0, 1e-9, len(COINS))  # as many values as items: no multinomial
    few, many = bootstrap_mean(COINS), bootstrap_mean(nearly)
    assert (few.low, few.high) == pytest.approx((many.low, many.high), abs=0.003)


def test_items_are_resampled_together() -> None:
    # One unit better on every item: no doubt about the difference, however much the items differ.
    interval = paired_bootstrap(NUMBERS, NUMBERS + 1)
    assert interval.low == pytest.approx(1.0) and interval.high == pytest.approx(1.0)


def test_paired_difference_has_its_sign_and_mcnemar_width() -> None:
    before = np.array([0] * 60 + [1] * 40)
    after = np.array([1] * 20 + [0] * 40 + [1] * 35 + [0] * 5)  # 20 items won, 5 lost
    interval = paired_bootstrap(before, after)
    width = 1.96 * np.sqrt((20 + 5) / 100 - 0.15**2) / 10
    assert interval.mean == pytest.approx(0.15)
    assert (interval.low, interval.high) == pytest.approx((0.15 - width, 0.15 + width), abs=0.011)


def test_confidence_widens_the_interval() -> None:
    narrow, wide = bootstrap_mean(COINS, confidence=0.5), bootstrap_mean(COINS, confidence=0.99)
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high


@pytest.mark.parametrize("values", [COINS, NUMBERS], ids=["few", "many"])
def test_seed_decides_the_resamples(values: np.ndarray) -> None:
    assert bootstrap_mean(values, 500, seed=1) == bootstrap_mean(values, 500, seed=1)
    assert bootstrap_mean(values, 500, seed=1) != bootstrap_mean(values, 500, seed=2)


def test_one_item_and_equal_items_have_no_width() -> None:
    assert bootstrap_mean([0.0] * 50).high == 0.0
    assert (bootstrap_mean([0.25]).low, bootstrap_mean([0.25]).high) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"values": []}, "one or more finite", id="no items"),
        pytest.param({"values": [1.0, float("nan")]}, "one or more finite", id="not a number"),
        pytest.param({"values": [[1.0]]}, "one or more finite", id="a table"),
        pytest.param({"values": [1.0], "n_resamples": 0}, "n_resamples", id="no resamples"),
        pytest.param({"values": [1.0], "confidence": 95}, "confidence", id="confidence in per cent"),
    ],
)
def test_what_cannot_be_resampled_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_mean(**arguments)


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(ValueError, match="same items"):
        paired_bootstrap([1, 0], [1, 0, 0])


def test_cost_of_ten_thousand_resamples_of_two_thousand_items() -> None:
    values = np.random.default_rng(0).random(2_000)
    tracemalloc.start()
    start = time.process_time()
    bootstrap_mean(values)
    seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    assert seconds < 5  # some 0.2 on an idle core
