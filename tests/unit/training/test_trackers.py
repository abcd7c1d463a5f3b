"""Where a run reports to: tags, one axis of steps over a resume, and trackers that are down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from accelerate.tracking import LOGGER_TYPE_TO_CLASS
from PIL import Image

from rtrl_chem.config import Config, config_from_mapping
from rtrl_chem.models.processes import processes
from rtrl_chem.training.run_folder import RunFolder, State
from rtrl_chem.training.trackers import Trackers, note_measurement, open_trackers, tagged


@pytest.fixture(autouse=True)
def _alone() -> None:
    """accelerate's trackers ask which process they are in."""
    processes()


def make_config(report_to: Any = "tensorboard", **changes: Any) -> Config:
    return config_from_mapping(
        {
            "task": "naming",
            "model": {"path": "unused"},
            "data": {"molecules": "unused.smi"},
            "trainer": {"report_to": report_to},
            "rounds": 2,
            "steps_per_phase": 2,
            "output_dir": "unused",
        }
        | changes
    )


def step_row(step: int, direction: str = "forward", **values: float) -> dict[str, Any]:
    return {"step": step, "round": 0, "direction": direction, "phase": "rl", "epoch": 0.5} | values


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(
            step_row(1, reward=0.5, **{"reward/mean": 0.1, "verdict/OK": 1.0}),
            {"forward": {"reward/mean": 0.5, "component/mean": 0.1, "verdict/OK": 1.0}},
            id="a component that is called as the whole",
        ),
        pytest.param(
            step_row(1, "joint", **{"kl": 0.2, "reverse/verdict/OK": 1.0, "reverse_model/remembered": 0.5}),
            {"joint": {"policy/kl": 0.2, "reverse_model/remembered": 0.5}, "reverse": {"verdict/OK": 1.0}},
            id="both directions in one batch",
        ),
        pytest.param(
            step_row(1, step_time=1.0, num_tokens=5.0, **{"rewards/round_trip/mean": 1.0}), {}, id="what others say"
        ),
        pytest.param({"step": 4, "measured": "round-00", "forward/rtc": 0.5}, {"forward": {"evaluation/rtc": 0.5}}),
    ],
)
def test_tags(row: dict[str, Any], expected: dict[str, Any]) -> None:
    assert tagged(row) == expected


# ---- trackers that are down -----------------------------------------------------------------------------------------


class Recorder:
    """A tracker that keeps what it gets, and fails at its `fails_at`-th call."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.calls: list[tuple[str, int | None]] = []
        self.fails_at = fails_at

    def _call(self, what: str, step: int | None = None) -> None:
        self.calls.append((what, step))
        if len(self.calls) == self.fails_at:
            raise ConnectionError("no route\nto host " + "x" * 500)

    def log(self, way: str, values: dict[str, float], step: int) -> None:
        self._call("log", step)

    def image(self, way: str, png: Path, step: int) -> None:
        self._call("image", step)

    def finish(self) -> None:
        self._call("finish")


def down() -> Any:
    raise OSError("server down")


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4], ids=["first line", "an image", "a later line", "the end"])
def test_a_tracker_that_fails_is_dropped_with_one_warning_and_the_others_go_on(tmp_path: Path, fails_at: int) -> None:
    warnings: list[str] = []
    bad, good = Recorder(fails_at), Recorder()
    trackers = Trackers({"bad": lambda: bad, "down": down, "good": lambda: good}, warnings.append)
    trackers.row(step_row(1, loss=1.0))
    trackers.image(1, "forward", tmp_path)
    trackers.row(step_row(2, loss=1.0))
    trackers.finish()
    assert good.calls == [("log", 1), ("image", 1), ("log", 2), ("finish", None)]
    assert bad.calls == good.calls[:fails_at]
    assert [warning.split()[1] for warning in warnings] == ["down", "bad"]
    assert all("\n" not in warning and len(warning) < 350 for warning in warnings)


# ---- TensorBoard ----------------------------------------------------------------------------------------------------


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [(one.step, one.value) for one in events.Scalars(tag)]


def test_a_resumed_run_goes_on_where_the_last_kept_step_was(tmp_path: Path) -> None:
    first = open_trackers(make_config(), tmp_path, None, pytest.fail)
    for step in (1, 2, 3, 4):
        first.row(step_row(step, "forward" if step < 3 else "reverse", loss=1.0))
    # Killed in step 5: nothing is finished. What came after step 3 was not kept.
    second = open_trackers(make_config(), tmp_path, 3, pytest.fail)
    for step in (4, 5):
        second.row(step_row(step, "reverse" if step < 5 else "forward", loss=2.0))
    second.finish()
    assert scalars(tmp_path / "logs" / "forward", "policy/loss") == [(1, 1.0), (2, 1.0), (5, 2.0)]
    assert scalars(tmp_path / "logs" / "reverse", "policy/loss") == [(3, 1.0), (4, 2.0)]


def test_runs_that_log_to_one_place_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "all"))
    for name in ("a", "b"):
        open_trackers(make_config(), tmp_path / "runs" / name, None, pytest.fail).finish()
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["a", "b"]
    assert (tmp_path / "all" / "a" / "forward").is_dir()


def test_tensorboard_shows_images_and_the_config(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    Image.new("RGB", (6, 4)).save(tmp_path / "a.png")
    trackers = open_trackers(make_config(schedule="joint"), tmp_path, None, pytest.fail)
    trackers.image(5, "joint", tmp_path / "a.png")
    trackers.finish()
    events = EventAccumulator(str(tmp_path / "logs" / "joint"))
    events.Reload()
    [image] = events.Images("drawn/pairs")
    assert (image.step, image.width, image.height) == (5, 6, 4)
    assert "config/text_summary" in events.Tags()["tensors"]


@pytest.mark.parametrize("report_to", ["none", None, []])
def test_none_leaves_nothing(tmp_path: Path, report_to: Any) -> None:
    trackers = open_trackers(make_config(report_to), tmp_path, None, pytest.fail)
    trackers.row(step_row(1, loss=1.0))
    trackers.finish()
    assert list(tmp_path.iterdir()) == []


# ---- services -------------------------------------------------------------------------------------------------------


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """`service("wandb")`: what accelerate's tracker of that name is made with and gets."""

    def replace(name: str) -> Any:
        seen = SimpleNamespace(made={}, config={}, logged=[], images={})

        class Fake:
            def __init__(self, **arguments: Any) -> None:
                seen.made = arguments

            def start(self) -> None: ...

            def store_init_configuration(self, values: dict[str, Any]) -> None:
                seen.config = values

            def log(self, values: dict[str, float], step: int) -> None:
                seen.logged.append((step, values))

            def log_images(self, values: dict[str, Any], step: int) -> None:
                seen.images |= values

            def log_artifact(self, path: str, folder: str) -> None:
                seen.images[folder] = path

            def finish(self) -> None: ...

        monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, name, Fake)
        return seen

    return replace


def test_a_service_gets_the_direction_in_the_tag_and_a_resumed_run_under_a_name_of_its_own(
    service: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    seen, folder = service("wandb"), tmp_path / "quick"
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png")
    trackers = open_trackers(make_config(["wandb"], directions=["reverse"]), folder, 40, pytest.fail)
    trackers.row(step_row(41, "reverse", reward=0.5))
    trackers.image(41, "reverse", tmp_path / "a.png")
    assert seen.made == {"run_name": "mine", "name": "quick, from step 40", "dir": str(folder / "logs")}
    assert seen.logged == [(41, {"reward/mean/reverse": 0.5})]
    assert (seen.config["task"], seen.config["directions"]) == ("naming", "['reverse']")
    assert np.shape(seen.images["drawn/reverse"]) == (1, 4, 6, 3)


def test_mlflow_gets_images_as_files(service: Callable[[str], Any], tmp_path: Path) -> None:
    seen = service("mlflow")
    trackers = open_trackers(make_config("mlflow"), tmp_path / "quick", None, pytest.fail)
    trackers.image(1, "forward", tmp_path / "a.png")
    assert seen.made == {"experiment_name": "rtrl-chem", "run_name": "quick"}
    assert seen.images == {"images": str(tmp_path / "a.png")}


# ---- measurements ---------------------------------------------------------------------------------------------------


def test_a_measurement_stands_once_at_the_step_where_the_run_is(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    config = make_config(output_dir=str(folder.path))
    folder.create(config, State())
    run: Any = SimpleNamespace(config=config, folder=folder, state=State(phases_done=3))
    evaluation = folder.path / "evaluation"
    for _ in range(2):  # killed after the measurement, and measured again
        note_measurement(run, evaluation / "validation" / "round-01", {"forward/rtc": 0.5})
    note_measurement(run, evaluation / "after", {"forward/rtc": 0.75})
    note_measurement(run, evaluation / "elsewhere", {})
    assert folder.metrics() == [
        {"step": 6, "measured": "validation/round-01", "forward/rtc": 0.5},
        {"step": 6, "measured": "after", "forward/rtc": 0.75},
    ]
