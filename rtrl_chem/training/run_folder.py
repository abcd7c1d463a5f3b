"""The run folder: who may write into it, what was done already, and the files that every run leaves.

config.yaml (resolved)  environment.json  state.json  metrics.jsonl  rejects.jsonl
rounds/00-forward/{checkpoint-N, completions.parquet}  evaluation/{before,after}/...  evaluation/summary.json  model/
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from rtrl_chem.config import Config, dump_config, load_config
from rtrl_chem.durable import PARTIAL, finite, remove_partials, replacing, write_json, write_text
from rtrl_chem.errors import ResumeError, RunFolderError
from rtrl_chem.locks import LOCK, held
from rtrl_chem.rewards.compose import Judged
from rtrl_chem.training.provenance import environment

__all__ = ["RunFolder", "State", "Watcher", "write_completions", "write_table"]

CONFIG, STATE, METRICS, ENVIRONMENT = "config.yaml", "state.json", "metrics.jsonl", "environment.json"


@dataclass
class State:
    """How far a run has come: finished phases, the checkpoint to go on from, what each phase did, and the fingerprints
    of the files it was started with, by the config's keys.

    `closed` counts the phases whose aftermath is done too: measuring, guards. `stages` are what the guards measured,
    `good` is the checkpoint that they go back to, `stopped` why they ended the run, `best` the stage with the best
    value so far of the metric that the config names. `measured` are the measurements that are done, `resumed` what was
    allowed to be other than before, each time, and after how many phases. `items` are the fingerprints of what is held
    out to measure on, `planned` is the number of phases in all.
    """

    phases_done: int = 0
    checkpoint: str | None = None
    finished: bool = False
    phases: list[dict[str, Any]] = field(default_factory=list)
    contents: dict[str, str] = field(default_factory=dict)
    closed: int = 0
    stages: list[dict[str, Any]] = field(default_factory=list)
    good: str | None = None
    stopped: str | None = None
    measured: list[str] = field(default_factory=list)
    resumed: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    items: dict[str, str] = field(default_factory=dict)
    planned: int = 0

    def measure_anew(self) -> None:
        """Forget what was measured of the start model, and the guards' copy of it; no phase must be done."""
        self.measured, self.stages = [], []
        self.checkpoint = self.good = self.best = None


class Watcher(Protocol):
    """Whoever shows or passes on what a run writes: each line of metrics.jsonl, each image (a PNG)."""

    def row(self, row: dict[str, Any]) -> None: ...

    def image(self, step: int, way: str, png: Path) -> None: ...


class RunFolder:
    """A folder of one run. Only the main process writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.watchers: list[Watcher] = []

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out of the folder while inside. It is made where it is not there, and removed again if
        nothing has been written to it. RunFolderError if another process has it, or if it cannot be written."""
        in_use = (
            f"output_dir {str(self.path)!r} is in use, a run is going on in it; wait for its end, or name another "
            "folder with --set output_dir=..."
        )
        with ExitStack() as stack:
            try:
                stack.enter_context(held(self.path, in_use))
            except OSError as error:
                raise self._unwritable(error) from None
            yield

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Whether a run may use the folder; nothing is changed yet.

        RunFolderError if it is in use and neither flag is given, or is no run's; ResumeError if there is nothing to
        resume.
        """
        in_use = self.path.exists() and (not self.path.is_dir() or any(map(_is_of_use, self.path.iterdir())))
        is_run = self._has_state()
        if resume and not is_run:
            raise ResumeError(f"--resume: {str(self.path)!r} holds no run; leave --resume out to start one")
        if resume and not (self.path / CONFIG).is_file():
            raise ResumeError(f"--resume: {str(self.path)!r} holds no run that had begun; replace it with --overwrite")
        if resume:
            return
        if in_use and not is_run:
            raise RunFolderError(
                f"output_dir {str(self.path)!r} exists and is not a run of rtrl-chem; it is left alone: name another"
            )
        if in_use and not overwrite:
            raise RunFolderError(
                f"output_dir {str(self.path)!r} holds a run already; continue it with --resume, replace it with "
                "--overwrite, or name another folder with --set output_dir=..."
            )

    def create(self, config: Config, state: State) -> None:
        """Begin a run; an earlier run's files are removed. From the first moment on the folder is known for a run's, so
        that one killed here can be replaced."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for path in self.path.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name not in (STATE, LOCK):
                    path.unlink()
            self._write_all(config, state)
            (self.path / METRICS).touch()
        except OSError as error:
            raise self._unwritable(error) from None

    def go_on(self, config: Config, state: State, steps_done: int) -> None:
        """Continue a run after so many steps: what a killed one logged beyond them is forgotten, it is going to be done
        again."""
        try:
            remove_partials(self.path)
            metrics = self.path / METRICS
            lines = metrics.read_text(encoding="utf8").splitlines() if metrics.is_file() else []
            write_text(metrics, "".join(line + "\n" for line in lines if _step_of(line) <= steps_done))
            self._write_all(config, state)
        except OSError as error:
            raise self._unwritable(error) from None

    def _write_all(self, config: Config, state: State) -> None:
        self.save_state(state)
        dump_config(config, self.path / CONFIG)
        write_json(self.path / ENVIRONMENT, environment())

    def _has_state(self) -> bool:
        try:
            return "phases_done" in json.loads((self.path / STATE).read_text(encoding="utf8"))
        except (OSError, ValueError, TypeError):
            return False

    def _unwritable(self, error: OSError) -> RunFolderError:
        return RunFolderError(f"output_dir {str(self.path)!r} cannot be written ({error.strerror or error})")

    def config(self) -> Config:
        """The config of the run in the folder."""
        return load_config(self.path / CONFIG)

    def environment(self) -> dict[str, Any]:
        """Where the run in the folder was running last, {} if it does not say."""
        path = self.path / ENVIRONMENT
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf8")) if path.is_file() else {}
        return found

    def state(self) -> State:
        """How far the run in the folder has come."""
        saved = json.loads((self.path / STATE).read_text(encoding="utf8"))
        return State(**{key: value for key, value in saved.items() if key in State.__dataclass_fields__})

    def save_state(self, state: State) -> None:
        """Write state.json atomically."""
        write_json(self.path / STATE, asdict(state))

    def append_metrics(self, row: dict[str, Any]) -> None:
        """One line of metrics.jsonl, NaN as null, on the disk before the checkpoint of its step is."""
        with open(self.path / METRICS, "a", encoding="utf8") as lines:
            lines.write(_line(row) + "\n")
            lines.flush()
            os.fsync(lines.fileno())
        for watcher in self.watchers:
            watcher.row(row)

    def append_once(self, row: dict[str, Any]) -> None:
        """A line, unless it stands there: a run that was killed comes by the same place again."""
        if _line(row) not in (self.path / METRICS).read_text(encoding="utf8").splitlines():
            self.append_metrics(row)

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return [json.loads(line) for line in (self.path / METRICS).read_text(encoding="utf8").splitlines()]


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
    with replacing(path) as partial:
        pq.write_table(pa.table(columns), partial, compression="zstd")


def _is_of_use(path: Path) -> bool:
    """Whether a file is more than a run leaves that was killed in its first moment."""
    return path.name != LOCK and not (path.name.startswith(STATE) and path.name.endswith(PARTIAL))


def _line(row: dict[str, Any]) -> str:
    return json.dumps(finite(row))


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError):  # a line cut off by the kill
        return float("inf")
