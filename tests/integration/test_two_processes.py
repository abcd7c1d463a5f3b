"""Two processes on CPUs make one run: samples of both, one set of files."""

from __future__ import annotations

import json
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
from rtrl_chem.evaluation.files import read_predictions

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def torchrun(
    *arguments: str, processes: int = 2, program: str = "-m rtrl_chem", **variables: str
) -> subprocess.CompletedProcess[str]:
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--master_port", str(free_port())]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    environment |= variables
    return subprocess.run(
        [sys.executable, *launcher, *program.split(), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def files(run: Path) -> set[str]:
    found = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    return {path for path in found if "tfevents" not in path}  # whose names hold the time


def launch_alike(
    write_config_in: Callable[..., str], tmp_path: Path, processes: int, program: str = "-m rtrl_chem", **changes: Any
) -> list[Path]:
    """The run folders of one process and of several, with 8 samples in the batch of all."""
    runs = []
    for count in (1, processes):
        folder = tmp_path / str(count)
        folder.mkdir()
        trainer = changes.get("trainer", {}) | {"per_device_train_batch_size": 8 // count}
        config = write_config_in(folder, **changes | {"trainer": trainer})
        if count == 1:
            assert main(["train", config, "--quiet"]) == 0
        else:
            done = torchrun("train", config, processes=count, program=program)
            assert done.returncode == 0, done.stderr
            measured = changes.get("evaluation", {}).get("before", True)
            assert done.stderr.count("before and after training") == measured
        runs.append(folder / "run")
    return runs


def assert_equal_runs(one: Path, several: Path) -> None:
    """The same samples with the same rewards, the same losses."""
    assert files(several) == files(one)
    assert_equal_samples(one, several)
    assert_equal_logs(one, several)


def assert_equal_samples(one: Path, several: Path) -> None:
    assert sorted((one / "rounds").glob("*/completions.parquet"))
    for file in sorted((one / "rounds").glob("*/completions.parquet")):
        rows, others = (pq.read_table(run / file.relative_to(one)).to_pylist() for run in (one, several))
        # Of a joint phase each process keeps one direction after the other.
        for samples in (rows, others):
            samples.sort(key=lambda row: (row["step"], row["direction"]))
        names = ("step", "direction", "source", "completion", "verdict")
        assert [[row[name] for name in names] for row in others] == [[row[name] for name in names] for row in rows]
        for name in ("reward", "likelihood", "reconstruction"):
            if name in rows[0]:
                assert [row[name] for row in others] == pytest.approx([row[name] for row in rows], abs=1e-5)


def assert_equal_logs(one: Path, several: Path) -> None:
    logs = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in (one, several)]
    assert len(logs[0]) == len(logs[1]) > 0
    for row, other in zip(*logs, strict=True):
        # What was remembered is the main process's: of two, each remembers its own. The mean of entropy is one over
        # micro-batches, which are others when there are more processes (docs/scale.md).
        left_out = {"num_tokens", "reverse_model/remembered", "entropy"}
        for name in {key for key in row if "time" not in key} - left_out:
            same = row[name] if isinstance(row[name], str) else pytest.approx(row[name], abs=1e-5, rel=1e-4)
            assert other[name] == same, name


def test_two_processes_do_what_one_does(write_config_in: Callable[..., str], tmp_path: Path) -> None:
    # The samples of a source lie on both, and each generates reconstructions for sources of its own.
    rewards = {"likelihood": 1.0, "reconstruction": {"n": 2}}
    one, two = launch_alike(write_config_in, tmp_path, 2, rounds=1, trainer={"num_generations": 8}, rewards=rewards)
    assert_equal_runs(one, two)
    before = [read_predictions(run / "evaluation/before/forward/predictions.jsonl") for run in (one, two)]
    assert [p.output for p in before[0]] == [p.output for p in before[1]]
    assert [p.nats for p in before[0]] == pytest.approx([p.nats for p in before[1]], abs=1e-3)
    assert len((two / "metrics.jsonl").read_text().splitlines()) == 4 + 2, "steps, and before and after"


@pytest.mark.slow
def test_two_processes_do_what_one_does_in_both_directions_at_once(
    write_config_in: Callable[..., str], tmp_path: Path
) -> None:
    assert_equal_runs(*launch_alike(write_config_in, tmp_path, 2, schedule="joint"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"algorithm": "rloo"},
        {"algorithm": "ppo"},
        {"schedule": "joint"},
        {"trainer": {"steps_per_generation": 2}},
        {"model": {"lora": {"r": 4, "target_modules": ["q_proj", "v_proj"], "use_dora": True}}},
    ],
    ids=["grpo", "rloo", "ppo", "joint", "two steps a rollout", "dora"],
)
def test_four_processes_do_what_one_does(
    write_config_in: Callable[..., str], tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert_equal_runs(*launch_alike(write_config_in, tmp_path, 4, rounds=1, **changes))


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "program"), [(4, "-m rtrl_chem"), (2, "fsdp2_on_cpu.py")])
def test_expert_iteration_samples_and_keeps_what_one_process_does(
    write_config_in: Callable[..., str], tmp_path: Path, processes: int, program: str
) -> None:
    """What it learns from them is not compared: docs/scale.md, on the last batch of a pass."""
    if program.endswith(".py"):
        program = str(Path(__file__).parent / program)
    changes = {"algorithm": "expert_iteration", "directions": ["forward"], "evaluation": {"before": False}}
    one, several = launch_alike(write_config_in, tmp_path, processes, program=program, rounds=1, **changes)
    assert_equal_samples(one, several)
    steps = [json.loads((run / "state.json").read_text())["phases"][0]["steps"] for run in (one, several)]
    assert steps[0] == steps[1] > 0


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


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"rewards": {"likelihood": 1.0, "reconstruction": {"n": 2}}},
        {"trainer": {"beta": 0.1}},
        {"model": {"lora": {"r": 4, "target_modules": ["q_proj", "v_proj"]}}},
        {"algorithm": "rloo"},
        {"algorithm": "ppo", "ppo": {"value_learning_rate": 1e-2}},
        {"models": "separate"},
    ],
    ids=["grpo", "reference", "lora", "rloo", "ppo", "two models"],
)
def test_fsdp2_does_what_one_process_does(
    write_config_in: Callable[..., str], tmp_path: Path, changes: dict[str, Any]
) -> None:
    program = str(Path(__file__).parent / "fsdp2_on_cpu.py")
    one, cut = launch_alike(write_config_in, tmp_path, 2, program=program, rounds=1, **changes)
    assert_equal_runs(one, cut)
    for file in (one / "model").rglob("*.safetensors"):
        weights, others = load_file(file), load_file(cut / file.relative_to(one))
        assert weights.keys() == others.keys()
        assert {name: tensor.dtype for name, tensor in weights.items()} == {n: t.dtype for n, t in others.items()}
        # Adam takes a step of the same size for however small a gradient.
        assert all((tensor - others[name]).abs().max() < 2e-3 for name, tensor in weights.items())


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model": {"lora": {"r": 4, "target_modules": ["q_proj", "v_proj"]}}},
        {"algorithm": "ppo", "ppo": {"value_learning_rate": 1e-2}},
        {"algorithm": "ppo", "model": {"lora": {"r": 4, "target_modules": ["q_proj", "v_proj"]}}},
        {"algorithm": "expert_iteration"},
    ],
    ids=["grpo", "lora", "ppo", "ppo and lora", "expert iteration"],
)
def test_a_run_stopped_in_a_phase_under_fsdp2_goes_on_to_the_same_end(
    write_config_in: Callable[..., str], tmp_path: Path, changes: dict[str, Any]
) -> None:
    program = str(Path(__file__).parent / "fsdp2_on_cpu.py")
    config = {"rounds": 1, "directions": ["forward"], "steps_per_phase": 4, "evaluation": {"before": False}} | changes
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    whole, stopped = (write_config_in(tmp_path / name, **config) for name in ("whole", "stopped"))
    for arguments, variables in (((whole,), {}), ((stopped,), {"STOP_AFTER": "2"}), ((stopped, "--resume"), {})):
        done = torchrun("train", *arguments, program=program, **variables)
        assert done.returncode == 0, done.stderr
        assert ("stopped by SIGUSR1" in done.stderr) == bool(variables)
    assert "going on after step 2 of 4" in done.stderr
    runs = [tmp_path / name / "run" for name in ("whole", "stopped")]
    samples = [pq.read_table(run / "rounds" / "00-forward" / "completions.parquet").to_pylist() for run in runs]
    assert samples[0] == samples[1]
    files_of = [sorted((run / "rounds").glob("*/checkpoint-*/*.safetensors")) for run in runs]
    assert [file.name for file in files_of[0]] == [file.name for file in files_of[1]] != []
    for file, other in zip(*files_of, strict=True):
        weights, others = load_file(file), load_file(other)
        assert weights.keys() == others.keys()
        assert [name for name in weights if not torch.equal(weights[name], others[name])] == []


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


@pytest.mark.slow
def test_two_processes_agree_on_made_pairs_joint_batches_and_what_the_guards_take_back(
    write_config_in: Callable[..., str], tmp_path: Path
) -> None:
    pairs = {"CCO": "ethanol", "CCC": "propane", "C": "methane", "CC": "ethane", "CCN": "ethanamine"}
    known = tmp_path / "known.tsv"
    known.write_text("smiles\tname\n" + "".join(f"{x}\t{y}\n" for x, y in pairs.items()))
    config = write_config_in(
        tmp_path,
        schedule="joint",
        regime="synthetic",
        synthetic={"steps": 1, "samples": 2, "min_probability": 0.0, "round_trip": True},
        trainer={"learning_rate": 1.0},
        guards={"pairs": str(known)},
    )
    done = torchrun("train", config)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "run"
    state = json.loads((run / "state.json").read_text())
    assert [(one["stage"], one["kept"]) for one in state["stages"]] == [
        ("start", True),
        ("round-00", False),
        ("round-01", False),
    ]
    before, after = (run / "evaluation" / when / "forward" / "predictions.jsonl" for when in ("before", "after"))
    assert after.read_text() == before.read_text()
    rows = pq.read_table(run / "rounds" / "00-joint" / "completions.parquet").to_pylist()
    assert sorted(row["direction"] for row in rows) == ["forward"] * 8 + ["reverse"] * 8
    assert done.stderr.count("is rolled back to the last good model") == 2
