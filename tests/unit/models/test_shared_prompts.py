from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from rtrl_chem.models.shared_prompts import completion_log_probs, group_rows

# Older versions have no such head, and nothing is shared then.
pytest.importorskip("trl", minversion="1.15")
from trl.trainer.utils import add_fused_lm_head

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 50}


def build(kind: str) -> Any:
    torch.manual_seed(0)
    if kind == "llama":
        model: Any = LlamaForCausalLM(LlamaConfig(**SIZES, intermediate_size=48, num_key_value_heads=2))
    elif kind == "mistral":
        config = MistralConfig(**SIZES, intermediate_size=48, num_key_value_heads=2, sliding_window=8)
        model = MistralForCausalLM(config)
    else:
        sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 50}
        model = GPT2LMHeadModel(GPT2Config(**sizes, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    add_fused_lm_head(model, temperature=0.7, outputs=("log_probs", "entropy"))
    return model.train()


def group_batch(prompts: list[int], completions: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor, int]:
    """(input_ids, attention_mask, columns of completions): prompts of so many tokens with completions of such lengths,
    of which the last is there twice."""
    generator = torch.Generator().manual_seed(1)
    wide, long = max(prompts), max(max(c) for c in completions)
    rows, masks = [], []
    for n, lengths in zip(prompts, completions, strict=True):
        prompt = torch.randint(3, 50, (n,), generator=generator).tolist()
        written = [torch.randint(3, 50, (m,), generator=generator).tolist() for m in lengths]
        for completion in [*written, written[-1]]:
            rows.append([0] * (wide - n) + prompt + completion + [0] * (long - len(completion)))
            masks.append([0] * (wide - n) + [1] * (n + len(completion)) + [0] * (long - len(completion)))
    return torch.tensor(rows), torch.tensor(masks), long


def one_at_a_time(model: Any, ids: torch.Tensor, mask: torch.Tensor, keep: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and entropies of each row by itself, without padding or cache, at temperature 0.7."""
    log_probs, entropies = torch.zeros(len(ids), keep), torch.zeros(len(ids), keep)
    for i, (row, seen) in enumerate(zip(ids, mask.bool(), strict=True)):
        n = int(seen[-keep:].sum())
        tokens = row[seen]
        logits = model(input_ids=tokens[None], use_cache=False).logits[0, -n - 1 : -1] / 0.7
        each = logits.log_softmax(-1)
        log_probs[i, :n] = each.gather(1, tokens[-n:, None])[:, 0]
        entropies[i, :n] = -(each.exp() * each).sum(-1).detach()
    return log_probs, entropies


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_values_and_gradients_are_those_of_the_plain_computation(kind: str) -> None:
    model = build(kind)
    ids, mask, keep = group_batch([5, 9, 2], [[3, 7, 1], [4, 4, 6], [8, 2, 2]])
    weights = torch.randn(len(ids), keep, generator=torch.Generator().manual_seed(2)) * mask[:, -keep:]
    gradients = []
    for compute in (completion_log_probs, one_at_a_time):
        model.zero_grad()
        found = compute(model, ids, mask, keep)
        assert found is not None and found[0] is not None
        (found[0] * weights).sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
        if compute is completion_log_probs:
            ours = found[:2]
    for a, b in zip(ours, found, strict=True):
        assert a is not None and b is not None
        torch.testing.assert_close(a.detach() * mask[:, -keep:], b.detach(), atol=1e-5, rtol=1e-5)
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_prompts_and_repeated_completions_go_through_the_model_once() -> None:
    model = build("llama")
    tokens: list[int] = []
    model.model.register_forward_pre_hook(
        lambda m, args, kwargs: tokens.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    ids, mask, keep = group_batch([20, 20], [[4] * 7, [4] * 7])  # 16 rows, 14 different
    completion_log_probs(model, ids, mask, keep)
    assert sum(tokens) == 2 * 19 + 14 * 4  # the last prompt token replaces the last completion token as input
    assert ids.numel() == 16 * 24


def test_prompts_that_all_differ_are_left_to_the_plain_way() -> None:
    ids, mask, keep = group_batch([4, 5], [[3], [3]])
    assert completion_log_probs(build("llama"), ids[::2], mask[::2], keep) is None


def test_a_sliding_window_is_left_to_the_plain_way() -> None:
    ids, mask, keep = group_batch([9, 5], [[3, 2], [3, 4]])
    assert completion_log_probs(build("mistral"), ids, mask, keep) is None


def test_group_rows_gives_an_example_of_each_kind() -> None:
    rows = torch.tensor([[1, 2], [3, 4], [1, 2], [0, 9], [3, 4]])
    example, kind = group_rows(rows)
    assert len(example) == 3
    assert torch.equal(rows[example[kind]], rows)


def test_distributed_data_parallel_is_called_once_and_sees_every_gradient(tmp_path: Path) -> None:
    """On each call it talks to the other processes, which may have other numbers of prompts and rows."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        model = build("llama")
        wrapped = DistributedDataParallel(model, find_unused_parameters=True)
        calls: list[int] = []
        wrapped.register_forward_pre_hook(lambda *_: calls.append(1))
        ids, mask, keep = group_batch([5, 9], [[3, 7], [4, 6]])
        gradients = []
        for callee in (wrapped, model):
            model.zero_grad()
            found = completion_log_probs(callee, ids, mask, keep)
            assert found is not None and found[0] is not None
            found[0].sum().backward()
            gradients.append([p.grad.clone() for p in model.parameters()])
    finally:
        torch.distributed.destroy_process_group()
    assert len(calls) == 1
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)
