"""The runs in a folder, and two of them side by side; read from their files alone, without torch."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from rtrl_chem import strict_yaml
from rtrl_chem.durable import finite
from rtrl_chem.errors import RunFolderError
from rtrl_chem.reporting.progress import progress_line
from rtrl_chem.terminal import Console

__all__ = ["RunRecord", "compare_runs", "list_runs", "read_run"]

CONFIG, STATE, METRICS = "config.yaml", "state.json", "metrics.jsonl"
NEEDED = ("task", "model", "algorithm", "rounds", "directions", "seed")
HEADLINE = ("rtc", "exact_match", "referee", "leak_rate")


@dataclass(frozen=True)
class RunRecord:
    """A run as its folder tells it. `phases` is how many the config asks for, `stopped` why the guards ended it before.
    `metrics` is the newest measurement: "direction metric" -> (label, value), shares between 0 and 1; `gains` the
    difference to the one before training with its interval: (difference, low, high)."""

    path: Path
    config: dict[str, Any]
    finished: bool
    stopped: str | None
    phases_done: int
    phases: int
    step: int
    written: float  # seconds since the epoch
    metrics: dict[str, tuple[str, float]]
    gains: dict[str, tuple[float, float, float]]

    @property
    def status(self) -> str:
        """finished, stopped early, or how far it is."""
        if self.finished:
            return "stopped early" if self.stopped else "finished"
        return f"phase {self.phases_done}/{self.phases}"

    @property
    def best(self) -> tuple[str, float] | None:
        """The measured metric to look at first: round-trip consistency in the first direction that was trained."""
        first = f"{self.config['directions'][0]} rtc"
        return self.metrics.get(first)

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints of it."""
        return {
            "path": str(self.path),
            "task": self.config["task"],
            "model": self.config["model"]["path"],
            "algorithm": self.config["algorithm"],
            "seed": self.config["seed"],
            "finished": self.finished,
            "stopped": self.stopped,
            "phases_done": self.phases_done,
            "phases": self.phases,
            "step": self.step,
            "written": self.written,
            "metrics": finite({name: value for name, (_, value) in self.metrics.items()}),
            "gains": {
                name: dict(zip(("gain", "low", "high"), finite(gain), strict=True)) for name, gain in self.gains.items()
            },
        }


def read_run(path: Path) -> RunRecord:
    """The run in a folder; RunFolderError if it holds none, or one that cannot be read."""
    if not ((path / CONFIG).is_file() and (path / STATE).is_file()):
        raise RunFolderError(
            f"{str(path)!r} is no run folder ({CONFIG} or {STATE} is missing); give a run's output_dir"
        )
    try:
        config, _ = strict_yaml.parse((path / CONFIG).read_text(encoding="utf8"))
        state = json.loads((path / STATE).read_text(encoding="utf8"))
        metrics, gains = _measured(path / "evaluation")
        return RunRecord(
            path=path,
            config={key: config[key] for key in NEEDED} | config,
            finished=bool(state["finished"]),
            stopped=state.get("stopped"),
            phases_done=int(state["phases_done"]),
            phases=int(state.get("planned") or config["rounds"] * len(config["directions"])),
            step=_last_step(path / METRICS),
            written=max(file.stat().st_mtime for file in (path / STATE, path / METRICS) if file.is_file()),
            metrics=metrics,
            gains=gains,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunFolderError(
            f"the run in {str(path)!r} cannot be read ({error!r}); remove it or run it again"
        ) from None


def list_runs(root: Path, *, as_json: bool = False) -> None:
    """Print every run under a folder, the newest last. RunFolderError if the folder is missing."""
    if not root.is_dir():
        raise RunFolderError(f"no folder {str(root)!r}; give the folder that holds the runs with --in")
    runs, broken = [], []
    console = Console(stderr=True)
    folders = [path.parent for path in sorted(root.rglob(CONFIG)) if (path.parent / STATE).is_file()]
    with progress_line(console) as show:
        for number, folder in enumerate(folders):
            show("reading runs", number, len(folders))
            try:
                runs.append(read_run(folder))
            except RunFolderError as error:
                broken.append(str(error))
    runs.sort(key=lambda run: run.written)
    for problem in broken:
        console.print(Text(f"left out: {problem}"), soft_wrap=True)
    if as_json:
        print(json.dumps([run.to_json() for run in runs], indent=2))
    elif runs:
        _console().print(_overview(runs, root))
    else:
        console.print(Text(f"no runs in {root}"))


def compare_runs(a: Path, b: Path, *, as_json: bool = False) -> None:
    """Print where the configs of two runs differ, and their newest measurements side by side."""
    one, two = read_run(a), read_run(b)
    settings = config_differences(one.config, two.config)
    if as_json:
        print(json.dumps({"config": settings, "a": one.to_json(), "b": two.to_json()}, indent=2))
        return
    console = _console()
    console.print(Text(f"A is {a} ({one.status}), B is {b} ({two.status})"), soft_wrap=True)
    if settings:
        console.print(_settings_table(settings))
    else:
        console.print("Both ran with the same config.")
    console.print(_metrics_table(one, two))


def config_differences(a: dict[str, Any], b: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> (value in a, value in b) where they differ; None where a key is missing. Not the output_dir."""
    left, right = _flat(a), _flat(b)
    keys = [key for key in dict.fromkeys([*left, *right]) if key != "output_dir"]
    return {key: (left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)}


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {k: v for key, inner in value.items() for k, v in _flat(inner, f"{prefix}{key}.").items()}
    return {prefix[:-1]: value}


def _last_step(path: Path) -> int:
    """The step of the last whole line of metrics.jsonl, 0 without one."""
    if not path.is_file():
        return 0
    with open(path, encoding="utf8") as lines:
        for line in reversed(deque(lines, maxlen=2)):  # a killed run's last line may be cut off
            try:
                return int(json.loads(line)["step"])
            except (ValueError, KeyError):
                continue
    return 0


def _measured(folder: Path) -> tuple[dict[str, tuple[str, float]], dict[str, tuple[float, float, float]]]:
    metrics: dict[str, tuple[str, float]] = {}
    measurements = [path for path in folder.glob("*") if any(path.glob("*/metrics.json"))]
    if measurements:
        newest = max(measurements, key=lambda path: max(file.stat().st_mtime for file in path.glob("*/metrics.json")))
        for file in sorted(newest.glob("*/metrics.json")):
            for name, found in json.loads(file.read_text(encoding="utf8"))["metrics"].items():
                if found is not None and "value" in found:
                    metrics[f"{file.parent.name} {name}"] = found["label"], float(found["value"])
    gains: dict[str, tuple[float, float, float]] = {}
    if (folder / "summary.json").is_file():
        directions = json.loads((folder / "summary.json").read_text(encoding="utf8"))["directions"]
        for direction, changes in directions.items():
            for name, change in changes["metrics"].items():
                if change is not None:
                    gains[f"{direction} {name}"] = change["difference"], change["low"], change["high"]
    return metrics, gains


def _console() -> Console:
    """Of a terminal's width, and wide enough for whole lines in a file or a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def _overview(runs: list[RunRecord], root: Path) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("run", "what", "state", "step", "round trip", "age"):
        right = name in ("step", "round trip", "age")
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "what")
    for run in runs:
        gain = run.gains.get(f"{run.config['directions'][0]} rtc")
        change = f" ({100 * gain[0]:+.1f})" if gain else ""
        table.add_row(
            Text(str(run.path.relative_to(root))),
            Text(f"{run.config['task']} {run.config['algorithm']}"),
            Text(run.status),
            f"{run.step:,}",
            Text(f"{run.best[1]:.1%}{change}" if run.best else "-"),
            _age(run.written),
        )
    return table


def _settings_table(settings: dict[str, tuple[Any, Any]]) -> Table:
    table = Table("config key", "A", "B", box=box.SIMPLE_HEAD)
    for key, values in settings.items():
        table.add_row(Text(key), *(Text("-" if value is None else str(value)) for value in values))
    return table


def _metrics_table(a: RunRecord, b: RunRecord) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("newest measurement")
    for side in ("A", "A's gain", "B", "B's gain"):
        table.add_column(side, justify="right")
    # Of two tasks a metric of one name is two metrics: their labels differ.
    both = {(name, label): None for run in (a, b) for name, (label, _) in run.metrics.items()}
    for name, label in both:
        direction, metric = name.split(" ", 1)
        if metric in HEADLINE:
            cells = [cell for run in (a, b) for cell in _cells(run, name, label)]
            table.add_row(Text(f"{direction}: {label}"), *map(Text, cells))
    return table


def _cells(run: RunRecord, name: str, label: str) -> tuple[str, str]:
    """A run's value and gain of a metric that it calls so, as text."""
    known, value = run.metrics.get(name, ("", 0.0))
    return (f"{value:.1%}", _points(run.gains.get(name))) if known == label else ("-", "-")


def _points(gain: tuple[float, float, float] | None) -> str:
    return "-" if gain is None else f"{100 * gain[0]:+.1f} [{100 * gain[1]:+.1f}, {100 * gain[2]:+.1f}]"


def _age(then: float) -> str:
    seconds = max(0.0, time.time() - then)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
