"""The supervised term: whatever share a micro-batch computes, together they are the mean over the step's answers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from rtrl_chem.tasks import Direction
from rtrl_chem.training.phase import derive_seed
from rtrl_chem.training.sft import Example, encode
from rtrl_chem.training.supervised import SupervisedTerm

PAIRS = {"CCO": "ethanol", "CCC": "propane", "CCN": "ethanamine", "C": "methane", "CC(=O)O": "acetic acid"}
EXAMPLES = [Example(Direction.FORWARD, x, y) for x, y in PAIRS.items()]
EXAMPLES += [Example(Direction.REVERSE, y, x) for x, y in PAIRS.items()]


def term(policy: Any, weight: float = 1.0, *, steps: int = 4, per_step: int = 5, seed: int = 0) -> SupervisedTerm:
    return SupervisedTerm(policy.codec, EXAMPLES, weight, steps=steps, per_step=per_step, seed=seed)


def plain_loss(policy: Any, examples: list[Example]) -> torch.Tensor:
    """Mean negative log-likelihood of a token of the answers, one row at a time."""
    total, tokens = torch.zeros(()), 0
    rows = encode(policy.codec, examples)
    for ids, labels in zip(rows["input_ids"], rows["labels"], strict=True):
        logits = policy.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        for at, label in enumerate(labels):
            if label != -100:
                total, tokens = total - logits[at - 1, label], tokens + 1
    return total / tokens


@pytest.mark.parametrize("shares", [1, 2, 3, 8], ids=lambda n: f"{n} shares of 5 examples")
def test_the_shares_add_up(make_policy: Callable[..., Any], shares: int) -> None:
    policy = make_policy()
    supervised = term(policy)
    loss = torch.stack([supervised.share(policy.model, 1, i, shares) for i in range(shares)]).sum()
    gradients = torch.autograd.grad(loss, [*policy.model.parameters()])
    expected = plain_loss(policy, supervised._order[5:10])
    torch.testing.assert_close(loss, expected)
    for ours, theirs in zip(gradients, torch.autograd.grad(expected, [*policy.model.parameters()]), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("always_call", "calls"), [(False, 0), (True, 1)])
def test_an_empty_share_calls_the_model_only_where_all_must(
    make_policy: Callable[..., Any], always_call: bool, calls: int
) -> None:
    policy, seen = make_policy(), []
    policy.model.register_forward_hook(lambda *call: seen.append(1))
    loss = term(policy).share(policy.model, 0, 7, 8, always_call=always_call)
    assert (float(loss), len(seen)) == (0.0, calls)


def test_every_example_comes_before_one_comes_twice(make_policy: Callable[..., Any]) -> None:
    order = term(make_policy())._order
    assert len(order) == 20
    assert set(order[:10]) == set(order[10:]) == set(EXAMPLES)
    assert order != term(make_policy(), seed=1)._order


@pytest.mark.parametrize("algorithm", ["grpo", "rloo", "ppo"])
def test_it_is_added_to_the_loss_of_every_algorithm(
    make_policy: Callable[..., Any], run_phase: Callable[..., Any], logs: Any, algorithm: str
) -> None:
    """Without any reward to follow, a step of plain SGD is the weighted gradient of the supervised loss."""
    policy = make_policy()
    before = copy.deepcopy(policy)
    run_phase(
        policy,
        lambda ids, source: 0.0,
        algorithm,
        callbacks=[logs],
        options={"sft_examples": EXAMPLES, "sft_weight": 0.5},
        ppo={"kl_coef": 0.0} if algorithm == "ppo" else None,
        beta=0.0,
        num_generations=2,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=3,
        optim="sgd",
        max_grad_norm=0.0,
        learning_rate=0.1,
        lr_scheduler_type="constant",
    )
    used = term(policy, steps=1, per_step=6, seed=derive_seed(0, 0, Direction.FORWARD))._order
    loss = plain_loss(before, used)
    assert logs.rows[0]["sft_loss"] == pytest.approx(loss.item(), rel=1e-4)
    gradients = torch.autograd.grad(loss, [*before.model.parameters()])
    for old, new, gradient in zip(before.model.parameters(), policy.model.parameters(), gradients, strict=True):
        torch.testing.assert_close(new, old - 0.1 * 0.5 * gradient, atol=1e-5, rtol=1e-3)


def test_without_weight_or_examples_there_is_none(
    make_policy: Callable[..., Any], run_phase: Callable[..., Any], logs: Any
) -> None:
    for options in ({"sft_examples": EXAMPLES, "sft_weight": 0.0}, {"sft_examples": [], "sft_weight": 1.0}):
        run_phase(make_policy(), lambda ids, source: 0.0, callbacks=[logs], options=options)
    assert not any("sft_loss" in row for row in logs.rows)
