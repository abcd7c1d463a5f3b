"""The run folder: who may write into it, what was done already, and the files that every run leaves.

config.yaml (resolved)  environment.json  state.json  metrics.jsonl  rejects.jsonl
rounds/00-forward/{checkpoint-N, completions.parquet}  evaluation/{before,after}/...  evaluation/summary.json  model/
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from rtrl_chem.config import Config, dump_config, load_config
from rtrl_chem.errors import ResumeError, RunFolderError
from rtrl_chem.rewards.compose import Judged

__all__ = ["RunFolder", "State", "Watcher", "write_completions", "write_table"]

PACKAGES = ("rtrl-chem", "torch", "transformers", "trl", "peft", "accelerate", "datasets", "rdkit", "numpy")
CONFIG, STATE, METRICS = "config.yaml", "state.json", "metrics.jsonl"


@dataclass
class State:
    """How far a run has come: finished phases, the checkpoint to go on from, what each phase did, and the fingerprints
    of the prepared corpora it draws from.

    `closed` counts the phases whose aftermath is done too: measuring, guards. `stages` are what the guards measured,
    `good` is the checkpoint that they go back to, `stopped` why they ended the run.
    """

    phases_done: int = 0
    checkpoint: str | None = None
    finished: bool = False
    phases: list[dict[str, Any]] = field(default_factory=list)
    corpora: dict[str, str] = field(default_factory=dict)
    closed: int = 0
    stages: list[dict[str, Any]] = field(default_factory=list)
    good: str | None = None
    stopped: str | None = None


class Watcher(Protocol):
    """Whoever shows or passes on what a run writes: each line of metrics.jsonl, each image (a PNG)."""

    def row(self, row: dict[str, Any]) -> None: ...

    def image(self, step: int, way: str, png: Path) -> None: ...


class RunFolder:
    """A folder of one run. Only the main process writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.watchers: list[Watcher] = []

    def check(self, config: Config, *, resume: bool, overwrite: bool) -> None:
        """Whether a run may use the folder; nothing is changed yet.

        RunFolderError if it is in use and neither flag is given, or is no run's; ResumeError if there is nothing to
        resume, or the run was made with another config.
        """
        in_use = self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir()))
        is_run = (self.path / CONFIG).is_file() and (self.path / STATE).is_file()
        if resume:
            self._check_resume(config, is_run)
        elif in_use and not is_run:
            raise RunFolderError(
                f"output_dir {str(self.path)!r} exists and is not a run of rtrl-chem; it is left alone: name another"
            )
        elif in_use and not overwrite:
            raise RunFolderError(
                f"output_dir {str(self.path)!r} holds a run already; continue it with --resume, replace it with "
                "--overwrite, or name another folder with --set output_dir=..."
            )

    def _check_resume(self, config: Config, is_run: bool) -> None:
        if not is_run:
            raise ResumeError(f"--resume: {str(self.path)!r} holds no run; leave --resume out to start one")
        before = load_config(self.path / CONFIG)
        # The folder may have been moved, or be named by another path: it is this one.
        saved, given = (one.model_dump(mode="json", exclude={"output_dir"}) for one in (before, config))
        if saved != given:
            keys = ", ".join(_differences(saved, given))
            raise ResumeError(f"--resume: the run was started with another {keys}; restore it or start a new run")

    def open(self, config: Config, state: State, steps_done: int) -> None:
        """Take the folder: emptied for a new run, cleared of a killed phase's traces for one that goes on after so many
        steps."""
        try:
            if state.phases_done:
                self._drop_metrics_after(steps_done)
            elif self.path.exists():
                shutil.rmtree(self.path)
            self.path.mkdir(parents=True, exist_ok=True)
            dump_config(config, self.path / CONFIG)
        except OSError as error:
            reason = error.strerror or error
            raise RunFolderError(f"output_dir {str(self.path)!r} cannot be written ({reason})") from None
        (self.path / METRICS).touch()
        self.write_json("environment.json", _environment())
        self.save_state(state)

    def state(self) -> State:
        """How far the run in the folder has come."""
        return State(**json.loads((self.path / STATE).read_text(encoding="utf8")))

    def save_state(self, state: State) -> None:
        """Write state.json atomically."""
        self.write_json(STATE, asdict(state))

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file in full or not at all."""
        path = self.path / name
        partial = path.with_name(path.name + ".partial")
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf8")
        os.replace(partial, path)

    def append_metrics(self, row: dict[str, Any]) -> None:
        """One line of metrics.jsonl."""
        with open(self.path / METRICS, "a", encoding="utf8") as lines:
            lines.write(json.dumps(row) + "\n")
        for watcher in self.watchers:
            watcher.row(row)

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return [json.loads(line) for line in (self.path / METRICS).read_text(encoding="utf8").splitlines()]

    def _drop_metrics_after(self, step: int) -> None:
        """Forget what a killed phase logged: it is going to be run again."""
        path = self.path / METRICS
        if path.is_file():
            kept = [line for line in path.read_text(encoding="utf8").splitlines() if _step_of(line) <= step]
            path.write_text("".join(line + "\n" for line in kept), encoding="utf8")


def write_completions(path: Path, rows: list[tuple[int, Judged]]) -> None:
    """Every sample of a phase, with its step, verdict and a column for each reward component, as Parquet."""
    columns: dict[str, list[Any]] = {"step": [step for step, _ in rows]}
    for name in Judged.__dataclass_fields__:
        columns[name] = [getattr(one, name) for _, one in rows]
    for name in ("direction", "verdict"):
        columns[name] = [str(value) for value in columns[name]]
    components = columns.pop("components")
    for name in components[0] if components else ():
        columns[name] = [one[name] for one in components]
    write_table(path, columns)


def write_table(path: Path, columns: dict[str, list[Any]]) -> None:
    """A Parquet file, whole or not there; folders are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    pq.write_table(pa.table(columns), partial, compression="zstd")
    os.replace(partial, path)


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError):  # a line cut off by the kill
        return float("inf")


def _differences(a: Any, b: Any, prefix: str = "") -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        keys = sorted(a.keys() | b.keys())
        return [d for key in keys for d in _differences(a.get(key), b.get(key), f"{prefix}{key}.")]
    return [] if a == b else [prefix.rstrip(".")]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _environment() -> dict[str, Any]:
    """What a result depends on beyond the config."""
    return {
        "packages": {package: _version(package) for package in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "command": ["rtrl-chem", *sys.argv[1:]],
        "cpus": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
    }
