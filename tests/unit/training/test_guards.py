"""When a stage counts as worse, as diverged, as beyond a limit, or as a standstill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rtrl_chem.evaluation.measure import METRICS
from rtrl_chem.evaluation.summary import Change
from rtrl_chem.regimes import Watched
from rtrl_chem.training.guards import LOWER_IS_BETTER, judge, limit_passed, plateau


def change(low: float, high: float) -> Change:
    middle = (low + high) / 2
    return Change("a metric", "share", 0.5, 0.5 + middle, middle, low, high, 100)


def stage(name: str, **values: float) -> dict[str, Any]:
    return {"stage": name, "values": {key.replace("__", "/"): value for key, value in values.items()}}


START = stage("start", forward__rtc=0.3, forward__referee=0.4, forward__leak_rate=0.0)
NOW = {"forward/rtc": 0.3, "forward/referee": 0.4, "forward/leak_rate": 0.0}
UP, DOWN, UNSURE = change(0.01, 0.1), change(-0.1, -0.01), change(-0.05, 0.05)


@pytest.mark.parametrize(
    ("changes", "worse"),
    [
        pytest.param({"forward/rtc": DOWN}, 1, id="fell"),
        pytest.param({"forward/rtc": UNSURE}, 0, id="within its interval"),
        pytest.param({"forward/rtc": UP}, 0, id="rose"),
        pytest.param({"forward/leak_rate": UP}, 1, id="more leaks"),
        pytest.param({"forward/leak_rate": DOWN}, 0, id="fewer leaks"),
        pytest.param({"forward/rtc": DOWN, "forward/referee": DOWN}, 2, id="two metrics"),
        pytest.param({"forward/rtc": change(-0.1, 0.0)}, 0, id="down to zero"),
        pytest.param({}, 0, id="not compared"),
    ],
)
def test_worse_is_a_difference_on_the_wrong_side(changes: dict[str, Change], worse: int) -> None:
    found = judge([START], NOW, list(NOW), True, lambda reference: changes)
    assert len(found.worse) == worse
    assert all("against start" in line for line in found.worse)


def test_what_is_not_watched_may_fall() -> None:
    found = judge([START], NOW, ["forward/referee"], False, lambda reference: {"forward/rtc": DOWN})
    assert found.worse == ()


def test_each_metric_is_compared_with_its_best_stage() -> None:
    stages = [START, stage("round-00", forward__rtc=0.5, forward__referee=0.2, forward__leak_rate=0.1)]
    asked: list[str] = []

    def compare(reference: str) -> Mapping[str, Change]:
        asked.append(reference)
        return {"forward/rtc": DOWN, "forward/referee": DOWN, "forward/leak_rate": UP}

    found = judge(stages, NOW, list(NOW), False, compare)
    assert [line.rsplit(" ", 1)[-1] for line in found.worse] == ["round-00", "start", "start"]
    assert sorted(asked) == ["round-00", "start"]  # once each


@pytest.mark.parametrize(
    ("values", "changes", "diverged"),
    [
        pytest.param(NOW, {"forward/rtc": UP, "forward/referee": DOWN}, True, id="agrees with itself alone"),
        pytest.param(NOW, {"forward/rtc": UP, "forward/referee": UNSURE}, False, id="the referee is unsure"),
        pytest.param(NOW, {"forward/rtc": UNSURE, "forward/referee": DOWN}, False, id="the round trip is unsure"),
        pytest.param(NOW, {"forward/rtc": DOWN, "forward/referee": DOWN}, False, id="both fell"),
        pytest.param(
            {"reverse/rtc": 0.3, "reverse/exact_match": 0.4},
            {"reverse/rtc": UP, "reverse/exact_match": DOWN},
            True,
            id="labels where there is no referee",
        ),
        pytest.param(
            NOW | {"forward/exact_match": 0.4},
            {"forward/rtc": UP, "forward/referee": UNSURE, "forward/exact_match": DOWN},
            False,
            id="the referee before the labels",
        ),
        pytest.param({"forward/rtc": 0.5}, {"forward/rtc": UP}, False, id="no independent judge"),
    ],
)
def test_divergence_is_self_consistency_without_truth(
    values: dict[str, float], changes: dict[str, Change], diverged: bool
) -> None:
    start = {"stage": "start", "values": values}
    assert (judge([start], values, [], True, lambda reference: changes).diverged is not None) is diverged
    assert judge([start], values, [], False, lambda reference: changes).diverged is None


ROWS = [{"kl": k / 100, "entropy": 1 - k / 100} for k in range(1, 41)]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        pytest.param((0.38, None), "kl is 0.385 nats a token, above 0.38", id="kl"),
        pytest.param((0.39, None), None, id="the mean of the last tenth counts"),
        pytest.param((None, 0.62), "entropy is 0.615 nats a token, below 0.62", id="entropy"),
        pytest.param((None, 0.61), None, id="enough entropy"),
        pytest.param((None, None), None, id="no limit"),
    ],
)
def test_limits_are_compared_with_the_end_of_a_phase(limits: tuple[Any, Any], said: str | None) -> None:
    assert limit_passed(ROWS, *limits) == said


def test_nothing_logged_is_beyond_no_limit() -> None:
    assert limit_passed([{"loss": 1.0}], 0.0, 9.9) is None


@pytest.mark.parametrize(
    ("forward", "reverse", "stands"),
    [
        pytest.param([0.1, 0.3, 0.3], [0.2, 0.4, 0.4], True, id="both stand"),
        pytest.param([0.1, 0.3, 0.35], [0.2, 0.4, 0.4], False, id="one rises"),
        pytest.param([0.1, 0.3, 0.305], [0.2, 0.4, 0.4], True, id="a rise of less than the gain"),
        pytest.param([0.3], [0.4], False, id="too early to say"),
        pytest.param([0.5, 0.1, 0.3], [0.6, 0.2, 0.3], True, id="back up is no rise"),
    ],
)
def test_a_plateau_is_no_rise_in_any_direction(forward: list[float], reverse: list[float], stands: bool) -> None:
    phases = [
        {"kind": "rl", "direction": way, "reward_last": reward}
        for pair in zip(forward, reverse, strict=True)
        for way, reward in zip(("forward", "reverse"), pair, strict=True)
    ]
    phases.append({"kind": "sft", "direction": "joint", "reward_last": 99.0})
    assert (plateau(phases, 1, 0.01) is not None) is stands


def test_the_metrics_to_watch_are_those_that_are_measured() -> None:
    from typing import get_args

    names = {metric.name for metric in METRICS}
    assert set(get_args(Watched)) == names | {"guard"}
    assert names & LOWER_IS_BETTER == {"leak_rate", "copy_rate", "empty_rate", "truncated_rate"}
