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
    return SimpleNamespace(stopwatch=stopwatch, reverse=make_reverse(0.0))


def make_reverse(seconds: float, *counts: tuple[int, int]) -> Any:
    """A reverse model with these counts since each last look."""
    left = iter(counts)
    return SimpleNamespace(seconds=seconds, counts=lambda: next(left, (0, 0)))


def test_the_parts_of_a_step_add_up(clock: SimpleNamespace) -> None:
    reward = make_reward(Stopwatch({"rollout": 50.0, "verdicts": 3.0}))  # before the meter was there
    measured = meter.Meter([reward])
    clock.seconds += 20
    reward.stopwatch.seconds |= {"rollout": 58.0, "verdicts": 4.0, "reward likelihood": 5.0}
    reward.reverse = make_reverse(4.0, (100, 25))
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


def test_the_speed_of_a_phase_that_goes_on_waits_until_it_is_known(clock: SimpleNamespace) -> None:
    measured = meter.Meter(tokens=None)
    clock.seconds += 10
    assert "time/tokens_per_second" not in measured.read(1, tokens=5000.0)
    clock.seconds += 10
    assert measured.read(1, tokens=6000.0)["time/tokens_per_second"] == 100.0


def test_sft_has_a_time_alone(clock: SimpleNamespace) -> None:
    measured = meter.Meter()
    clock.seconds += 3
    assert measured.read(3) == {"time/step": 1.0}
    assert measured.read(0) == {}
