"""Two processes on CPUs make one run: samples of both, one set of files."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from rtrl_chem.cli import main

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(free_port())]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *launcher, "-m", "rtrl_chem", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def files(run: Path) -> set[str]:
    return {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}


def test_two_processes_leave_the_run_folder_of_one(write_config_in: Callable[..., str], tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("one", "two")}
    configs = {}
    for name, folder in folders.items():
        folder.mkdir()
        configs[name] = write_config_in(folder, rounds=1)
    assert main(["train", configs["one"], "--quiet"]) == 0
    done = torchrun("train", configs["two"])
    assert done.returncode == 0, done.stderr
    one, two = (folder / "run" for folder in folders.values())
    assert files(two) == files(one)
    for phase in ("00-forward", "00-reverse"):
        rows = pq.read_table(two / "rounds" / phase / "completions.parquet").to_pylist()
        assert [row["step"] for row in rows] == [1] * 8 + [2] * 8  # 4 samples a process and step
    forward = pq.read_table(two / "rounds" / "00-forward" / "completions.parquet")["source"].to_pylist()
    assert len(set(forward)) == 8, "each process samples for sources of its own"
    assert len((two / "metrics.jsonl").read_text().splitlines()) == 4
    assert done.stderr.count("before and after training") == 1


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, {"r": 4, "target_modules": ["q_proj", "v_proj"]}], ids=["full", "lora"])
def test_two_processes_share_one_value_head(
    write_config_in: Callable[..., str], tmp_path: Path, lora: dict[str, Any] | None
) -> None:
    config = write_config_in(tmp_path, algorithm="ppo", rounds=1, model={"lora": lora})
    done = torchrun("train", config)
    assert done.returncode == 0, done.stderr
    [file] = (tmp_path / "run").glob("rounds/*/checkpoint-*/value_head.safetensors")
    heads = load_file(file)
    assert heads.keys() == {f"{way}.{part}" for way in ("forward", "reverse") for part in ("weight", "bias")}
    assert all(torch.isfinite(tensor).all() and tensor.abs().sum() > 0 for tensor in heads.values())
    assert not (tmp_path / "run" / "model" / "value_head.safetensors").exists()


@pytest.mark.slow
def test_an_error_in_two_processes_ends_both(write_config_in: Callable[..., str], tmp_path: Path) -> None:
    config = write_config_in(tmp_path)
    (tmp_path / "my.smi").write_text("prose\n" * 5)
    done = torchrun("train", config)
    assert done.returncode != 0
    assert "none of its 5 rows" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("environment", "warned"),
    [
        pytest.param({"ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "127.0.0.1"}, True, id="accelerate launch --cpu"),
        pytest.param({"ACCELERATE_USE_CPU": "True"}, False, id="accelerate launch --cpu --num_processes 1"),
        pytest.param({"ACCELERATE_USE_CPU": "False", "MASTER_ADDR": "127.0.0.1"}, False, id="accelerate on a GPU"),
        pytest.param({}, False, id="plain"),
    ],
)
def test_a_lone_process_that_was_to_be_several_says_so(
    write_config_in: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: dict[str, str],
    warned: bool,
) -> None:
    for name in ("ACCELERATE_USE_CPU", "MASTER_ADDR", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    config = write_config_in(tmp_path)
    (tmp_path / "my.smi").write_text("prose\n")  # it need not get further than the data
    assert main(["train", config]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(lines) == warned
    assert all("torchrun --nproc_per_node" in line for line in lines)
