"""Weights that lie in parts on processes: here on one, which is all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import distributed
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard

from rtrl_chem.models.sharding import Shards, gathered, make_whole, scatter
from rtrl_chem.models.value_head import ValueHead


@pytest.fixture
def mesh() -> Iterator[DeviceMesh]:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


@pytest.fixture
def cut(mesh: DeviceMesh) -> ValueHead:
    """A head as FSDP2 leaves it."""
    head = ValueHead(6)
    head.start_at(0.5)
    return fully_shard(head, mesh=mesh)  # type: ignore[return-value]


def test_weights_are_gathered_into_memory_of_their_own(cut: ValueHead) -> None:
    found = gathered(cut)
    assert {name: type(tensor) for name, tensor in found.items()} == {"weight": torch.Tensor, "bias": torch.Tensor}
    found["bias"].fill_(7.0)
    assert gathered(cut)["bias"].tolist() == [0.5]


def test_whole_weights_are_dealt_out(cut: ValueHead) -> None:
    scatter(cut, {"weight": torch.arange(6.0)[None], "bias": torch.tensor([2.0])})
    assert hasattr(cut.weight, "full_tensor")
    assert gathered(cut)["weight"].tolist() == [[0, 1, 2, 3, 4, 5]]
    make_whole(cut)
    assert type(cut.weight.data) is torch.Tensor
    assert cut.bias.tolist() == [2.0]


def test_a_model_that_is_not_cut_up_is_treated_alike() -> None:
    head = ValueHead(2)
    scatter(head, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)})
    assert gathered(head)["weight"].tolist() == head.weight.tolist() == [[1.0, 1.0]]


def test_parts_of_each_shape_come_together_again(mesh: DeviceMesh) -> None:
    weights = {"matrix": torch.randn(3, 2), "vector": torch.randn(5), "number": torch.tensor(2.0)}
    expected = {name: tensor.tolist() for name, tensor in weights.items()}
    shards = Shards(weights)
    for tensor in weights.values():
        tensor.fill_(7.0)  # the policy goes on
    assert {name: tensor.tolist() for name, tensor in shards.gathered().items()} == expected
