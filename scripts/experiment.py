"""Run an experiment: every arm with every seed, then the table of gains with intervals, and a figure of a sweep.

    python scripts/experiment.py eval/experiments/reproduce.yaml            # every arm and seed
    python scripts/experiment.py eval/experiments/reproduce.yaml --seeds 0  # less

Each arm is one `rtrl-chem train` on the experiment's config with the arm's overrides (as for `--set`), one thread each,
as many at a time as there are cores. The start model, which all of them share, is measured once. Runs that are finished
are kept, killed ones go on where they stopped. Results go beside the experiment: NAME.json, NAME.md and, where it has a
sweep, NAME.png.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rtrl_chem.evaluation.files import METRICS_FILE, PREDICTIONS_FILE, read_predictions
from rtrl_chem.evaluation.measure import score_items
from rtrl_chem.reporting.markdown import plain
from rtrl_chem.tasks import Direction, Task, load_task

COST = "cost.json"
PROGRAM = [sys.executable, "-m", "rtrl_chem"]


@dataclass(frozen=True)
class Experiment:
    """What an experiment's YAML says. `common` are overrides of every arm. A sweep changes one thing at a time: each
    value is an arm, called `axis=value`."""

    config: Path
    seeds: list[int]
    reference: str
    metrics: dict[str, str]  # direction/metric -> label
    common: list[str]  # overrides
    arms: dict[str, list[str]]
    sweep: dict[str, dict[str, list[str]]]  # label of an axis -> value -> overrides

    @classmethod
    def read(cls, path: Path) -> Experiment:
        """The experiment in a file."""
        raw: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf8"))
        sweep = raw.get("sweep", {})
        own = raw.get("arms", {}) | {f"{axis}={v}": given for axis, vs in sweep.items() for v, given in vs.items()}
        common = raw.get("common", [])
        arms = {name: [*common, *overrides] for name, overrides in own.items()}
        return cls(Path(raw["config"]), raw["seeds"], raw["reference"], raw["metrics"], common, arms, sweep)

    def distinct(self, arms: list[str]) -> dict[str, list[str]]:
        """The first of the arms with equal overrides -> all of them: a sweep's default is run once."""
        alike: dict[tuple[str, ...], list[str]] = {}
        for arm in arms:
            alike.setdefault(tuple(self.arms[arm]), []).append(arm)
        return {names[0]: names for names in alike.values()}

    @property
    def raw(self) -> dict[str, Any]:
        """Its config as it is written."""
        found: dict[str, Any] = yaml.safe_load(self.config.read_text(encoding="utf8"))
        return found

    @property
    def task(self) -> Task:
        """The task of its config."""
        return load_task(self.raw["task"])


def measure_start(experiment: Experiment, folder: Path) -> Path:
    """Measure the model that every arm starts from, in the folder that is returned."""
    out = folder / "start"
    if not all((out / direction.value / METRICS_FILE).is_file() for direction in Direction):
        sets = [part for one in experiment.common if one.startswith("evaluation.") for part in ("--set", one)]
        model = experiment.raw["model"]["path"]
        call("evaluate", str(experiment.config), "--model", model, "--out", str(out), *sets)
    return out


def call(*arguments: str) -> float:
    """`rtrl-chem` with these arguments, on one thread; the CPU seconds it took, which other work on the machine does
    not lengthen as it does wall-clock time."""
    print("rtrl-chem", *arguments, flush=True)
    command = [*PROGRAM, *arguments]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    _, status, used = os.wait4(process.pid, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise subprocess.CalledProcessError(code, command)
    return used.ru_utime + used.ru_stime


def run_arm(experiment: Experiment, arm: str, seed: int, folder: Path) -> Path:
    """Train one arm with one seed, or go on with it; returns its run folder."""
    name = re.sub(r"[^\w.=+-]+", "-", arm).strip("-")
    out = folder / f"{name}-{seed}"
    state = out / "state.json"
    if state.is_file() and json.loads(state.read_text(encoding="utf8"))["finished"]:
        return out
    overrides = [*experiment.arms[arm], f"seed={seed}", f"output_dir={out}", "evaluation.before=false"]
    resume = ["--resume"] if state.is_file() else []
    sets = [part for override in overrides for part in ("--set", override)]
    seconds = call("train", str(experiment.config), "--quiet", *sets, *resume)
    earlier = cpu_seconds(out) or 0.0
    (out / COST).write_text(json.dumps({"cpu_seconds": earlier + seconds}) + "\n", encoding="utf8")
    return out


def differences(
    task: Task, start: Path, run: Path, direction: str, metric: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """Per-item scores (before, after), each (items,), in the same order; None where the metric was not measured."""
    found = []
    for measured in (start, run / "evaluation" / "after"):
        predictions = read_predictions(measured / direction / PREDICTIONS_FILE)
        ordered = sorted(predictions, key=lambda p: (p.source, p.target or ""))
        found.append(score_items(task, Direction(direction), ordered)[metric].values)
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def interval(gains: np.ndarray, resamples: int = 10_000) -> tuple[float, float]:
    """95% interval of the mean of gains (seeds, items): both seeds and items are resampled, so that it speaks for other
    seeds and other molecules than these."""
    rng = np.random.default_rng(0)
    seeds, items = gains.shape
    means = np.empty(resamples)
    for i in range(resamples):
        weights = rng.multinomial(items, np.full(items, 1 / items)) / items
        means[i] = gains[rng.integers(seeds, size=seeds)].mean(0) @ weights
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def summarise(experiment: Experiment, start: Path, runs: dict[str, list[Path]]) -> dict[str, dict]:
    """Mean before, mean after, gain with interval and per seed, for each arm and metric, and how far the reference arm
    is ahead of it (seeds and items paired); CPU seconds per run."""
    task, reference = experiment.task, experiment.reference
    results: dict[str, dict] = {
        arm: {"seconds": [cpu_seconds(run) for run in folders], "metrics": {}, "ahead": {}}
        for arm, folders in runs.items()
    }
    for key, label in experiment.metrics.items():
        gains: dict[str, np.ndarray] = {}
        for arm, folders in runs.items():
            pairs = [differences(task, start, run, *key.split("/")) for run in folders]
            if any(pair is None for pair in pairs):
                continue
            before, after = (np.stack([pair[i] for pair in pairs if pair]) for i in (0, 1))
            gains[arm] = after - before
            levels = {"before": float(before.mean()), "after": float(after.mean()), "items": before.shape[1]}
            per_seed = [float(gain) for gain in gains[arm].mean(1)]
            results[arm]["metrics"][label] = levels | with_interval(gains[arm]) | {"per_seed": per_seed}
        for arm in gains:
            if arm != reference and reference in gains:
                results[arm]["ahead"][label] = with_interval(gains[reference] - gains[arm])
    return results


def with_interval(gains: np.ndarray) -> dict[str, float]:
    """The mean of gains (seeds, items) and its interval."""
    low, high = interval(gains)
    return {"gain": float(gains.mean()), "low": low, "high": high}


def cpu_seconds(run: Path) -> float | None:
    """CPU seconds of a run from its start to its end, the measuring afterwards included; None where nobody noted it."""
    path = run / COST
    return float(json.loads(path.read_text(encoding="utf8"))["cpu_seconds"]) if path.is_file() else None


def as_markdown(experiment: Experiment, results: dict[str, dict]) -> str:
    """The table: a row per metric and arm, in per cent and percentage points."""
    head = ["metric", "arm", "before", "after", "gain [95% interval]", "gain of each seed"]
    head.append(f"{plain(experiment.reference)} is ahead by")
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for label in experiment.metrics.values():
        for arm, result in results.items():
            if row := result["metrics"].get(label):
                seeds = ", ".join(f"{100 * gain:+.1f}" for gain in row["per_seed"])
                levels = f"{100 * row['before']:.1f} | {100 * row['after']:.1f}"
                ahead = points(result["ahead"].get(label))
                lines.append(f"| {plain(label)} | {plain(arm)} | {levels} | {points(row)} | {seeds} | {ahead} |")
    times = "; ".join(f"{plain(arm)} {', '.join(map(_seconds, result['seconds']))}" for arm, result in results.items())
    return "\n".join([*lines, "", f"CPU time of each seed's run, start and measuring included: {times}.", ""])


def _seconds(one: float | None) -> str:
    return "not noted" if one is None else f"{one:.0f} s"


def points(row: dict[str, float] | None) -> str:
    """A gain and its interval in percentage points; nothing for no row."""
    return f"{100 * row['gain']:+.1f} [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]" if row else ""


def draw(experiment: Experiment, results: dict[str, dict], path: Path) -> None:
    """One panel for each axis of the sweep: the gain of every metric, with its interval, over the axis's values."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(experiment.sweep), figsize=(4 * len(experiment.sweep), 4), sharey=True)
    for panel, (axis, values) in zip(np.atleast_1d(panels), experiment.sweep.items(), strict=True):
        for shift, label in enumerate(experiment.metrics.values()):
            rows = [results[f"{axis}={value}"]["metrics"].get(label) for value in values]
            kept = [(x + 0.06 * shift, row) for x, row in enumerate(rows) if row]
            gains = 100 * np.array([row["gain"] for _, row in kept])
            ends = 100 * np.array([[row["low"] for _, row in kept], [row["high"] for _, row in kept]])
            errors = np.abs(ends - gains)
            panel.errorbar([x for x, _ in kept], gains, errors, marker="o", capsize=3, linewidth=1, label=label)
        panel.axhline(0, color="grey", linewidth=0.8)
        panel.set_xticks(range(len(values)), list(map(str, values)))
        panel.set_xlabel(axis)
    np.atleast_1d(panels)[0].set_ylabel("gain, percentage points")
    handles, labels = np.atleast_1d(panels)[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=2, frameon=False)
    figure.tight_layout(rect=(0, 0.04 * (len(labels) // 2 + 2), 1, 1))
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run what is missing, then write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--arms", nargs="+")
    parser.add_argument("--runs", type=Path, help="default: runs/NAME")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, help="folder of the results; default: that of the experiment")
    args = parser.parse_args()
    experiment = Experiment.read(args.experiment)
    arms = args.arms or list(experiment.arms)
    if unknown := set(arms) - set(experiment.arms):
        parser.error(f"--arms: no arm {', '.join(sorted(unknown))}; there are {', '.join(experiment.arms)}")
    folder = args.runs or Path("runs") / args.experiment.stem
    folder.mkdir(parents=True, exist_ok=True)
    start = measure_start(experiment, folder)
    # Seeds outermost: if time runs out there are whole comparisons of fewer seeds.
    jobs = [(arm, seed) for seed in args.seeds or experiment.seeds for arm in experiment.distinct(arms)]
    with ThreadPoolExecutor(args.jobs) as pool:
        folders = dict(zip(jobs, pool.map(lambda job: run_arm(experiment, *job, folder), jobs), strict=True))
    runs = {
        arm: [folders[same, seed] for seed in args.seeds or experiment.seeds]
        for same, arms_alike in experiment.distinct(arms).items()
        for arm in arms_alike
    }
    results = summarise(experiment, start, {arm: runs[arm] for arm in arms})
    out = (args.out or args.experiment.parent) / args.experiment.stem
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf8")
    out.with_suffix(".md").write_text(as_markdown(experiment, results), encoding="utf8")
    if experiment.sweep and all(f"{axis}={value}" in runs for axis, vs in experiment.sweep.items() for value in vs):
        draw(experiment, results, out.with_suffix(".png"))
    print(as_markdown(experiment, results))


if __name__ == "__main__":
    main()
