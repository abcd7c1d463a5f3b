from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from rtrl_chem.models.decode import FINISHED_SHARE, decode

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 20}
EOS, PAD = 1, 0


def build(kind: str) -> Any:
    torch.manual_seed(3)
    if kind == "llama":
        model: Any = LlamaForCausalLM(LlamaConfig(**SIZES, intermediate_size=48, num_key_value_heads=2))
    else:
        model = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=20))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.4)
    return model.eval()


def prompts(rows: int, repeat: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    lengths = [3 + i % 5 for i in range(rows)]
    ids, mask = torch.zeros(rows, 8, dtype=torch.long), torch.zeros(rows, 8, dtype=torch.long)
    for i, n in enumerate(lengths):
        ids[i, -n:] = torch.randint(2, 20, (n,), generator=generator)
        mask[i, -n:] = 1
    return {"input_ids": ids.repeat_interleave(repeat, 0), "attention_mask": mask.repeat_interleave(repeat, 0)}


def settings(**more: Any) -> GenerationConfig:
    return GenerationConfig(max_new_tokens=16, eos_token_id=EOS, pad_token_id=PAD, disable_compile=True, **more)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("more", [{}, {"repetition_penalty": 1.3}, {"num_beams": 3}, {"min_new_tokens": 4}])
def test_greedy_answers_are_those_of_transformers(kind: str, more: dict[str, Any]) -> None:
    model, batch = build(kind), prompts(12, 2)
    expected = model.generate(**batch, generation_config=settings(do_sample=False, **more))
    got = model.generate(**batch, generation_config=settings(do_sample=False, **more), custom_generate=decode)
    assert (expected[:, 8:] == EOS).any(1).sum() > 4, "rows must end at different steps for this to say anything"
    assert torch.equal(got, expected)


def test_rows_that_ended_are_not_computed_and_prompts_only_once() -> None:
    model, batch = build("llama"), prompts(6, 4)
    seen: list[tuple[int, ...]] = []
    model.model.register_forward_pre_hook(
        lambda m, args, kwargs: seen.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    out = model.generate(**batch, generation_config=settings(do_sample=False), custom_generate=decode)
    written = [row.tolist() for row in out[:, 8:]]
    lengths = torch.tensor([row.index(EOS) + 1 if EOS in row else len(row) for row in written])
    assert seen[0] == (6, 8)
    for step, shape in enumerate(seen[1:], start=1):
        alive = int((lengths > step).sum())
        assert alive <= shape[0] <= max(alive / (1 - FINISHED_SHARE), 1)
    assert seen[-1][0] < 24


@pytest.mark.parametrize("given", [True, False], ids=["noise given", "torch's own"])
def test_samples_follow_the_models_distribution(given: bool) -> None:
    """First tokens of 6,000 samples against the model's probabilities: chi-square, 19 degrees of freedom."""
    model = build("llama")
    batch = {key: value[:1] for key, value in prompts(1, 1).items()}
    with torch.no_grad():
        expected = model(**batch).logits[0, -1].softmax(-1)
    more = {key: value.repeat(6000, 1) for key, value in batch.items()}
    torch.manual_seed(0)
    config = GenerationConfig(max_new_tokens=1, do_sample=True, top_k=0, eos_token_id=EOS, pad_token_id=PAD)
    noise = torch.rand(6000, 1) if given else None
    out = model.generate(**more, generation_config=config, custom_generate=decode, noise=noise)
    counts = torch.bincount(out[:, 8 if out.size(1) > 8 else -1], minlength=20).float()
    assert ((counts - 6000 * expected) ** 2 / (6000 * expected)).sum() < 44  # p = 0.001


def test_a_batch_without_padding_or_mask_works() -> None:
    model = build("llama")
    ids = torch.randint(2, 20, (5, 4), generator=torch.Generator().manual_seed(5))
    config = settings(do_sample=False)
    expected = model.generate(input_ids=ids, generation_config=config)
    assert torch.equal(model.generate(input_ids=ids, generation_config=config, custom_generate=decode), expected)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_noise_decides_a_rows_sample_in_any_batch(kind: str) -> None:
    model, batch, noise = build(kind), prompts(6, 4), torch.rand(24, 16, generator=torch.Generator().manual_seed(1))
    config = settings(do_sample=True, temperature=1.3)

    def sample(rows: slice) -> list[list[int]]:
        part = {key: value[rows] for key, value in batch.items()}
        out = model.generate(**part, generation_config=config, custom_generate=decode, noise=noise[rows])
        return [[*row[: row.index(EOS)], EOS] if EOS in row else row for row in out[:, 8:].tolist()]

    together = sample(slice(24))
    torch.manual_seed(99)
    assert sample(slice(0, 12)) + sample(slice(12, 24)) == together
    assert len({tuple(row) for row in together}) > 20


@pytest.mark.parametrize("uniform", [0.0, 1 - 2.0**-24], ids=["lowest", "highest"])
def test_no_noise_leads_to_a_token_of_probability_zero(uniform: float) -> None:
    model, batch = build("llama"), prompts(6, 1)
    config = settings(do_sample=True, top_k=2)
    out = model.generate(**batch, generation_config=config, custom_generate=decode, noise=torch.full((6, 16), uniform))
    ids = batch["input_ids"]
    with torch.no_grad():
        best = model(**batch).logits[:, -1].topk(2).indices
    assert ((out[:, ids.size(1), None] == best).sum(1) == 1).all()
