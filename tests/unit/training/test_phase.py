"""Phases: their order, their seeds, and the sources each one takes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.config import Config, config_from_mapping
from rtrl_chem.tasks import Direction
from rtrl_chem.training.phase import Kind, derive_seed, next_sources, plan

FORWARD, REVERSE = Direction.FORWARD, Direction.REVERSE


def make_config(**changes: Any) -> Config:
    return config_from_mapping(
        {
            "task": "naming",
            "model": {"path": "unused"},
            "data": {"molecules": "unused.smi"},
            "rounds": 3,
            "steps_per_phase": 5,
            "output_dir": "unused",
        }
        | changes
    )


def test_a_round_trains_each_direction_in_the_order_given() -> None:
    phases = plan(make_config(directions=["reverse", "forward"], rounds=2))
    assert [(p.round, p.direction) for p in phases] == [(0, REVERSE), (0, FORWARD), (1, REVERSE), (1, FORWARD)]
    assert [p.index for p in phases] == [0, 1, 2, 3]
    assert [p.first_step for p in phases] == [0, 5, 10, 15]


def test_a_phases_folder_sorts_by_round() -> None:
    phase = plan(make_config())[2]
    assert phase.folder(Path("run")) == Path("run/rounds/01-forward")


EVERYTHING = {
    "regime": ["supervised", "synthetic"],
    "data": {"molecules": "x", "pairs": "y"},
    "supervised": {"warm_up_steps": 7},
    "synthetic": {"steps": 3},
    "rounds": 1,
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, "warm-up:sft:7 00-forward:rl:5 00-reverse:synthetic:3 00-reverse:rl:5", id="all three"),
        pytest.param(
            {"schedule": "joint"}, "warm-up:sft:7 00-reverse:synthetic:3 00-joint:rl:5", id="both in each batch"
        ),
        pytest.param(
            {"models": "separate"},
            "warm-up-forward:sft:7 warm-up-reverse:sft:7 00-forward:rl:5 00-reverse:synthetic:3 00-reverse:rl:5",
            id="two models warm up one by one",
        ),
        pytest.param(
            {"synthetic": {"pairs_weight": 0.5}},
            "warm-up:sft:7 00-forward:synthetic:5 00-forward:rl:5 00-reverse:synthetic:5 00-reverse:rl:5",
            id="rule-made pairs serve a direction without real answers",
        ),
        pytest.param(
            {"regime": "synthetic", "supervised": {}, "algorithm": "sft"},
            "00-reverse:synthetic:3",
            id="made pairs alone",
        ),
        pytest.param(
            {"regime": "supervised", "synthetic": {}, "algorithm": "sft", "directions": ["reverse"]},
            "warm-up:sft:7 00-reverse:sft:5",
            id="labelled pairs alone",
        ),
    ],
)
def test_the_phases_of_a_config(changes: dict[str, Any], expected: str) -> None:
    phases = plan(make_config(**(EVERYTHING | changes)))
    assert " ".join(f"{p.folder(Path('.')).name}:{p.kind}:{p.steps}" for p in phases) == expected
    assert [p.index for p in phases] == list(range(len(phases)))
    assert [p.first_step for p in phases] == [sum(q.steps for q in phases[:i]) for i in range(len(phases))]
    assert len({p.seed for p in phases}) == len(phases)


def test_the_other_regimes_leave_the_seeds_of_the_round_trip_alone() -> None:
    plain = [(p.round, p.way, p.seed) for p in plan(make_config(rounds=1))]
    assert [(p.round, p.way, p.seed) for p in plan(make_config(**EVERYTHING)) if p.kind is Kind.RL] == plain


def test_each_direction_of_a_joint_phase_draws_numbers_of_its_own() -> None:
    [phase] = plan(make_config(schedule="joint", rounds=1))
    assert len({phase.seed, phase.along(FORWARD).seed, phase.along(REVERSE).seed}) == 3
    [forward, _] = plan(make_config(rounds=1))
    assert forward.along(FORWARD) == forward


def test_no_two_phases_draw_the_same_random_numbers() -> None:
    seeds = [phase.seed for seed in range(20) for phase in plan(make_config(rounds=10, seed=seed))]
    assert len(set(seeds)) == len(seeds)


def test_seeds_are_the_same_in_every_process_and_on_every_machine() -> None:
    assert derive_seed(0, 1, FORWARD) == derive_seed(0, 1, "forward") == 836188514


@given(size=st.integers(1, 30), count=st.integers(1, 40), turns=st.integers(1, 8), seed=st.integers(0, 2**31 - 1))
def test_no_source_comes_twice_before_all_have_come_once(size: int, count: int, turns: int, seed: int) -> None:
    pool = [str(i) for i in range(size)]
    walked = [x for turn in range(turns) for x in next_sources(pool, count, turn, seed)]
    assert len(walked) == turns * count
    for start in range(0, len(walked) - size + 1, size):
        assert sorted(walked[start : start + size]) == sorted(pool)
    frequencies = Counter(walked)
    assert max(frequencies.values()) - min(frequencies.get(x, 0) for x in pool) <= 1


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5), st.integers(0, 100))
def test_the_same_phase_takes_the_same_sources(size: int, count: int, turn: int, seed: int) -> None:
    pool = [str(i) for i in range(size)]
    assert next_sources(pool, count, turn, seed) == next_sources(pool, count, turn, seed)


def test_each_lap_and_each_seed_has_an_order_of_its_own() -> None:
    pool = [str(i) for i in range(50)]
    orders = [tuple(next_sources(pool, 50, turn, seed)) for turn in range(3) for seed in range(3)]
    assert len(set(orders)) == 9


def test_no_pool_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="empty"):
        next_sources([], 3, 0, 0)
