"""Halving micro-batches: the same samples in each step, until nothing is left to halve."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch

from rtrl_chem.config import Config, config_from_mapping
from rtrl_chem.errors import OutOfMemoryError
from rtrl_chem.training.out_of_memory import CURES, adopt_batch, explained, forget, halved, same_batch


def make_config(**trainer: Any) -> Config:
    raw = {"task": "naming", "model": {"path": "x"}, "data": {"molecules": "x.smi"}, "output_dir": "run"}
    return config_from_mapping(raw | {"trainer": {"num_generations": 2} | trainer})


def test_half_the_size_and_twice_the_pieces() -> None:
    given = make_config(per_device_train_batch_size=8, gradient_accumulation_steps=3, steps_per_generation=6)
    once = halved(given)
    assert once is not None
    assert [once.trainer[name] for name in ("per_device_train_batch_size", "gradient_accumulation_steps")] == [4, 6]
    assert once.trainer["steps_per_generation"] == 12, "as many samples of a generation"
    assert halved(make_config(per_device_train_batch_size=7, generation_batch_size=14)) is None


def test_trls_defaults_are_halved_too() -> None:
    once = halved(make_config())
    assert once is not None
    assert (once.trainer["per_device_train_batch_size"], once.trainer["gradient_accumulation_steps"]) == (4, 2)


@pytest.mark.parametrize(
    ("automatic", "earlier", "size"),
    [
        pytest.param(True, {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 8}, 2, id="found to fit"),
        pytest.param(False, {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 8}, 8, id="by hand"),
        pytest.param(True, {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}, 8, id="another batch"),
        pytest.param(True, {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2}, 8, id="as it is"),
    ],
)
def test_a_resumed_run_keeps_the_pieces_that_fit(automatic: bool, earlier: dict[str, int], size: int) -> None:
    sizes = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2}
    config, before = make_config(auto_find_batch_size=automatic, **sizes), make_config(**earlier)
    assert adopt_batch(config, before).trainer["per_device_train_batch_size"] == size
    assert same_batch(config, before) is (
        automatic and earlier["per_device_train_batch_size"] * earlier["gradient_accumulation_steps"] == 16
    )


@pytest.mark.parametrize("doing", CURES)
def test_the_error_says_what_was_done_and_what_helps(doing: str) -> None:
    with pytest.raises(OutOfMemoryError) as caught, explained(lambda: doing):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. See documentation for ...")
    assert caught.value.doing == doing
    assert CURES[doing] in str(caught.value)
    assert "documentation" not in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        pytest.param(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
            "allocate 8 bytes. Error code 12 (Cannot allocate memory)",
            "(DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes)",
            id="cpu",
        ),
        pytest.param(
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "(CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`)",
            id="cublas",
        ),
    ],
)
def test_memory_that_runs_out_elsewhere_is_the_same(raised: str, said: str) -> None:
    with pytest.raises(OutOfMemoryError) as caught, explained(lambda: "update"):
        raise RuntimeError(raised)
    assert said in str(caught.value)


def test_what_did_not_fit_is_let_go_while_the_error_is_still_there() -> None:
    class Large:
        pass

    def step() -> weakref.ref[Large]:
        large = Large()
        large.itself = large  # type: ignore[attr-defined]
        held.append(weakref.ref(large))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    held: list[weakref.ref[Large]] = []
    try:
        with explained(lambda: "update"):
            step()
    except OutOfMemoryError as error:
        assert held[0]() is not None
        forget(error)
        assert held[0]() is None


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="no memory of it"), explained(lambda: "update"):
        raise RuntimeError("no memory of it")
