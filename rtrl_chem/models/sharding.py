"""Models whose weights are cut up among the processes while they are trained: FSDP2, DeepSpeed's ZeRO-3.

    with trained_apart(model) as twin:    # the trainer may cut up `twin`; `model` has no weights
        with whole(twin) as same:         # `model`, filled for as long as this lasts

Generation calls a model hundreds of times, and each process as often as its own samples take: gathering the weights at
every call would be slow, and waiting for one another hard to get right. So the weights are gathered once for a rollout,
once for its scores, and after the phase. A whole model, in the policy's own number format, must fit on each device
beside the parts of policy, snapshot, gradients and optimizer.

Where nothing is cut up, `trained_apart` and `whole` hand over what they are given.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.utils import DistributedType
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.nn import Module, Parameter
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from rtrl_chem.errors import ConfigError
from rtrl_chem.models.processes import processes

__all__ = ["Shards", "empty", "fill", "gathered", "is_sharding", "make_whole", "scatter", "trained_apart", "whole"]


def is_sharding() -> bool:
    """Whether accelerate was started so that it cuts models up among the processes, be it a single one. ConfigError for
    FSDP1."""
    flag = os.environ.get
    fsdp = flag("ACCELERATE_USE_FSDP", "false").lower() == "true"
    if fsdp and flag("FSDP_VERSION", "1") != "2":
        raise ConfigError("accelerate: FSDP version 1 is not supported; set fsdp_version: 2, as in configs/accelerate")
    zero3 = (
        flag("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true" and flag("ACCELERATE_DEEPSPEED_ZERO_STAGE") == "3"
    )
    return (fsdp or zero3) and processes().distributed_type is not DistributedType.NO


@contextmanager
def whole(model: Any) -> Iterator[Any]:
    """The model, or for one in training the one beside it, with all weights in this process. Every process must enter
    this, unless it is inside one already."""
    gather = model.__dict__.get("_gather")
    if gather is None:
        yield model
    else:
        with gather.open() as plain:
            yield plain


@contextmanager
def trained_apart(model: Any) -> Iterator[Any]:
    """A twin of the model for a trainer to cut up and to train; afterwards the model has the twin's weights.

    Meanwhile the model is without weights, but for what `whole` gathers.
    """
    if not is_sharding():
        yield model
        return
    # The twin takes over the parameters themselves: at no time are there two copies.
    twin = copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
    empty(model)
    model.__dict__["_gather"] = twin.__dict__["_gather"] = _Gather(twin, model)
    try:
        yield twin
        fill(model, gathered(twin))
    finally:
        model.__dict__.pop("_gather")
        unset_hf_deepspeed_config()  # or transformers would cut up what it loads between phases, too


class _Gather:
    """Fills a model with the weights of its twin while someone needs it."""

    def __init__(self, twin: Any, model: Any) -> None:
        self.twin, self.model, self.users = twin, model, 0

    @contextmanager
    def open(self) -> Iterator[Any]:
        """The model with the twin's weights as they are now; without any again when the last user has left."""
        if not self.users:
            fill(self.model, gathered(self.twin))
        self.users += 1
        try:
            yield self.model
        finally:
            self.users -= 1
            if not self.users:
                empty(self.model)


class Shards:
    """Weights of which this process keeps its part: rows of each tensor, as FSDP2 cuts them."""

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.tensor import Replicate, Shard, distribute_tensor

        device = next(iter(weights.values())).device
        mesh = init_device_mesh(device.type, (processes().num_processes,))
        # A single number cannot be cut up, and would stay the policy's own.
        self.parts = {
            name: distribute_tensor(tensor.detach(), mesh, [Shard(0)])
            if tensor.dim()
            else distribute_tensor(tensor.detach().clone(), mesh, [Replicate()])
            for name, tensor in weights.items()
        }

    def gathered(self) -> dict[str, torch.Tensor]:
        """The whole tensors. Every process must call this."""
        return {name: part.full_tensor() for name, part in self.parts.items()}


@torch.no_grad()
def gathered(model: Any) -> dict[str, torch.Tensor]:
    """The state dict of a model that a trainer may have cut up, in whole tensors that share no memory with it. Every
    process must call this."""
    if _is_cut_by_deepspeed(model):
        import deepspeed

        with deepspeed.zero.GatheredParameters(list(model.parameters())):
            return {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return {name: _whole_copy(tensor) for name, tensor in model.state_dict().items()}


def _whole_copy(tensor: Any) -> torch.Tensor:
    if not hasattr(tensor, "full_tensor"):
        return tensor.clone()
    found: torch.Tensor = tensor.full_tensor()
    return found.clone() if processes().num_processes == 1 else found  # the only part is itself the whole


def scatter(model: Any, weights: dict[str, Any]) -> None:
    """Give a model that a trainer may have cut up these weights, whole ones. Every process must call this."""
    if _is_cut_by_deepspeed(model):
        import deepspeed

        with deepspeed.zero.GatheredParameters(list(model.parameters()), modifier_rank=0):
            if processes().is_main_process:
                model.load_state_dict(weights)
    else:
        set_model_state_dict(model, weights, options=StateDictOptions(full_state_dict=True))


def _is_cut_by_deepspeed(model: Any) -> bool:
    return any(hasattr(parameter, "ds_id") for parameter in model.parameters())


def make_whole(module: Module) -> None:
    """Put a small module's weights together again, for good. Every process must call this."""
    for name, own in module.named_parameters(recurse=False):
        whole_one: Any = own.detach()
        if hasattr(whole_one, "full_tensor"):
            module._parameters[name] = Parameter(whole_one.full_tensor())


def empty(model: Module) -> None:
    """Take a model's weights away; what a quantizer holds in its own way stays."""
    bare: dict[int, Parameter] = {}
    for module in model.modules():
        for name, own in module._parameters.items():
            if type(own) is Parameter:
                meta = Parameter(torch.empty_like(own, device="meta"), requires_grad=own.requires_grad)
                module._parameters[name] = bare.setdefault(id(own), meta)


def fill(model: Any, weights: dict[str, torch.Tensor]) -> None:
    """Give an emptied model weights, in its own number format. What it has beyond them stays as it is."""
    bare = {name: own for name, own in model.named_parameters(remove_duplicate=False) if own.is_meta}
    fitting = {name: weights[name].to(own.dtype) for name, own in bare.items()}
    model.load_state_dict(fitting, strict=False, assign=True)
    if hasattr(model, "tie_weights"):
        model.tie_weights()
