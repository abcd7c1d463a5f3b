"""Trainers that are saved inside a phase and go on to the bit: what transformers saves, and what it forgets.

transformers keeps weights, optimizer, schedule, its own state and random numbers. Not kept are: what was logged since
the last line, what was judged, the scores that the frozen model has given (computed again in other batches they would
differ in their last bits), a value head beside an adapter. A generation that is used for several steps is not kept
either, so a checkpoint is only taken where the next step generates anew.
"""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import TrainerCallback

from rtrl_chem.errors import DivergedError, Interrupted, SavingError
from rtrl_chem.models.processes import processes
from rtrl_chem.training.disk import disk_errors
from rtrl_chem.training.interrupts import Interrupts
from rtrl_chem.training.out_of_memory import explained
from rtrl_chem.training.unfinished import Unfinished

__all__ = ["Keeping", "Memory", "Resumable"]

# For mypy, to which TRL's trainers are Any: what is inherited beside this class.
_Trainer: Any = object


class Memory(Protocol):
    """What a phase gathers beside its trainer."""

    def news(self) -> dict[str, Any]:
        """What was gathered since the last call, for JSON."""

    def put_back(self, parts: list[dict[str, Any]]) -> None:
        """Gather what a killed phase had gathered, all of its news in order."""


@dataclass(frozen=True)
class Keeping:
    """How a phase is kept: in which folder, every how many steps, and who may end it."""

    unfinished: Unfinished
    every: int
    interrupts: Interrupts


class Resumable(_Trainer):
    """To be put in front of a trainer of TRL's. `run` trains, from the phase's newest checkpoint if it has one."""

    doing = "update"  # which part of a step: see `out_of_memory`
    keeping: Keeping | None = None
    memory: Memory | None = None
    interrupted = 0

    def run(self, keeping: Keeping | None = None, memory: Memory | None = None) -> float:
        """Train to the end of the phase, of which nothing is kept without `keeping`; seconds it took, all attempts
        together. Interrupted if a signal ended it."""
        self._before, self._began = 0.0, time.perf_counter()
        with explained(lambda: self.doing):
            self._run(keeping, memory)
        return self.seconds

    def _run(self, keeping: Keeping | None, memory: Memory | None) -> None:
        if keeping is None:
            self.train()
            return
        self.keeping, self.memory = keeping, memory
        self._parts = keeping.unfinished.parts(processes().process_index)
        if self._parts:
            self._before = float(self._parts[-1]["trainer"]["seconds"])
        self.add_callback(_Saving(self, keeping))
        checkpoint = keeping.unfinished.checkpoint
        self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        if self.interrupted:
            raise Interrupted(self.interrupted)

    @property
    def seconds(self) -> float:
        """Seconds of training up to now."""
        return self._before + time.perf_counter() - self._began

    @property
    def at_boundary(self) -> bool:
        """Whether the next step generates anew."""
        micro = self.state.global_step * self.args.gradient_accumulation_steps
        every = getattr(self.args, "steps_per_generation", 1) * getattr(self, "num_iterations", 1)
        return bool(micro % every == 0)

    # ---- what transformers does not keep ----------------------------------------------------------------------------

    def state_to_keep(self) -> dict[str, Any]:
        """What a trainer knows and transformers does not save, for JSON."""
        return {
            "seconds": self.seconds,
            "loss": self._tr_loss.item(),
            "total_loss": self._total_loss_scalar,
            "last_logged": self._globalstep_last_logged,
            "metrics": dict(self._metrics["train"]),
            "micro_steps": getattr(self, "_step", 0),
            "tokens": getattr(self, "_total_train_tokens", 0),
        }

    def put_state_back(self, kept: dict[str, Any]) -> None:
        """The other way round."""
        self._tr_loss = torch.tensor(kept["loss"], device=self.args.device)
        self._total_loss_scalar = kept["total_loss"]
        self._globalstep_last_logged = kept["last_logged"]
        self._metrics["train"].clear()
        self._metrics["train"].update(kept["metrics"])
        if hasattr(self, "_step"):
            self._step = kept["micro_steps"]
        if hasattr(self, "_total_train_tokens"):
            self._total_train_tokens = kept["tokens"]

    def save_more(self, folder: Path) -> None:
        """Have the main process write what is not part of the model into a checkpoint; every one calls this."""

    def load_more(self, folder: Path) -> None:
        """Read it back."""

    # ---- in transformers' place -------------------------------------------------------------------------------------

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """A checkpoint inside a phase needs none; the run writes its own."""

    def _get_output_dir(self, trial: Any) -> str:
        return str(self.keeping.unfinished.partial if self.keeping is not None else self.args.output_dir)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if self.keeping is None:
            raise ValueError("nothing says where the phase is to be kept")
        unfinished, step = self.keeping.unfinished, self.state.global_step
        main = processes().is_main_process
        if main:
            shutil.rmtree(unfinished.partial, ignore_errors=True)
        processes().wait_for_everyone()
        try:
            with disk_errors(unfinished.path, f"step {step} of the phase"):
                news = self.memory.news() if self.memory is not None else {}
                unfinished.write_part(step, processes().process_index, {"trainer": self.state_to_keep()} | news)
                super()._save_checkpoint(model, trial)
                processes().wait_for_everyone()
                written = unfinished.partial / f"checkpoint-{step}"
                self.save_more(written)
                if main:
                    (written / "training_args.bin").unlink(missing_ok=True)  # a pickle that nothing reads
                    unfinished.complete(written, step)
        except SavingError:
            shutil.rmtree(unfinished.partial, ignore_errors=True)  # it would fill the disk of who comes to free it
            raise
        processes().wait_for_everyone()

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        # Of several adapters only one is trained. The others are what they were when the phase began.
        if self.args.should_save and hasattr(self.model, "peft_config"):
            self.model.save_pretrained(output_dir, state_dict=state_dict, selected_adapters=["default"])
        else:
            super()._save(output_dir, state_dict)

    def _get_grad_norm(self, *args: Any, **kwargs: Any) -> Any:
        found = super()._get_grad_norm(*args, **kwargs)
        # A gradient scaler (fp16) skips such a step and goes on with a smaller scale.
        if self.accelerator.scaler is None and not math.isfinite(float(found)):
            raise DivergedError(
                f"the gradient is {float(found)} at step {self.state.global_step + 1} of the phase, so training has "
                f"diverged; what was saved before is good: lower {self._rates()}, and go on with --resume "
                "--allow-changed trainer"
            )
        return found

    def _rates(self) -> str:
        return "trainer.learning_rate" + (" or raise trainer.beta" if hasattr(self, "beta") else "")  # no word of SFT's


class _Saving(TrainerCallback):
    """Has the trainer saved every so many steps, and ended after the step in which a signal came."""

    def __init__(self, trainer: Resumable, keeping: Keeping) -> None:
        self.trainer = trainer
        self.keeping = keeping
        self._due = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called before the first step: put back what transformers has not."""
        trainer = self.trainer
        if not trainer._parts:
            return
        trainer.put_state_back(trainer._parts[-1]["trainer"])
        if trainer.memory is not None:
            trainer.memory.put_back(trainer._parts)
        trainer.load_more(self.keeping.unfinished.checkpoints[state.global_step])
        trainer._parts = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called after every optimizer step: say whether to save it, and whether to stop after it."""
        keeping, step = self.keeping, state.global_step
        self.trainer.interrupted = self.trainer.interrupted or keeping.interrupts.agreed()
        if step >= state.max_steps:
            self.trainer.interrupted = 0  # the phase is done; the round loop ends the run after saving it
        elif self.trainer.at_boundary:
            self._due |= step % keeping.every == 0
            control.should_save = self._due or bool(self.trainer.interrupted)
            self._due = False
            control.should_training_stop = bool(self.trainer.interrupted)
        elif step % keeping.every == 0:
            self._due = True  # at the next boundary
