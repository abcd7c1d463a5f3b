"""Both directions in a batch: each row is judged by its own direction, in its own place."""

from __future__ import annotations

from typing import Any

import pytest

from rtrl_chem.rewards.compose import RoundTripReward
from rtrl_chem.tasks import Direction
from rtrl_chem.training.joint import JointReward, dealt_out

FORWARD, REVERSE = Direction.FORWARD, Direction.REVERSE


class Reward(RoundTripReward):
    """Pays ten for the source "1" and so on, of the reverse direction a hundred; logs what it saw."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.seen: list[dict[str, Any]] = []

    def __call__(self, *, log_metric: Any, **columns: Any) -> list[float]:  # type: ignore[override]
        self.seen.append(columns)
        log_metric("verdict/OK", self.factor)
        return [self.factor * float(x) for x in columns["source"]]


@pytest.fixture
def rewards() -> dict[Direction, Reward]:
    return {FORWARD: Reward(10), REVERSE: Reward(100)}


def call(rewards: dict[Direction, Reward], ways: str, **more: Any) -> tuple[list[Any], dict[str, float]]:
    logged: dict[str, float] = {}
    found = JointReward(rewards)(
        completion_ids=[[i] for i in range(len(ways))],
        source=[str(i) for i in range(len(ways))],
        direction=["forward" if way == "f" else "reverse" for way in ways],
        log_metric=logged.__setitem__,
        **more,
    )
    return found, logged


@pytest.mark.parametrize("ways", ["frfr", "ffrr", "rrrf", "ff", "r"])
def test_each_row_gets_the_reward_of_its_direction(rewards: dict[Direction, Reward], ways: str) -> None:
    found, _ = call(rewards, ways)
    assert found == [i * (10 if way == "f" else 100) for i, way in enumerate(ways)]


def test_every_column_is_dealt_out_with_the_rows(rewards: dict[Direction, Reward]) -> None:
    call(rewards, "frf", target=["a", "b", "c"], trainer_state="a state", log_extra=print)
    [forward], [reverse] = (rewards[way].seen for way in (FORWARD, REVERSE))
    assert (forward["target"], reverse["target"]) == (["a", "c"], ["b"])
    assert (forward["completion_ids"], reverse["completion_ids"]) == ([[0], [2]], [[1]])
    assert forward["trainer_state"] == reverse["trainer_state"] == "a state"
    assert "log_extra" not in forward


def test_what_is_logged_is_the_mean_over_all_rows_and_that_of_each_direction(rewards: dict[Direction, Reward]) -> None:
    _, logged = call(rewards, "fffr")
    assert logged == {"forward/verdict/OK": 10, "reverse/verdict/OK": 100, "verdict/OK": pytest.approx(32.5)}


def test_what_one_direction_logs_alone_is_its_own_mean(rewards: dict[Direction, Reward]) -> None:
    """The labels of names say nothing about molecules: no zeros are averaged in."""

    class Labelled(Reward):
        def __call__(self, *, log_metric: Any, **columns: Any) -> list[float]:  # type: ignore[override]
            log_metric("reward/supervised", 0.5)
            return super().__call__(log_metric=log_metric, **columns)

    _, logged = call({FORWARD: Labelled(10), REVERSE: rewards[REVERSE]}, "frrr")
    assert logged["reward/supervised"] == logged["forward/reward/supervised"] == 0.5


def test_a_batch_of_one_direction_asks_the_other_nothing(rewards: dict[Direction, Reward]) -> None:
    _, logged = call(rewards, "ff")
    assert rewards[REVERSE].seen == []
    assert logged == {"forward/verdict/OK": 10, "verdict/OK": 10}


def test_sources_are_dealt_out_in_turns() -> None:
    assert dealt_out(5, (REVERSE, FORWARD)) == [REVERSE, FORWARD, REVERSE, FORWARD, REVERSE]
    assert dealt_out(2, (FORWARD,)) == [FORWARD, FORWARD]
