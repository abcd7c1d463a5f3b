"""What a phase keeps on disk until it is done, so that a killed run goes on at the step after its last checkpoint.

rounds/00-forward/unfinished-NN/     of the run's phase NN
    inputs.json.gz                   what was made before the first step: sources or pairs that the policy wrote
    part-000020-0.json.gz            what process 0 judged and remembered since the part before
    checkpoint-000020/               weights, optimizer, schedule, random numbers: a checkpoint of transformers

Numbers are steps of the phase. A part is written before the checkpoint of its step, so a checkpoint that is there has
all of its parts.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtrl_chem.durable import PARTIAL, move_into_place, read_packed, write_packed
from rtrl_chem.models.processes import processes, shared

__all__ = ["Unfinished"]

INPUTS = "inputs.json.gz"


@dataclass(frozen=True)
class Unfinished:
    """The folder of a phase that is not done."""

    path: Path

    # ---- what there is ----------------------------------------------------------------------------------------------

    @property
    def checkpoints(self) -> dict[int, Path]:
        """The complete checkpoints by step, the oldest first."""
        found = {}
        for path in self.path.glob("checkpoint-*"):
            if match := re.fullmatch(r"checkpoint-(\d+)", path.name):
                found[int(match[1])] = path
        return dict(sorted(found.items()))

    @property
    def step(self) -> int:
        """The step of the newest checkpoint, 0 if there is none."""
        return max(self.checkpoints, default=0)

    @property
    def checkpoint(self) -> Path | None:
        """The newest checkpoint."""
        return self.checkpoints.get(self.step)

    def parts(self, process: int) -> list[dict[str, Any]]:
        """What a process has kept up to the newest checkpoint, the oldest first."""
        found = {step: path for path in self.path.glob("part-*") if (step := _part_step(path, process)) is not None}
        return [read_packed(path) for step, path in sorted(found.items()) if step <= self.step]

    # ---- what is written --------------------------------------------------------------------------------------------

    def once(self, make: Callable[[], Any]) -> Any:
        """What `make` gives, as JSON would hold it: made once in the life of the phase, however often it is begun.
        Every process must call this; all get what the main one has made."""
        # The main process alone looks: the others could see what it has just written, or an old state of their disk.
        if not shared((self.path / INPUTS).is_file() if processes().is_main_process else None):
            made = make()
            if processes().is_main_process:
                self.path.mkdir(parents=True, exist_ok=True)
                write_packed(self.path / INPUTS, made)
        return shared(read_packed(self.path / INPUTS) if processes().is_main_process else None)

    def write_part(self, step: int, process: int, content: dict[str, Any]) -> None:
        """What a process has to keep at a step."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_packed(self.path / f"part-{step:06d}-{process}.json.gz", content)

    @property
    def partial(self) -> Path:
        """Where a checkpoint is written before it is complete."""
        return self.path / f"saving{PARTIAL}"

    def complete(self, written: Path, step: int) -> None:
        """Make the checkpoint that lies in `written` the newest, and remove those before it."""
        final = self.path / f"checkpoint-{step:06d}"
        move_into_place(written, final)
        shutil.rmtree(self.partial, ignore_errors=True)
        for old in list(self.checkpoints.values())[:-1]:
            shutil.rmtree(old, ignore_errors=True)  # half an old one is in nobody's way, the newest counts

    # ---- what is cleared away ---------------------------------------------------------------------------------------

    def clear_parts(self) -> None:
        """Remove what was kept after the newest checkpoint."""
        for path in self.path.glob("part-*.json.gz"):
            if int(path.name.split("-")[1]) > self.step:
                path.unlink()

    def remove(self) -> None:
        """The phase is done."""
        shutil.rmtree(self.path, ignore_errors=True)


def _part_step(path: Path, process: int) -> int | None:
    match = re.fullmatch(rf"part-(\d+)-{process}\.json\.gz", path.name)
    return int(match[1]) if match else None
