"""The experiment runner: arms and sweeps from YAML, the calls it makes, intervals and the table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import experiment
import numpy as np
import pytest
from experiment import Experiment

REPOSITORY = Path(__file__).parents[3]
YAML = """
config: configs/quickstart.yaml
seeds: [0, 1]
reference: default
metrics: {forward/rtc: round trip}
common: [rounds=1]
arms:
  default: []
sweep:
  temperature:
    0.7: [trainer.temperature=0.7]
    1.0: []
    1.3: [trainer.temperature=1.3]
"""


@pytest.fixture
def small(tmp_path: Path) -> Experiment:
    (tmp_path / "small.yaml").write_text(YAML, encoding="utf8")
    return Experiment.read(tmp_path / "small.yaml")


def test_each_value_of_a_sweep_is_an_arm(small: Experiment) -> None:
    assert small.arms["temperature=0.7"] == ["rounds=1", "trainer.temperature=0.7"]
    assert list(small.arms) == ["default", "temperature=0.7", "temperature=1.0", "temperature=1.3"]


def test_arms_that_are_alike_are_run_once(small: Experiment) -> None:
    alike = {"default": ["default", "temperature=1.0"], "temperature=1.3": ["temperature=1.3"]}
    assert small.distinct(["default", "temperature=1.0", "temperature=1.3"]) == alike


@pytest.mark.parametrize("path", sorted((REPOSITORY / "eval" / "experiments").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_experiments_of_the_repository_are_valid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rtrl_chem.config import load_config

    monkeypatch.chdir(REPOSITORY)
    found = Experiment.read(path)
    assert found.reference in found.arms
    for overrides in found.arms.values():
        load_config(found.config, overrides)


@pytest.mark.parametrize(
    ("state", "calls"),
    [
        pytest.param(None, [[]], id="new"),
        pytest.param({"finished": False}, [["--resume"]], id="killed"),
        pytest.param({"finished": True}, [], id="finished"),
    ],
)
def test_a_finished_run_is_kept_and_a_killed_one_goes_on(
    small: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: Any, calls: list[list[str]]
) -> None:
    folder = tmp_path / "temperature=0.7-1"
    if state is not None:
        folder.mkdir()
        (folder / "state.json").write_text(json.dumps(state), encoding="utf8")
    made: list[tuple[str, ...]] = []

    def call(*command: str) -> float:
        made.append(command)
        folder.mkdir(exist_ok=True)
        return 2.5

    monkeypatch.setattr(experiment, "call", call)
    assert experiment.run_arm(small, "temperature=0.7", 1, tmp_path) == folder
    assert experiment.cpu_seconds(folder) == (2.5 if calls else None)
    assert [list(command[-1:]) if command[-1] == "--resume" else [] for command in made] == calls
    assert all("trainer.temperature=0.7" in command and "seed=1" in command for command in made)


def test_a_call_that_fails_is_an_error_and_one_that_does_not_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "PROGRAM", [sys.executable, "-c", "import sys; sys.exit(int(sys.argv[1]))"])
    assert 0 < experiment.call("0") < 10
    with pytest.raises(subprocess.CalledProcessError):
        experiment.call("3")


def test_an_interval_holds_the_mean_and_widens_with_the_spread_between_seeds() -> None:
    rng = np.random.default_rng(1)
    alike = rng.normal(0.1, 1, (1, 400)).repeat(3, axis=0)
    apart = alike + np.array([[-0.2], [0.0], [0.2]])
    low, high = experiment.interval(alike, 500)
    wider_low, wider_high = experiment.interval(apart, 500)
    assert low < alike.mean() < high
    assert wider_high - wider_low > 1.2 * (high - low)


def test_the_table_pairs_every_arm_with_the_reference(small: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    gains = {"default": 1.0, "temperature=0.7": 0.25, "temperature=1.0": 0.5, "temperature=1.3": 0.0}

    def fake(task: Any, start: Path, run: Path, direction: str, metric: str) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(4), np.full(4, gains[run.name])

    monkeypatch.setattr(experiment, "differences", fake)
    monkeypatch.setattr(experiment, "cpu_seconds", lambda run: 7.0)
    results = experiment.summarise(small, Path("start"), {arm: [Path(arm), Path(arm)] for arm in gains})
    assert results["temperature=0.7"]["ahead"]["round trip"]["gain"] == 0.75
    assert "ahead" not in results["default"] or not results["default"]["ahead"]
    table = experiment.as_markdown(small, results)
    assert "| round trip | temperature=0.7 | 0.0 | 25.0 | +25.0 [+25.0, +25.0] | +25.0, +25.0 | +75.0 " in table


def test_a_bar_in_an_arms_name_does_not_end_its_cell(small: Experiment) -> None:
    row = {"before": 0.1, "after": 0.2, "gain": 0.1, "low": 0.0, "high": 0.2, "per_seed": [0.1]}
    results = {"p(x | y)": {"seconds": [7.0], "metrics": {"round trip": row}, "ahead": {}}}
    assert r"| round trip | p(x \| y) | 10.0 | 20.0 |" in experiment.as_markdown(small, results)


def test_the_figure_of_a_sweep_is_written(small: Experiment, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    row = {"gain": 0.1, "low": 0.05, "high": 0.2}
    experiment.draw(small, {arm: {"metrics": {"round trip": row}} for arm in small.arms}, tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").stat().st_size > 5_000
