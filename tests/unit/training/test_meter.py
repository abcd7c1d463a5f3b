"""Seconds of a step by part, and the share that the reverse model remembered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rtrl_chem.rewards.compose import Stopwatch
from rtrl_chem.training import meter


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(meter.time, "perf_counter", lambda: now.seconds)
    return now


def make_reward(stopwatch: Stopwatch) -> Any:
    return SimpleNamespace(stopwatch=stopwatch, reverse=SimpleNamespace(seconds=0.0, requests=0, scored=0))


def test_the_parts_of_a_step_add_up(clock: SimpleNamespace) -> None:
    reward = make_reward(Stopwatch({"rollout": 50.0, "verdicts": 3.0}))  # before the meter was there
    measured = meter.Meter([reward])
    clock.seconds += 20
    reward.stopwatch.seconds |= {"rollout": 58.0, "verdicts": 4.0, "reward likelihood": 5.0}
    reward.reverse = SimpleNamespace(seconds=4.0, requests=100, scored=25)
    found = measured.read(2, tokens=1000.0)
    assert found == {
        "time/step": 10.0,
        "time/rollout": 4.0,
        "time/reverse": 2.0,
        "time/chemistry": 1.0,
        "time/update": 3.0,
        "time/tokens_per_second": 50.0,
        "reverse_model/remembered": 0.75,
    }
    clock.seconds += 6  # a second update on the same samples: no rollout, no question
    assert measured.read(1, tokens=1000.0) == {
        "time/step": 6.0,
        **dict.fromkeys(("time/rollout", "time/reverse", "time/chemistry"), 0.0),
        "time/update": 6.0,
        "time/tokens_per_second": 0.0,
    }


def test_a_stopwatch_that_two_directions_share_counts_once(clock: SimpleNamespace) -> None:
    shared = Stopwatch()
    measured = meter.Meter([make_reward(shared), make_reward(shared)])
    clock.seconds += 10
    shared.seconds["rollout"] = 4.0
    found = measured.read(1)
    assert (found["time/rollout"], found["time/update"]) == (4.0, 6.0)


def test_sft_has_a_time_alone(clock: SimpleNamespace) -> None:
    measured = meter.Meter()
    clock.seconds += 3
    assert measured.read(3) == {"time/step": 1.0}
    assert measured.read(0) == {}
