"""Which checkpoints stay, and which stage is the best."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rtrl_chem.config import Config, config_from_mapping
from rtrl_chem.training.keep import best_problem, best_with, checkpoint_after, kept, tidy
from rtrl_chem.training.phase import plan
from rtrl_chem.training.run_folder import State

GUARDS = {"on_regression": "ignore"}


def make_config(**trainer: Any) -> Config:
    """Three rounds of two phases, two steps each, after a warm-up of one."""
    return config_from_mapping(
        {
            "task": "naming",
            "model": {"path": "org/start"},
            "data": {"pairs": "my.tsv", "molecules": "my.smi"},
            "regime": "supervised",
            "supervised": {"warm_up_steps": 1},
            "rounds": 3,
            "steps_per_phase": 2,
            "guards": GUARDS,
            "trainer": trainer,
            "output_dir": "run",
        }
    )


WARM_UP, R0, R1, R2 = (
    "rounds/warm-up/checkpoint-1",
    "rounds/00-reverse/checkpoint-5",
    "rounds/01-reverse/checkpoint-9",
    "rounds/02-reverse/checkpoint-13",
)


@pytest.mark.parametrize(
    ("trainer", "done", "stays"),
    [
        pytest.param({}, 7, {R2}, id="the one to go on from"),
        pytest.param({}, 4, {"rounds/01-forward/checkpoint-7"}, id="in the middle of a round"),
        pytest.param({"save_total_limit": 0}, 7, {R2}, id="no other"),
        pytest.param({"save_total_limit": 1}, 7, {R2, R1}, id="one other"),
        pytest.param({"save_total_limit": 1}, 6, {"rounds/02-forward/checkpoint-11", R1}, id="one other, mid-round"),
        pytest.param({"save_total_limit": 9}, 7, {R2, R1, R0, WARM_UP}, id="more than there are"),
        pytest.param({"save_total_limit": None}, 7, {R2, R1, R0, WARM_UP}, id="no limit"),
    ],
)
def test_the_newest_rounds_stay(trainer: dict[str, Any], done: int, stays: set[str]) -> None:
    config = make_config(**trainer)
    state = State(phases_done=done, checkpoint=checkpoint_after(plan(config)[done - 1]))
    assert kept(config, state) == stays


def test_what_was_taken_back_does_not_stay_and_what_is_needed_does() -> None:
    stages = [{"stage": "round-00", "kept": True}, {"stage": "round-01", "kept": False}]
    state = State(phases_done=5, checkpoint=R0, good=R0, stages=stages, best={"checkpoint": WARM_UP})
    assert kept(make_config(), state) == {R0, WARM_UP}
    assert kept(make_config(save_total_limit=None), state) == {R0, WARM_UP}


def test_tidy_removes_what_lies_under_rounds_and_nothing_that_the_state_names(tmp_path: Path) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    folders = [run / R0, run / R1, run / R2, run / "rounds/02-reverse/checkpoint-12.partial", outside]
    for folder in folders:
        folder.mkdir(parents=True)
    (run / "rounds/00-reverse/completions.parquet").touch()
    state = State(phases_done=7, checkpoint=R2, good="../outside")
    tidy(SimpleNamespace(config=make_config(), state=state, folder=SimpleNamespace(path=run)))  # type: ignore[arg-type]
    state.good = None
    tidy(SimpleNamespace(config=make_config(), state=state, folder=SimpleNamespace(path=run)))  # type: ignore[arg-type]
    assert [folder.exists() for folder in folders] == [False, False, True, False, True]
    assert (run / "rounds/00-reverse").is_dir()  # its samples stay
    assert not (run / "rounds/01-reverse").exists()


@pytest.mark.parametrize(
    ("trainer", "values", "best"),
    [
        pytest.param({}, [0.3, 0.5], None, id="no metric"),
        pytest.param({"metric_for_best_model": "forward/rtc"}, [0.3, 0.5, 0.4], "1", id="highest"),
        pytest.param({"metric_for_best_model": "forward/rtc"}, [0.3, 0.5, 0.5], "1", id="the earlier of equals"),
        pytest.param({"metric_for_best_model": "forward/leak_rate"}, [0.3, 0.1, 0.4], "1", id="fewest leaks"),
        pytest.param(
            {"metric_for_best_model": "forward/rtc", "greater_is_better": False}, [0.3, 0.5, 0.1], "2", id="as told"
        ),
    ],
)
def test_the_best_stage(trainer: dict[str, Any], values: list[float], best: str | None) -> None:
    config, state = make_config(**trainer), State()
    for number, value in enumerate(values):
        state.checkpoint = f"rounds/{number}"
        key = trainer.get("metric_for_best_model", "forward/rtc")
        state.best = best_with(config, state, str(number), {key: value})
    assert (state.best and state.best["stage"]) == best
    if state.best and best:
        assert state.best["value"] == values[int(best)]
        assert state.best["checkpoint"] == f"rounds/{best}"


def test_a_value_that_is_no_number_is_never_the_best() -> None:
    config, state = make_config(metric_for_best_model="forward/rtc"), State(checkpoint="x")
    for stage, value in (("ruined", float("nan")), ("good", 0.1), ("ruined again", float("nan"))):
        state.best = best_with(config, state, stage, {"forward/rtc": value})
    assert state.best is not None
    assert state.best["stage"] == "good"


def test_a_metric_without_a_value_is_a_problem() -> None:
    config = make_config(metric_for_best_model="reverse/referee")
    problem = best_problem(config, {"forward/rtc": 0.1, "reverse/rtc": 0.2})
    assert problem is not None
    assert "reverse/referee cannot be measured on the validation items; measured are forward/rtc, reverse" in problem
    assert best_problem(config, {"reverse/referee": 0.1}) is None
    assert best_problem(make_config(), {}) is None
