"""What of a run can be gone on with after its config has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rtrl_chem.config import Config, config_from_mapping
from rtrl_chem.errors import ResumeError
from rtrl_chem.training.resume import Start, compare_items, resumed
from rtrl_chem.training.run_folder import RunFolder, State

REGIMES = ["supervised", "synthetic", "self_supervised"]


def make_config(folder: Path, **changes: Any) -> Config:
    raw = {
        "task": "naming",
        "model": {"path": "unused"},
        "data": {"molecules": "unused.smi", "pairs": "unused.tsv"},
        "regime": REGIMES,
        "rounds": 3,
        "steps_per_phase": 4,
        "output_dir": str(folder),
    }
    return config_from_mapping(raw | changes)


@pytest.mark.parametrize(
    ("done", "changes", "allowed"),
    [
        pytest.param(5, {"rounds": 1}, "rounds", id="fewer rounds than are done"),
        pytest.param(1, {"supervised": {"warm_up_steps": 7}}, "supervised", id="another warm-up"),
        pytest.param(3, {"synthetic": {"steps": 9}}, "synthetic", id="other steps of made pairs"),
    ],
)
def test_phases_that_are_done_cannot_become_others(
    tmp_path: Path, done: int, changes: dict[str, Any], allowed: str
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(make_config(tmp_path), State(phases_done=done))
    with pytest.raises(ResumeError, match=rf"with {allowed}.* the {done} phases that are done would have been others"):
        resumed(make_config(tmp_path, **changes), folder, [allowed])


@pytest.mark.parametrize(
    ("done", "changes", "allowed"),
    [
        pytest.param(3, {"rounds": 9}, "rounds", id="more rounds"),
        pytest.param(0, {"synthetic": {"steps": 9}}, "synthetic", id="before any phase is done"),
        pytest.param(3, {"seed": 5}, "seed", id="another seed for what is to come"),
    ],
)
def test_phases_to_come_may_be_others(tmp_path: Path, done: int, changes: dict[str, Any], allowed: str) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(make_config(tmp_path), State(phases_done=done))
    start = resumed(make_config(tmp_path, **changes), folder, [allowed])
    assert [one["phases_done"] for one in start.state.resumed] == [done]


def begun(done: int, **more: Any) -> Start:
    state = State(phases_done=done, measured=["before"], items={"held_out": "a"}, checkpoint="c", good="c")
    return Start(state, **more)


@pytest.mark.parametrize("done", [0, 1])
def test_a_run_with_the_same_items_goes_on(done: int) -> None:
    start = compare_items(begun(done), {"held_out": "a"})
    assert (start.goes_on, start.state.measured, start.state.checkpoint) == (True, ["before"], "c")


def test_other_items_are_measured_before_the_first_phase_is_done() -> None:
    start = compare_items(begun(0), {"held_out": "b"})
    assert (start.goes_on, start.state.measured, start.state.checkpoint) == (False, [], None)
    assert start.state.items == {"held_out": "b"}


def test_another_start_model_is_measured_too() -> None:
    assert compare_items(begun(0, measured=False), {"held_out": "a"}).state.measured == []
    assert compare_items(begun(1, measured=False), {"held_out": "a"}).state.measured == ["before"]


def test_what_was_measured_on_other_items_cannot_be_compared() -> None:
    with pytest.raises(ResumeError, match="other items are held out"):
        compare_items(begun(1), {"held_out": "b"})


def test_guards_that_are_turned_on_change_what_is_trained_on() -> None:
    start = compare_items(begun(1), {"held_out": "a", "validation": "v"})
    assert (start.goes_on, start.state.measured) == (False, ["before"])


def test_a_run_of_an_earlier_version_does_not_know_its_items() -> None:
    start = compare_items(Start(State(phases_done=1, measured=["before"])), {"held_out": "a"})
    assert start.goes_on
    assert start.state.items == {"held_out": "a"}
