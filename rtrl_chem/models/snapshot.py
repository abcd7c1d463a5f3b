"""The frozen copy of the policy that scores a phase.

TRL replaces `model.forward` on the instance, so a deep copy of a policy in training would follow the live weights. A
snapshot is therefore built afresh: a new module with copied weights for full fine-tuning; a second named adapter on the
same base for LoRA, which costs no second copy of the base.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["AdapterSnapshot", "ModuleSnapshot", "Snapshot", "StillModel", "take_snapshot"]

_LIVE, _FROZEN = "default", "snapshot"


class ModuleSnapshot:
    """A fresh module holding the weights the policy had when it was taken."""

    def __init__(self, model: Any) -> None:
        config = copy.deepcopy(model.config)
        config.use_cache = True
        with torch.random.fork_rng():  # initial weights are drawn; they must not shift the run's random numbers
            self.model = type(model)._from_config(config, dtype=model.dtype)
        self.model.to(model.device).eval().requires_grad_(False)
        self.refresh(model)

    def refresh(self, model: Any) -> None:
        """Take the policy's weights as they are now."""
        self.model.load_state_dict(model.state_dict())

    @contextmanager
    def active(self) -> Iterator[Any]:
        """The frozen model, ready to score."""
        yield self.model


class AdapterSnapshot:
    """A frozen named adapter beside the one in training; the base model is shared."""

    def __init__(self, model: Any) -> None:
        self.model = model
        if _FROZEN not in model.peft_config:
            config = copy.deepcopy(model.peft_config[_LIVE])
            config.init_lora_weights = True  # PiSSA, OLoRA and their like would rewrite the base a second time
            with torch.random.fork_rng():
                model.add_adapter(_FROZEN, config)
        self.refresh(model)
        model.set_adapter(_LIVE)

    def refresh(self, model: Any) -> None:
        """Take the live adapter's weights as they are now."""
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if f".{_LIVE}" in name:
                    model.get_parameter(name.replace(f".{_LIVE}", f".{_FROZEN}")).copy_(weight)

    @contextmanager
    def active(self) -> Iterator[Any]:
        """The base under the frozen adapter, in evaluation mode; the live adapter is put back afterwards."""
        training = self.model.training
        self.model.eval()
        self.model.set_adapter(_FROZEN, inference_mode=True)
        try:
            yield self.model
        finally:
            self.model.set_adapter(_LIVE)
            self.model.train(training)


class StillModel:
    """A model that nobody trains, in the place of a snapshot."""

    def __init__(self, model: Any) -> None:
        self.model = model.eval()

    @contextmanager
    def active(self) -> Iterator[Any]:
        """The model."""
        yield self.model


Snapshot = ModuleSnapshot | AdapterSnapshot


def take_snapshot(model: Any) -> Snapshot:
    """A frozen copy of the policy in whichever form costs least memory."""
    return AdapterSnapshot(model) if hasattr(model, "peft_config") else ModuleSnapshot(model)
