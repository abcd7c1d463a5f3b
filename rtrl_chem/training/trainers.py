"""What every phase does around a TRL trainer: silence it, run it, take its hands off the model again."""

from __future__ import annotations

import gc
import time
from typing import Any

from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from rtrl_chem.models.policy import Policy, restore_forward

__all__ = ["LogOf", "run_trainer"]


class LogOf(TrainerCallback):
    """Keeps one logged value of every step."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.values: list[float] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Called by the trainer with everything it logs."""
        if logs and logs.get(self.key) is not None:
            self.values.append(float(logs[self.key]))

    def ends(self) -> tuple[float | None, float | None]:
        """Means over the first and the last tenth of the steps; None where nothing was logged."""
        tenth = max(1, len(self.values) // 10)
        first, last = self.values[:tenth], self.values[-tenth:]
        return (sum(first) / len(first), sum(last) / len(last)) if first else (None, None)


def run_trainer(trainer: Any, policy: Policy) -> tuple[int, float]:
    """Train, then leave the policy's model as plain as it was. Returns (optimizer steps, seconds)."""
    for callback in (PrinterCallback, ProgressCallback):  # the progress display is ours
        trainer.remove_callback(callback)
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    steps = trainer.state.global_step
    if hasattr(policy.model, "peft_config") and "ref" in policy.model.peft_config:
        policy.model.delete_adapter("ref")
    trainer.accelerator.free_memory()
    trainer.model_wrapped = trainer.optimizer = trainer.lr_scheduler = None
    gc.collect()  # a DistributedDataParallel wrapper keeps hooks on the parameters for as long as it lives
    restore_forward(policy.model)
    policy.model.config.use_cache = True
    return steps, seconds
