"""Kill a training run with SIGKILL again and again, resume it each time, and compare it with one that was never killed.

    OMP_NUM_THREADS=1 python scripts/kill_and_resume.py configs/quickstart.yaml --kills 20 --set trainer.save_steps=4

Every other kill comes while a checkpoint is being written, the others at a random moment of a run's first `--longest`
seconds, its start-up included. What must be equal, byte for byte: weights, metrics.jsonl without its times, the samples
of every phase, predictions and metrics of every measurement. Prints a line for each kill; exit status 1 if anything
differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file

# What the clock says is no part of a result.
TIMES = ("time", "runtime", "per_second")


def main() -> int:
    """Run whole, run killed, compare."""
    arguments = _arguments()
    whole, killed = arguments.out / "whole", arguments.out / "killed"
    started = time.perf_counter()
    if subprocess.run(_command(arguments, whole, "--overwrite"), check=False).returncode:
        return 1
    print(f"never killed: {time.perf_counter() - started:.0f} s", flush=True)
    rng = random.Random(arguments.seed)
    for number in range(arguments.kills):
        flag = "--resume" if (killed / "state.json").is_file() else "--overwrite"
        process = subprocess.Popen(_command(arguments, killed, flag))
        where = _kill(process, killed, while_saving=number % 2 == 1, rng=rng, longest=arguments.longest)
        print(f"kill {number + 1}: {where}", flush=True)
        if process.returncode != -signal.SIGKILL:
            break
    flag = "--resume" if (killed / "state.json").is_file() else "--overwrite"
    if subprocess.run(_command(arguments, killed, flag), check=False).returncode:
        return 1
    found = differences(whole, killed)
    print("\n".join(found) if found else "no difference: weights, metrics, samples and measurements are equal")
    return 1 if found else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--longest", type=float, default=30.0, help="seconds before a kill at a random moment")
    parser.add_argument("--out", type=Path, default=Path("runs/kill_and_resume"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


def _command(arguments: argparse.Namespace, out: Path, flag: str) -> list[str]:
    overrides = [*arguments.overrides, f"output_dir={out}"]
    sets = [part for override in overrides for part in ("--set", override)]
    return [sys.executable, "-m", "rtrl_chem", "train", arguments.config, "--quiet", flag, *sets]


def _kill(
    process: subprocess.Popen[bytes], run: Path, *, while_saving: bool, rng: random.Random, longest: float
) -> str:
    """Kill the process at a moment, and say which that was."""
    start, began = time.perf_counter(), time.time()
    wait = rng.uniform(0.0, 0.1 if while_saving else longest)
    while while_saving and process.poll() is None and not _is_saving(run, began):
        time.sleep(0.001)
    seen = time.perf_counter()
    while process.poll() is None and time.perf_counter() - seen < wait:
        time.sleep(0.001)
    saving = " in the middle of saving" if _is_saving(run, began) else ""
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    if process.returncode != -signal.SIGKILL:
        return f"came too late, the run had ended with {process.returncode}"
    return f"after {time.perf_counter() - start:.1f} s, {_place(run)}{saving}"


def _is_saving(run: Path, since: float) -> bool:
    """Whether something is half written, and not left so by an earlier kill."""
    for path in run.glob("rounds/*/**/*.partial"):
        try:
            if path.stat().st_mtime > since:
                return True
        except OSError:  # it has been given its name
            continue
    return False


def _place(run: Path) -> str:
    """How far a killed run is."""
    if not (run / "state.json").is_file():
        return "before it had a folder"
    phases = json.loads((run / "state.json").read_text())["phases_done"]
    lines = (run / "metrics.jsonl").read_text().splitlines()
    newest = max((path.name for path in run.glob("rounds/*/unfinished-*/checkpoint-*")), default="none")
    return f"{phases} phases done, {len(lines)} steps logged, newest checkpoint in the phase: {newest}"


# ---- comparing ------------------------------------------------------------------------------------------------------


def differences(whole: Path, killed: Path) -> list[str]:
    """What is not equal in two run folders, a line each."""
    found = []
    for path in sorted(whole.rglob("*")):
        other = killed / path.relative_to(whole)
        same = _COMPARE.get(path.suffix if path.name not in _COMPARE else path.name)
        if same is not None and (not other.is_file() or not same(path, other)):
            found.append(f"differs: {path.relative_to(whole)}")
    return found


def _same_weights(a: Path, b: Path) -> bool:
    one, two = load_file(a), load_file(b)
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def _same_log(a: Path, b: Path) -> bool:
    return _logged(a) == _logged(b)


def _logged(path: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in row.items() if not any(word in key for word in TIMES)} for row in rows]


def _same_bytes(a: Path, b: Path) -> bool:
    return a.read_bytes() == b.read_bytes()


def _same_table(a: Path, b: Path) -> bool:
    return bool(pq.read_table(a).equals(pq.read_table(b)))


_COMPARE = {
    ".safetensors": _same_weights,
    ".parquet": _same_table,
    "metrics.jsonl": _same_log,
    "predictions.jsonl": _same_bytes,
    "metrics.json": _same_bytes,
    "summary.json": _same_bytes,
}


if __name__ == "__main__":
    sys.exit(main())
