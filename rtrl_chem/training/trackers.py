"""Where a run reports to: TensorBoard, W&B, MLflow, ... through accelerate's trackers, on the run's one axis of steps.

One object for the whole run watches the run folder: each line of metrics.jsonl goes to every tracker, its values under
tags in groups (`reward/mean`, `verdict/OK`, `time/update`). In TensorBoard each direction is a curve of its own in a
common chart (`logs/forward`, `logs/reverse`); elsewhere the direction ends the tag (`reward/mean/forward`).

A tracker that fails, at its start or later, is dropped with one warning, and training goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from accelerate.tracking import LOGGER_TYPE_TO_CLASS

from rtrl_chem.config import Config
from rtrl_chem.models.processes import processes
from rtrl_chem.preflight import trackers_of
from rtrl_chem.strict_yaml import dump
from rtrl_chem.tasks import Direction
from rtrl_chem.training.phase import plan

if TYPE_CHECKING:
    from rtrl_chem.training.progress import Display
    from rtrl_chem.training.rounds import Run
    from rtrl_chem.training.run_folder import RunFolder

__all__ = ["Tracker", "Trackers", "note_measurement", "open_trackers", "tagged", "watched"]

PROJECT = "rtrl-chem"
# What metrics.jsonl has and no chart shows: where a row stands, counts that begin anew in every phase, and what another
# key says as well or better.
LEFT_OUT = {
    *("step", "round", "epoch", "num_tokens", "step_time", "rewards/round_trip/mean", "rewards/round_trip/std"),
    *(f"clip_ratio/{name}" for name in ("low_mean", "low_min", "high_mean", "high_max")),
    *(f"completions/{name}_terminated_length" for name in ("mean", "min", "max")),
}
RENAMED = {
    "clip_ratio/region_mean": "policy/clip_ratio",
    "reward": "reward/mean",
    "reward_std": "reward/std",
    "frac_reward_zero_std": "reward/groups_all_equal",
    "distinct_outputs": "reward/distinct_outputs_per_source",
}
DIRECTIONS = tuple(map(str, Direction))

Tagged = dict[str, dict[str, float]]  # by direction, or "" for none or both, then by tag


def tagged(row: Mapping[str, Any]) -> Tagged:
    """The values of a line of metrics.jsonl as a tracker shows them, by direction (`joint` for both at once) and tag.

    >>> tagged({"step": 3, "direction": "forward", "phase": "rl", "kl": 0.1, "reward": 0.5, "reward/format": 1.0})
    {'forward': {'policy/kl': 0.1, 'reward/mean': 0.5, 'component/format': 1.0}}
    >>> tagged({"step": 3, "measured": "validation/round-00", "forward/rtc": 0.25, "guard/texts/accuracy": 0.5})
    {'forward': {'validation/rtc': 0.25}, '': {'validation/guard/texts/accuracy': 0.5}}
    >>> tagged({"step": 3, "event": "rolled back", "stage": "round-00", "reasons": []})
    {'': {'guard/rolled_back': 1.0}}
    """
    if "event" in row:
        return {"": {f"guard/{row['event'].replace(' ', '_')}": 1.0}}
    measured = row.get("measured")
    group = "" if measured is None else "validation" if measured.startswith("validation") else "evaluation"
    found: Tagged = {}
    for key, value in row.items():
        if key in LEFT_OUT or isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        first, _, rest = key.partition("/")
        way, name = (first, rest) if first in DIRECTIONS and rest else (row.get("direction", ""), key)
        tag = f"{group}/{name}" if group else _tag(name)
        found.setdefault(way, {})[tag] = float(value)
    return found


def _tag(name: str) -> str:
    if name in RENAMED:
        return RENAMED[name]
    first, slash, rest = name.partition("/")
    if first == "reward":  # so that no component, whatever its name, is taken for the whole
        return f"component/{rest}"
    return name if slash else f"policy/{name}"


class Tracker(Protocol):
    """One back end. Whatever it raises ends its part in the run."""

    def log(self, way: str, values: dict[str, float], step: int) -> None:
        """Values by tag at a step; `way` is a direction, joint, or "" for what belongs to none."""

    def image(self, way: str, png: Path, step: int) -> None:
        """An image of drawn pairs."""

    def finish(self) -> None:
        """Send what is left."""


class Trackers:
    """All trackers of a run: what watches its folder for them. `warn` gets one line for each that fails."""

    def __init__(self, starts: Mapping[str, Callable[[], Tracker]], warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._open: dict[str, Tracker] = {}
        for name, start in starts.items():
            try:
                self._open[name] = start()
            except Exception as error:  # whatever a back end has to offer: no server, no key, no network
                self._say(name, "could not be started", error)

    def row(self, row: dict[str, Any]) -> None:
        """Pass a line of metrics.jsonl on."""
        found = tagged(row)

        def log(one: Tracker) -> None:
            for way, values in found.items():
                one.log(way, values, row["step"])

        self._each(log)

    def image(self, step: int, way: str, png: Path) -> None:
        """Pass an image on."""
        self._each(lambda one: one.image(way, png, step))

    def finish(self) -> None:
        """Close them all."""
        self._each(lambda one: one.finish())
        self._open = {}

    def _each(self, action: Callable[[Tracker], None]) -> None:
        for name, one in list(self._open.items()):
            try:
                action(one)
            except Exception as error:
                del self._open[name]
                self._say(name, "failed and gets no more of this run", error)

    def _say(self, name: str, what: str, error: Exception) -> None:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        reason = reason if len(reason) <= 200 else reason[:200] + "..."
        self._warn(f"report_to: {name} {what}; training goes on, metrics.jsonl has it all ({reason})")


class _TensorBoard:
    """Event files in a folder for each direction, which TensorBoard shows as curves in one chart. Whatever an earlier
    process logged after step `done` is taken back: it is going to be logged again."""

    def __init__(self, logs: Path, done: int | None, config: Config) -> None:
        self._logs, self._purge = logs, None if done is None else done + 1
        self._writers: dict[str, Any] = {}
        for way in map(str, config.directions) if config.schedule == "alternate" else ["joint"]:
            self._writer(way)
        text = "\n".join("    " + line for line in dump(config.model_dump(mode="json")).splitlines())
        next(iter(self._writers.values())).writer.add_text("config", text)

    def _writer(self, way: str) -> Any:
        if way not in self._writers:
            tracker = LOGGER_TYPE_TO_CLASS["tensorboard"](way or "both", str(self._logs), purge_step=self._purge)
            self._writers[way] = _started(tracker)
        return self._writers[way]

    def log(self, way: str, values: dict[str, float], step: int) -> None:
        self._writer(way).log(values, step=step)

    def image(self, way: str, png: Path, step: int) -> None:
        self._writer(way).log_images({"drawn/pairs": _pixels(png)[None]}, step=step, dataformats="NHWC")

    def finish(self) -> None:
        for one in self._writers.values():
            one.finish()


class _Service:
    """Any other of accelerate's trackers: one run, to which the direction is the end of a tag."""

    def __init__(self, name: str, arguments: dict[str, Any], config: Config) -> None:
        self._name = name
        self._tracker = _started(LOGGER_TYPE_TO_CLASS[name](**arguments))
        self._tracker.store_init_configuration(_flat(config.model_dump(mode="json")))

    def log(self, way: str, values: dict[str, float], step: int) -> None:
        self._tracker.log({f"{tag}/{way}" if way else tag: value for tag, value in values.items()}, step=step)

    def image(self, way: str, png: Path, step: int) -> None:
        tag = f"drawn/{way}"
        if self._name in ("wandb", "swanlab"):
            self._tracker.log_images({tag: [_pixels(png)]}, step=step)
        elif self._name in ("aim", "clearml"):
            self._tracker.log_images({tag: _pixels(png)}, step=step)
        elif self._name == "mlflow":
            self._tracker.log_artifact(str(png), "images")

    def finish(self) -> None:
        self._tracker.finish()


def _started(tracker: Any) -> Any:
    tracker.start()
    return tracker


def _pixels(png: Path) -> Any:
    """(height, width, 3) of uint8."""
    import numpy as np
    from PIL import Image

    with Image.open(png) as image:
        return np.asarray(image.convert("RGB"))


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The keys of a config as `a.b`; a list as text."""
    found: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = str(value) if isinstance(value, (list, tuple)) else value
    return found


def _arguments(name: str, config: Config, logs: Path, run: str) -> dict[str, Any]:
    """What accelerate's tracker is made with; `run` is the name of the run."""
    project = config.trainer.get("project") or os.environ.get(f"{name.upper()}_PROJECT") or PROJECT
    if name == "mlflow":
        # Its own patience, seven tries of two minutes, would be the training's.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        return {"experiment_name": project, "run_name": run}
    if name == "aim":
        return {"run_name": run, "logging_dir": str(logs)}
    own: dict[str, dict[str, Any]] = {
        "wandb": {"name": run, "dir": str(logs)},
        "trackio": {"name": run, "space_id": config.trainer.get("trackio_space_id")},
        "swanlab": {"experiment_name": run, "logdir": str(logs / "swanlab")},
        "clearml": {"project_name": project, "task_name": run},
        "dvclive": {"dir": str(logs / "dvclive")},
    }
    return {"run_name": project} | own.get(name, {})


def open_trackers(config: Config, folder: Path, done: int | None, warn: Callable[[str], None]) -> Trackers:
    """The trackers that the config names, started; `done` is the last step of a run that goes on.

    TensorBoard continues its curves. To the others a resumed run is a run of its own, with the step in its name, so no
    step is there twice.
    """
    name = folder.resolve().name
    elsewhere = os.environ.get("TENSORBOARD_LOGGING_DIR")
    logs = Path(elsewhere, name) if elsewhere else folder / "logs"
    run = config.trainer.get("run_name") or name
    run = run if done is None else f"{run}, from step {done}"

    def start(name: str) -> Tracker:
        logs.mkdir(parents=True, exist_ok=True)
        if name == "tensorboard":
            return _TensorBoard(logs, done, config)
        return _Service(name, _arguments(name, config, logs, run), config)

    return Trackers({name: partial(start, name) for name in trackers_of(config)}, warn)


def note_measurement(run: Run, out: Path, values: Mapping[str, float]) -> None:
    """A line in metrics.jsonl about what was measured into a folder, at the step where the run is; one that was
    written before the run was killed stays alone. Other processes than the main one have no values."""
    if not values:
        return
    step = sum(phase.steps for phase in plan(run.config)[: run.state.phases_done])
    row = {"step": step, "measured": out.relative_to(run.folder.path / "evaluation").as_posix(), **values}
    run.folder.append_once(row)


@contextmanager
def watched(config: Config, folder: RunFolder, display: Display) -> Iterator[None]:
    """Let the display and the trackers watch what the run writes inside; in the main process alone."""
    if not processes().is_main_process:
        yield
        return
    if display.console.quiet:
        os.environ.setdefault("WANDB_SILENT", "true")
    steps = [int(row["step"]) for row in folder.metrics()]
    trackers = open_trackers(config, folder.path, max(steps, default=None), display.warn)
    folder.watchers += [display, trackers]
    try:
        yield
    finally:
        folder.watchers.clear()
        trackers.finish()
