"""A critic on the policy's own trunk: one linear layer that reads the expected return off the last hidden state.

The head is a submodule of the policy while it trains, so that optimizer, gradient clipping and
DistributedDataParallel treat it as any other weight; before and after, the policy is as plain as it was.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import make_dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

__all__ = ["HEADS_FILE", "ValueHead", "attached", "load_heads", "recorded", "save_heads", "set_aside"]

HEADS_FILE = "value_head.safetensors"
_NAME = "value_head"


class ValueHead(torch.nn.Linear):
    """V(s) of a hidden state. A new one is zero everywhere, and `fresh` until it has been given its first level."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__(hidden_size, 1)
        self.fresh = True
        torch.nn.init.zeros_(self.weight)
        torch.nn.init.zeros_(self.bias)

    @classmethod
    def of(cls, model: Any) -> ValueHead:
        """A new head for a causal LM, on its device, in float32 whatever the model's own type."""
        return cls(model.get_output_embeddings().weight.size(1)).to(model.device)

    @classmethod
    def holding(cls, weights: Mapping[str, torch.Tensor]) -> ValueHead:
        """A head with these weights, which are no fresh ones."""
        head = cls(weights["weight"].size(1))
        head.load_state_dict(weights)
        head.fresh = False
        return head

    def start_at(self, level: float) -> None:
        """Let a fresh head predict one value for every state; later calls do nothing."""
        if self.fresh:
            torch.nn.init.constant_(self.bias, level)
            self.fresh = False

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Values (B, T) in float32 of hidden states (B, T, H)."""
        with torch.autocast(states.device.type, enabled=False):
            return super().forward(states.to(self.weight.dtype)).squeeze(-1)


def _causal_lm(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@contextmanager
def attached(model: Any, head: ValueHead) -> Iterator[None]:
    """`head` as a submodule of `model` (or of the model under its adapters)."""
    inner = _causal_lm(model)
    inner.add_module(_NAME, head)
    try:
        yield
    finally:
        inner._modules.pop(_NAME, None)


@contextmanager
def set_aside(model: Any) -> Iterator[None]:
    """An attached head out of the way: who copies the policy's weights elsewhere would not know the name."""
    inner = _causal_lm(model)
    head = inner._modules.pop(_NAME, None)
    try:
        yield
    finally:
        if head is not None:
            inner.add_module(_NAME, head)


@contextmanager
def recorded(model: Any, head: ValueHead) -> Iterator[list[torch.Tensor]]:
    """While inside, every call of `model` gives `state_values` (B, T) with its output: V after each token it was given.

    They are also listed in the order of the calls. The values are part of the output, for that is where
    DistributedDataParallel looks for the parameters that were used.
    """
    inner, seen = _causal_lm(model), []
    plain = inner.forward
    states: list[torch.Tensor] = []

    @functools.wraps(plain)
    def forward(*args: Any, **kwargs: Any) -> Any:
        output = plain(*args, **kwargs)
        values = head(states.pop())
        seen.append(values)
        kind: Any = type(output)
        return _with_values(kind)(**output, state_values=values)

    before = inner.__dict__.get("forward")
    hook = inner.base_model.register_forward_hook(lambda module, args, found: states.append(found.last_hidden_state))
    inner.forward = forward
    try:
        yield seen
    finally:
        hook.remove()
        del inner.forward
        if before is not None:
            inner.forward = before


@functools.cache
def _with_values(kind: Any) -> Any:
    """A model's kind of output with one field more. DistributedDataParallel takes an output apart and builds it anew,
    so it must be a field."""
    return make_dataclass(f"{kind.__name__}WithValues", [("state_values", Any, None)], bases=(kind,))


def save_heads(heads: Mapping[str, ValueHead], folder: Path) -> None:
    """Write the heads of a policy, by name, into a checkpoint; nothing where there is none."""
    if heads:
        tensors = {f"{name}.{key}": x.contiguous() for name, head in heads.items() for key, x in _weights(head)}
        save_file(tensors, folder / HEADS_FILE)


def load_heads(folder: Path, device: torch.device) -> dict[str, ValueHead]:
    """The heads in a checkpoint, by name; none where it has none."""
    if not (folder / HEADS_FILE).is_file():
        return {}
    tensors = load_file(folder / HEADS_FILE)
    heads = {}
    for name in dict.fromkeys(key.rpartition(".")[0] for key in tensors):
        own = {key: tensors[f"{name}.{key}"] for key in ("weight", "bias")}
        heads[name] = ValueHead.holding(own).to(device)
    return heads


def _weights(head: ValueHead) -> list[tuple[str, torch.Tensor]]:
    return [("weight", head.weight.detach()), ("bias", head.bias.detach())]
