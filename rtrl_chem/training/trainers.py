"""What every phase does around a TRL trainer: silence it, run it, take its hands off the model again."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any

from transformers import PrinterCallback, ProgressCallback

from rtrl_chem.models.policy import Policy
from rtrl_chem.models.snapshot import restore_forward
from rtrl_chem.training.resumable import Keeping, Memory, Resumable

__all__ = ["Trained", "run_trainer"]


@dataclass(frozen=True)
class Trained:
    """What a trainer has done: optimizer steps, seconds, and what was logged in each step."""

    steps: int
    seconds: float
    history: list[dict[str, Any]]

    def ends(self, key: str) -> tuple[float | None, float | None]:
        """Means of a logged value over the first and the last tenth of the steps; None where it was not logged."""
        values = [float(row[key]) for row in self.history if row.get(key) is not None]
        tenth = max(1, len(values) // 10)
        first, last = values[:tenth], values[-tenth:]
        return (sum(first) / len(first), sum(last) / len(last)) if first else (None, None)


def run_trainer(
    trainer: Resumable, policy: Policy, keeping: Keeping | None = None, memory: Memory | None = None
) -> Trained:
    """Train, or go on with it, then leave the policy's model as plain as it was. Interrupted if a signal ended it."""
    for callback in (PrinterCallback, ProgressCallback):  # the progress display is ours
        trainer.remove_callback(callback)
    seconds = trainer.run(keeping, memory)
    trained = Trained(trainer.state.global_step, seconds, trainer.state.log_history)
    if hasattr(policy.model, "peft_config") and "ref" in policy.model.peft_config:
        policy.model.delete_adapter("ref")
    trainer.accelerator.free_memory()
    trainer.model_wrapped = trainer.optimizer = trainer.lr_scheduler = None
    gc.collect()  # a DistributedDataParallel wrapper keeps hooks on the parameters for as long as it lives
    restore_forward(policy.model)
    policy.model.config.use_cache = True
    return trained
