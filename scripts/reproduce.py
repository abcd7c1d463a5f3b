"""Reproduce the first table of eval/RESULTS.md: round-trip RL beside its baselines, three seeds, intervals.

    python scripts/reproduce.py            # every arm and seed, then eval/results.json and eval/table.md
    python scripts/reproduce.py --seeds 0  # less

Each arm is one `rtrl-chem train` on configs/reproduce.yaml with the overrides below, one thread each, as many at a time
as there are cores. Runs that are finished are kept, killed ones go on where they stopped. Settings were chosen on the
validation split; the table is computed on the test split.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from rtrl_chem.evaluation.files import read_predictions
from rtrl_chem.evaluation.measure import score_items
from rtrl_chem.tasks import Direction, load_task

CONFIG = Path("configs/reproduce.yaml")
ARMS: dict[str, list[str]] = json.loads((Path(__file__).parent / "reproduce_arms.json").read_text(encoding="utf8"))
RL = "round-trip RL"  # the arm that the others are compared with
SHOWN = {
    ("forward", "rtc"): "round trip, molecule -> name -> molecule, exact",
    ("forward", "exact_match"): "names exactly right",
    ("forward", "referee"): "names that OPSIN reads back to the molecule",
    ("forward", "leak_rate"): "leak rate",
    ("reverse", "rtc"): "round trip, name -> molecule -> name, exact",
    ("reverse", "exact_match"): "molecules exactly right",
}


def run_arm(arm: str, seed: int, folder: Path) -> Path:
    """Train one arm with one seed, or go on with it; returns its run folder."""
    out = folder / f"{arm.replace(' ', '-')}-{seed}"
    state = out / "state.json"
    if state.is_file() and json.loads(state.read_text(encoding="utf8"))["finished"]:
        return out
    overrides = [*ARMS[arm], f"seed={seed}", f"output_dir={out}"]
    command = [sys.executable, "-m", "rtrl_chem", "train", str(CONFIG), "--quiet"]
    command += [part for override in overrides for part in ("--set", override)]
    command += ["--resume"] if state.is_file() else []
    print(" ".join(command[1:]), flush=True)
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return out


def differences(run: Path, direction: str, metric: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Per-item scores (before, after), each (items,), in the same order; None where the metric was not measured."""
    task = load_task("naming")
    found = []
    for when in ("before", "after"):
        predictions = read_predictions(run / "evaluation" / when / direction / "predictions.jsonl")
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


def summarise(runs: dict[str, list[Path]]) -> dict[str, dict]:
    """Mean before, mean after, gain with interval and per seed, for each arm and metric, and how far round-trip RL is
    ahead of it (seeds and items paired); training seconds per run."""
    results: dict[str, dict] = {
        arm: {"seconds": [round(training_seconds(run)) for run in folders], "metrics": {}, "ahead": {}}
        for arm, folders in runs.items()
    }
    for (direction, metric), label in SHOWN.items():
        gains: dict[str, np.ndarray] = {}
        for arm, folders in runs.items():
            pairs = [differences(run, direction, metric) for run in folders]
            if any(pair is None for pair in pairs):
                continue
            before, after = (np.stack([pair[i] for pair in pairs if pair]) for i in (0, 1))
            gains[arm] = after - before
            levels = {"before": float(before.mean()), "after": float(after.mean()), "items": before.shape[1]}
            per_seed = [float(gain) for gain in gains[arm].mean(1)]
            results[arm]["metrics"][label] = levels | with_interval(gains[arm]) | {"per_seed": per_seed}
        for arm in gains:
            if arm != RL and RL in gains:
                results[arm]["ahead"][label] = with_interval(gains[RL] - gains[arm])
    return results


def with_interval(gains: np.ndarray) -> dict[str, float]:
    """The mean of gains (seeds, items) and its interval."""
    low, high = interval(gains)
    return {"gain": float(gains.mean()), "low": low, "high": high}


def training_seconds(run: Path) -> float:
    """Wall-clock seconds of all phases, on one thread."""
    return sum(phase["seconds"] for phase in json.loads((run / "state.json").read_text(encoding="utf8"))["phases"])


def as_markdown(results: dict[str, dict]) -> str:
    """The table: a row per metric and arm, in per cent and percentage points."""
    head = ["metric", "arm", "before", "after", "gain [95% interval]", "gain of each seed", f"{RL} is ahead by"]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for label in SHOWN.values():
        for arm, result in results.items():
            if row := result["metrics"].get(label):
                seeds = ", ".join(f"{100 * gain:+.1f}" for gain in row["per_seed"])
                levels = f"{100 * row['before']:.1f} | {100 * row['after']:.1f}"
                ahead = points(result["ahead"].get(label))
                lines.append(f"| {label} | {arm} | {levels} | {points(row)} | {seeds} | {ahead} |")
    times = "; ".join(f"{arm} {', '.join(map(str, result['seconds']))} s" for arm, result in results.items())
    return "\n".join([*lines, "", f"Training time of each seed, one thread: {times}.", ""])


def points(row: dict[str, float] | None) -> str:
    """A gain and its interval in percentage points; nothing for no row."""
    return f"{100 * row['gain']:+.1f} [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]" if row else ""


def main() -> None:
    """Run what is missing, then write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--runs", type=Path, default=Path("runs/reproduce"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("eval"))
    args = parser.parse_args()
    args.runs.mkdir(parents=True, exist_ok=True)
    # Seeds outermost: if time runs out there are whole comparisons of fewer seeds.
    jobs = [(arm, seed) for seed in args.seeds for arm in args.arms]
    with ThreadPoolExecutor(args.jobs) as pool:
        folders = list(pool.map(lambda job: run_arm(*job, args.runs), jobs))
    runs: dict[str, list[Path]] = {arm: [] for arm in args.arms}
    for (arm, _), folder in zip(jobs, folders, strict=True):
        runs[arm].append(folder)
    results = summarise(runs)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf8")
    (args.out / "table.md").write_text(as_markdown(results), encoding="utf8")
    print(as_markdown(results))


if __name__ == "__main__":
    main()
