"""The ready files for `accelerate launch`: accelerate reads them, and they are what their names say."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DistributedType

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "configs" / "accelerate"


@pytest.mark.parametrize(
    ("name", "kind", "precision"),
    [
        ("ddp", DistributedType.MULTI_GPU, "bf16"),
        ("fsdp2", DistributedType.FSDP, "bf16"),
        ("zero2", DistributedType.DEEPSPEED, "bf16"),
        ("zero3", DistributedType.DEEPSPEED, "bf16"),
        ("cpu", DistributedType.MULTI_GPU, "no"),
    ],
)
def test_accelerate_reads_the_file(name: str, kind: Any, precision: str) -> None:
    config = load_config_from_file(str(FOLDER / f"{name}.yaml"))
    assert config.distributed_type == kind
    assert config.mixed_precision == precision
    assert config.num_machines == 1
    assert not config.use_cpu
    assert (config.fsdp_config or {}).get("fsdp_version") == (2 if name == "fsdp2" else None)
    stages = {"zero2": 2, "zero3": 3}
    assert (config.deepspeed_config or {}).get("zero_stage") == stages.get(name)


def test_every_file_is_tested() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {"ddp", "fsdp2", "zero2", "zero3", "cpu"}


def test_the_fields_of_fsdp_are_accelerates_own() -> None:
    """`accelerate launch` sets whatever stands there, known or not."""
    from accelerate.commands.launch import launch_command_parser

    known = {action.dest for action in launch_command_parser()._actions}
    for path in FOLDER.glob("*.yaml"):
        config = load_config_from_file(str(path))
        for section in (config.fsdp_config, config.deepspeed_config):
            assert set(section or {}) <= known, path.name


@pytest.mark.parametrize("name", ["slurm_single_node", "slurm_multi_node", "slurm_task", "gpu_check"])
def test_the_launchers_are_scripts_that_bash_reads(name: str) -> None:
    path = ROOT / "scripts" / f"{name}.sh"
    assert path.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0


WORKER = """
import signal, time
signal.signal(signal.SIGUSR1, lambda *_: (print("worker told", flush=True), exit(7)))
print("ready", flush=True)
time.sleep(30)
"""
LAUNCHER = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', sys.argv[1]]))"


def test_slurms_signal_to_the_task_reaches_the_workers_and_not_their_launcher() -> None:
    """SLURM signals the process that it has started and none that this has started."""
    task = [str(ROOT / "scripts" / "slurm_task.sh"), sys.executable, "-c", LAUNCHER, WORKER]
    with subprocess.Popen(task, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        started.send_signal(signal.SIGUSR1)
        assert started.stdout.read() == "worker told\n"
        assert started.wait(timeout=20) == 7
