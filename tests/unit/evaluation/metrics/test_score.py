"""Scores of items become values with intervals over a stated denominator."""

from __future__ import annotations

import numpy as np
import pytest

from rtrl_chem.evaluation.bootstrap import bootstrap_mean, resampled_sums
from rtrl_chem.evaluation.metrics.score import estimate, mean_score


def test_a_mean_over_all_rows_has_the_interval_of_a_plain_bootstrap() -> None:
    items = np.random.default_rng(0).random(400)
    found = estimate([mean_score("x", "x", items)], resamples=4_000)["x"]
    plain = bootstrap_mean(items, n_resamples=4_000)
    assert found.value == pytest.approx(items.mean())
    assert (found.n, found.denominator) == (400, "all rows")
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.003)


def test_rows_out_of_the_denominator_do_not_count() -> None:
    score = mean_score("x", "x", [1.0, 0.5, 0.0, 9.0], counted=[True, True, False, False], denominator="valid")
    found = estimate([score])["x"]
    assert (found.value, found.n, found.denominator) == (0.75, 2, "valid")


def test_an_empty_denominator_is_no_number() -> None:
    found = estimate([mean_score("x", "x", [1.0, 1.0], counted=[False, False])])["x"]
    assert np.isnan(found.value)
    assert (found.low, found.high, found.n) == (None, None, 0)


def test_scores_of_one_file_share_their_resamples() -> None:
    items = np.random.default_rng(1).random(50)
    found = estimate([mean_score("a", "a", items), mean_score("b", "b", 2 * items)])
    assert found["b"].low == pytest.approx(2 * (found["a"].low or 0))


def test_sums_are_seeded_and_over_n_items() -> None:
    ones = np.ones((7, 1))
    assert set(resampled_sums(ones, 20).ravel()) == {7.0}
    values = np.arange(7.0)[:, None]
    assert np.array_equal(resampled_sums(values, 5, seed=3), resampled_sums(values, 5, seed=3))
    assert not np.array_equal(resampled_sums(values, 5, seed=3), resampled_sums(values, 5, seed=4))


@pytest.mark.parametrize(("items", "resamples"), [pytest.param(0, 5, id="no item"), pytest.param(3, 0, id="no draw")])
def test_nothing_to_draw_is_refused(items: int, resamples: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        resampled_sums(np.ones((items, 1)), resamples)
