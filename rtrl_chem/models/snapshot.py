"""The frozen model that scores a phase: a copy of the policy, or the other of two.

TRL replaces `model.forward` on the instance, so a deep copy of a policy in training would follow the live weights. A
snapshot is therefore a copy without such wrappers for full fine-tuning; a second named adapter on the same base for
LoRA, which costs no second copy of the base. Where the policy's weights are cut up among the processes, so are the
copied ones (`models.sharding`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import Parameter

from rtrl_chem.models.sharding import Shards, empty, fill, is_sharding, whole

__all__ = [
    "AdapterSlot",
    "AdapterSnapshot",
    "FrozenModel",
    "ModuleSnapshot",
    "Snapshot",
    "restore_forward",
    "take_snapshot",
]

_LIVE, _FROZEN = "default", "snapshot"


class ModuleSnapshot:
    """A module of its own holding the weights the policy had when it was taken, each in its number format."""

    def __init__(self, model: Any) -> None:
        self.model = _without_weights(model)
        self._shards: Shards | None = None
        self._users = 0
        if not is_sharding():
            fill(self.model, {name: tensor.clone() for name, tensor in model.state_dict().items()})
        self.refresh(model)

    def refresh(self, model: Any) -> None:
        """Take the policy's weights as they are now."""
        if is_sharding():
            self._shards = Shards(model.state_dict())
        else:
            self.model.load_state_dict(model.state_dict())

    @contextmanager
    def whole(self) -> Iterator[None]:
        """All weights in this process; every one must enter this where they are cut up, before it uses the model."""
        if self._shards is not None and not self._users:
            fill(self.model, self._shards.gathered())
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if self._shards is not None and not self._users:
                empty(self.model)

    @contextmanager
    def active(self) -> Iterator[Any]:
        """The frozen model, ready to score."""
        with self.whole():
            yield self.model


def _without_weights(model: Any) -> Any:
    """A frozen copy of the model whose weights are only described, on the meta device; its buffers are there."""
    described = {
        id(own): Parameter(torch.empty_like(own, device="meta"), requires_grad=False) for own in model.parameters()
    }
    found = copy.deepcopy(model, described)
    restore_forward(found)
    found.config.use_cache = True
    return found.eval()


def restore_forward(model: Any) -> None:
    """Undo the wrappers that a trainer leaves on `forward`: each new trainer would wrap them once more."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    for module in (model, inner):
        module.__dict__.pop("forward", None)
        module.__dict__.pop("_original_forward", None)


class AdapterSlot:
    """A frozen named adapter beside the one in training; the base model is shared. A new one is drawn, not copied."""

    def __init__(self, model: Any, name: str = _FROZEN) -> None:
        self.model = model
        self.name = name
        if name not in model.peft_config:
            config = copy.deepcopy(model.peft_config[_LIVE])
            config.init_lora_weights = True  # PiSSA, OLoRA and their like would rewrite the base a second time
            with torch.random.fork_rng():
                model.add_adapter(name, config)
        model.set_adapter(_LIVE)

    @torch.no_grad()
    def take(self) -> None:
        """Take the live adapter's weights as they are now."""
        for live, own in self._weights():
            own.copy_(live)

    @torch.no_grad()
    def swap(self) -> None:
        """Change places with the live adapter."""
        for live, own in self._weights():
            before = live.clone()
            live.copy_(own)
            own.copy_(before)

    def _weights(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Each weight of the live adapter with that of this one."""
        return [
            (weight, self.model.get_parameter(name.replace(f".{_LIVE}", f".{self.name}")))
            for name, weight in self.model.named_parameters()
            if f".{_LIVE}" in name
        ]

    @contextmanager
    def whole(self) -> Iterator[None]:
        """All weights in this process; every one must enter this where they are cut up, before it uses the model."""
        with whole(self.model):
            yield

    @contextmanager
    def active(self) -> Iterator[Any]:
        """The base under the frozen adapter, in evaluation mode; the live adapter is put back afterwards."""
        training = self.model.training
        with self.whole():
            self.model.eval()
            self.model.set_adapter(self.name, inference_mode=True)
            try:
                yield self.model
            finally:
                self.model.set_adapter(_LIVE)
                self.model.train(training)


class AdapterSnapshot(AdapterSlot):
    """The adapter in training as it was when this was taken."""

    def __init__(self, model: Any, name: str = _FROZEN) -> None:
        super().__init__(model, name)
        self.take()

    def refresh(self, model: Any) -> None:
        """Take the live adapter's weights as they are now."""
        self.take()


class FrozenModel:
    """A model of its own that nobody trains while it scores: no copy is made."""

    def __init__(self, model: Any) -> None:
        self.model = model

    @contextmanager
    def whole(self) -> Iterator[None]:
        """All weights in this process; every one must enter this where they are cut up, before it uses the model."""
        with whole(self.model):
            yield

    @contextmanager
    def active(self) -> Iterator[Any]:
        """The model in evaluation mode; its mode is put back afterwards."""
        training = self.model.training
        with self.whole():
            self.model.eval()
            try:
                yield self.model
            finally:
                self.model.train(training)


Snapshot = ModuleSnapshot | AdapterSlot | FrozenModel


def take_snapshot(model: Any) -> ModuleSnapshot | AdapterSnapshot:
    """A frozen copy of the policy in whichever form costs least memory."""
    return AdapterSnapshot(model) if hasattr(model, "peft_config") else ModuleSnapshot(model)
