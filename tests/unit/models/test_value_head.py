"""The value head: values beside log-probabilities from one pass, and a policy that is left as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from rtrl_chem.models.shared_prompts import completion_log_probs
from rtrl_chem.models.value_head import HEADS_FILE, ValueHead, attached, load_heads, recorded, save_heads, set_aside

Make = Callable[..., Any]
LORA = {"r": 4, "target_modules": "all-linear"}
KINDS = pytest.mark.parametrize(
    ("architecture", "lora"), [("llama", None), ("gpt2", None), ("llama", LORA)], ids=["llama", "gpt2", "lora"]
)


def random_head(model: Any) -> ValueHead:
    head = ValueHead.of(model)
    torch.nn.init.normal_(head.weight, generator=torch.Generator().manual_seed(0))
    return head


@KINDS
def test_values_are_those_of_the_last_hidden_states(make_policy: Make, architecture: str, lora: Any) -> None:
    model = make_policy("plain", architecture=architecture, lora=lora).model.eval()
    head, ids = random_head(model), torch.arange(12).reshape(2, 6) + 20
    with recorded(model, head) as seen:
        output = model(input_ids=ids)
    states = model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
    torch.testing.assert_close(output["state_values"], (states @ head.weight[0]) + head.bias)
    assert len(seen) == 1 and seen[0] is output["state_values"]


@KINDS
def test_nothing_is_left_on_the_model(make_policy: Make, architecture: str, lora: Any) -> None:
    model = make_policy("plain", architecture=architecture, lora=lora).model
    names, ids = list(model.state_dict()), torch.arange(6)[None] + 20
    head = random_head(model)
    with attached(model, head):
        assert sum("value_head" in name for name in model.state_dict()) == 2
        assert any(p is head.weight for p in model.parameters())
        with set_aside(model):
            assert list(model.state_dict()) == names
        with recorded(model, head):
            pass
        assert any(p is head.weight for p in model.parameters())
    assert list(model.state_dict()) == names
    assert "state_values" not in model(input_ids=ids)
    inner = model.get_base_model() if lora else model
    assert "forward" not in inner.__dict__
    assert not inner.base_model._forward_hooks


def test_with_shared_prompts_too(make_policy: Make) -> None:
    """Three samples of one prompt and two of another, of different lengths, one of them twice."""
    utils = pytest.importorskip("trl.trainer.utils")
    if not hasattr(utils, "add_fused_lm_head"):
        pytest.skip("nothing is shared before TRL 1.15")
    model = make_policy("plain").model
    head = random_head(model)
    prompts = [[0, 0, 31, 32, 33]] * 3 + [[41, 42, 43, 44, 45]] * 2
    written = [[50, 51, 0, 0], [52, 0, 0, 0], [50, 51, 0, 0], [60, 61, 62, 63], [61, 0, 0, 0]]
    ids = torch.tensor([p + w for p, w in zip(prompts, written, strict=True)])
    mask = (ids > 0).long()
    expected = torch.zeros(5, 4)
    with recorded(model, head) as seen:
        for i in range(5):
            model(input_ids=ids[i][mask[i].bool()][None])
    for i in range(5):
        n, end = int(mask[i, 5:].sum()), int(mask[i].sum())
        expected[i, :n] = seen[i][0, end - n - 1 : end - 1]
    utils.add_fused_lm_head(model)
    with recorded(model, head):
        found = completion_log_probs(model, ids, mask, 4)
    assert found is not None and found[2] is not None
    torch.testing.assert_close(found[2], expected, atol=1e-5, rtol=1e-5)
    found[2].sum().backward()
    assert head.weight.grad is not None and model.get_input_embeddings().weight.grad.abs().sum() > 0


def test_distributed_data_parallel_passes_the_values_on(make_policy: Make, tmp_path: Path) -> None:
    """It takes outputs apart to look for unused parameters; the head must not be one."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        model = make_policy("plain").model
        head = random_head(model)
        with attached(model, head), recorded(model, head):
            wrapped = DistributedDataParallel(model, find_unused_parameters=True)
            output = wrapped(input_ids=torch.arange(6)[None] + 20)
            (output["state_values"].sum() + output.logits.sum()).backward()
    finally:
        torch.distributed.destroy_process_group()
    assert head.weight.grad is not None and head.weight.grad.abs().sum() > 0


def test_a_fresh_head_is_levelled_once() -> None:
    head = ValueHead(4)
    head.start_at(3.0)
    head.start_at(5.0)
    assert head(torch.ones(1, 2, 4)).tolist() == [[3.0, 3.0]]


def test_values_stay_in_full_precision_under_autocast() -> None:
    head = random_head_of(8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = head(torch.ones(1, 1, 8, dtype=torch.bfloat16))
    assert values.dtype is torch.float32
    assert values.item() == pytest.approx(head.weight.sum().item(), rel=1e-6)


def random_head_of(size: int) -> ValueHead:
    head = ValueHead(size)
    torch.nn.init.normal_(head.weight, generator=torch.Generator().manual_seed(0))
    return head


def test_heads_come_back_as_they_were_saved(tmp_path: Path) -> None:
    heads = {"forward": random_head_of(4), "reverse": ValueHead(4)}
    save_heads(heads, tmp_path)
    back = load_heads(tmp_path, torch.device("cpu"))
    assert back.keys() == heads.keys()
    for name, head in heads.items():
        assert torch.equal(back[name].weight, head.weight) and torch.equal(back[name].bias, head.bias)
        assert not back[name].fresh


def test_no_heads_leave_no_file(tmp_path: Path) -> None:
    save_heads({}, tmp_path)
    assert not (tmp_path / HEADS_FILE).exists()
    assert load_heads(tmp_path, torch.device("cpu")) == {}
