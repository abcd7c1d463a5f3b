"""What our trainers share: dealing by prompt, what is left out of an update, the distance from the phase's start."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.models.policy import Policy
from rtrl_chem.models.snapshot import take_snapshot
from rtrl_chem.training import rollouts
from rtrl_chem.training.rollouts import by_prompt, in_order, mean_kl


def micro_batches(lengths: list[tuple[int, int]], rows: int) -> list[dict[str, torch.Tensor]]:
    """Micro-batches as TRL buffers them: every row padded to the longest of all, prompts left, completions right."""
    p, c = (max(column) for column in zip(*lengths, strict=True))
    batches = []
    for start in range(0, len(lengths), rows):
        part = range(start, min(start + rows, len(lengths)))
        prompts = torch.tensor([[0] * (p - lengths[i][0]) + [100 + i] * lengths[i][0] for i in part])
        completions = torch.tensor([[200 + i] * lengths[i][1] + [0] * (c - lengths[i][1]) for i in part])
        batches.append(
            {
                "prompt_ids": prompts,
                "prompt_mask": (prompts > 0).long(),
                "completion_ids": completions,
                "completion_mask": (completions > 0).long(),
                "advantages": torch.tensor([float(i) for i in part]),
                "old_per_token_logps": -completions.float(),
                "num_items_in_batch": torch.tensor(7.0),
            }
        )
    return batches


def samples(batches: list[dict[str, torch.Tensor]]) -> list[tuple]:
    """Each row without its padding, sorted."""
    found = []
    for b in batches:
        for i in range(len(b["advantages"])):
            seen = b["completion_mask"][i].bool()
            prompt = tuple(b["prompt_ids"][i][b["prompt_mask"][i].bool()].tolist())
            completion = tuple(b["completion_ids"][i][seen].tolist())
            logps = tuple(b["old_per_token_logps"][i][seen].tolist())
            found.append((prompt, completion, logps, b["advantages"][i].item()))
    return sorted(found)


LENGTHS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=8, max_size=8)


@given(LENGTHS, st.sampled_from([1, 2, 4]))
def test_dealing_by_prompt_keeps_every_sample_in_its_optimizer_step(
    lengths: list[tuple[int, int]], window: int
) -> None:
    batches = micro_batches(lengths, rows=2)
    dealt = by_prompt(batches, window)
    assert len(dealt) == len(batches)
    for start in range(0, len(batches), window):
        assert samples(dealt[start : start + window]) == samples(batches[start : start + window])


def test_dealing_by_prompt_cuts_the_padding_off() -> None:
    dealt = by_prompt(micro_batches([(9, 9), (1, 1), (2, 2), (8, 8)], rows=2), window=2)
    assert [tuple(b["completion_ids"].shape) for b in dealt] == [(2, 2), (2, 9)]
    assert [tuple(b["prompt_ids"].shape) for b in dealt] == [(2, 2), (2, 9)]
    assert [tuple(b["old_per_token_logps"].shape) for b in dealt] == [(2, 2), (2, 9)]


@given(st.lists(st.sampled_from([-2.0, -1e-5, 0.0, 1e-5, 1.0]), min_size=8, max_size=8), st.sampled_from([1, 2, 4]))
def test_samples_without_advantage_are_left_out_but_no_micro_batch_is_empty(
    advantages: list[float], window: int
) -> None:
    batches = micro_batches([(1 + i % 3, 1 + i % 4) for i in range(8)], rows=2)
    for i, batch in enumerate(batches):
        batch["advantages"] = torch.tensor(advantages[2 * i : 2 * i + 2])
    dealt = by_prompt(batches, window, least=1e-3)
    assert len(dealt) == len(batches)
    assert all(len(batch["advantages"]) for batch in dealt)
    for start in range(0, len(batches), window):
        before, after = samples(batches[start : start + window]), samples(dealt[start : start + window])
        assert set(after) <= set(before)
        assert {s for s in before if abs(s[-1]) >= 1e-3} <= set(after)
        assert any(abs(s[-1]) < 1e-3 for s in after) <= (sum(abs(s[-1]) >= 1e-3 for s in before) < window)


@pytest.mark.parametrize("window", [1, 2])
def test_what_belongs_to_the_whole_batch_is_left_alone(window: int) -> None:
    dealt = by_prompt(micro_batches([(3, 3)] * 4, rows=2), window)
    assert [b["num_items_in_batch"].item() for b in dealt] == [7.0, 7.0]


def test_a_last_smaller_micro_batch_leaves_the_order_as_it_is() -> None:
    batches = micro_batches([(1, 5), (1, 4), (1, 3)], rows=2)
    assert by_prompt(batches, window=2) == batches


# ---- several processes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("window", [1, 2])
def test_an_optimizer_step_has_the_same_samples_on_any_number_of_processes(processes: int, window: int) -> None:
    """16 rows in 2 steps; each process holds a stretch of them, which TRL has shuffled."""
    steps: list[set[int]] = [set(), set()]
    for rank in range(processes):
        own = torch.arange(16)[rank * 16 // processes :][: 16 // processes]
        shuffled = own[torch.randperm(len(own), generator=torch.Generator().manual_seed(rank))]
        parts = shuffled.split(len(own) // (2 * window))
        batches = in_order(
            [{"row": part, "completion_ids": part[:, None], "all": torch.tensor(1)} for part in parts], window
        )
        assert [len(batch["row"]) for batch in batches] == [len(own) // (2 * window)] * 2 * window
        for i, batch in enumerate(batches):
            assert torch.equal(batch["row"], batch["completion_ids"][:, 0])
            steps[i // window] |= set(batch["row"].tolist())
    assert steps == [set(range(0, 16, 2)), set(range(1, 16, 2))]


def test_processes_keep_equally_many_samples_and_count_those_that_one_process_would() -> None:
    lengths = [(1 + i % 3, 1 + i % 4) for i in range(8)]
    advantages = torch.tensor([2.0, 1e-5, 1.0, -3.0, 0.0, 1e-4, 0.0, -1.0])
    alone = micro_batches(lengths, rows=8)
    alone[0]["advantages"] = advantages.clone()
    expected = samples(by_prompt(alone, 1, 1e-3))
    assert len(expected) == 4
    counted = []
    for rank in range(2):
        [batch] = micro_batches(lengths, rows=8)
        mine = {key: value[4 * rank :][:4] if value.dim() else value for key, value in batch.items()}
        mine["advantages"] = advantages[4 * rank :][:4].clone()
        [dealt] = by_prompt([mine], 1, 1e-3, lambda column: advantages.abs().view(2, 4))
        assert len(dealt["advantages"]) == 3
        blank = dealt["tool_mask"].sum(1) == 0
        assert (dealt["advantages"][blank] == 0).all()
        assert torch.equal(dealt["tool_mask"][~blank], dealt["completion_mask"][~blank])
        counted += samples([{k: v[~blank] if v.dim() else v for k, v in dealt.items()}])
    assert sorted(counted) == expected


# ---- the update is that of TRL's own batches ------------------------------------------------------------------------


def judge(ids: list[int], source: str) -> float:
    """Half of the groups are all alike."""
    return (sum(ids) % 5) / 5 if len(source) % 2 else 1.0


LOSSES = ["grpo", "dapo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"]
CASES = [("grpo", {"loss_type": loss}) for loss in LOSSES] + [("rloo", {}), ("rloo", {"normalize_advantages": True})]
IDS = [*LOSSES, "rloo", "rloo normalised"]


@pytest.mark.parametrize(("algorithm", "trainer"), CASES, ids=IDS)
def test_dealing_changes_no_update(
    taught_policy: Any,
    run_phase: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    algorithm: str,
    trainer: dict[str, Any],
) -> None:
    """Every loss of TRL: weights after a step with the samples dealt by prompt, those without advantage left out,
    against TRL's random micro-batches of the same samples."""
    sizes: list[list[int]] = []

    def dealt(*args: Any) -> Any:
        found = by_prompt(*args)
        sizes.append([len(batch["advantages"]) for batch in found])
        return found

    trained = []
    for deal, order in ((dealt, in_order), (lambda batches, *rest: batches, lambda batches, window: batches)):
        policy = Policy(copy.deepcopy(taught_policy.model), taught_policy.codec)
        monkeypatch.setattr(rollouts, "by_prompt", deal)
        monkeypatch.setattr(rollouts, "in_order", order)
        run_phase(
            policy,
            judge,
            algorithm,
            gradient_accumulation_steps=2,
            per_device_train_batch_size=8,
            optim="sgd",
            lr_scheduler_type="constant",
            learning_rate=0.1,
            temperature=3.0,
            beta=0.0,
            **trainer,
        )
        trained.append([p.detach() for p in policy.model.parameters()])
    assert any(not torch.equal(a, b) for a, b in zip(trained[0], taught_policy.model.parameters(), strict=True))
    for a, b in zip(*trained, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    assert bool(sizes) is (trainer.get("loss_type") != "bnpo")
    drops = algorithm == "rloo" or trainer.get("loss_type") in ("dapo", "cispo", "vespo")
    assert any(sum(step) < 16 for step in sizes) is drops


@pytest.mark.parametrize(("rollout", "dealt"), [(2, True), (4, True), (6, True), (3, False)])
def test_samples_stay_in_their_step_where_rollouts_and_steps_end_apart(
    make_policy: Any, run_phase: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, rollout: int, dealt: bool
) -> None:
    """With steps of 2 micro-batches and rollouts of 3, the second rollout begins in the middle of a step."""
    calls: list[int] = []
    monkeypatch.setattr(rollouts, "by_prompt", lambda batches, *rest: calls.append(1) or batches)
    sizes = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "steps_per_generation": rollout}
    run_phase(make_policy(), judge, steps=3, **sizes)
    assert bool(calls) is dealt


# ---- distance from the start ----------------------------------------------------------------------------------------


def test_the_distance_by_hand() -> None:
    policy, start = torch.tensor([[-1.0, -2.0, 0.0]]), torch.tensor([[-1.0, -3.0, 9.0]])
    total, tokens = mean_kl(policy, start, torch.tensor([[1, 1, 0]])).tolist()
    assert (total, tokens) == pytest.approx((math.exp(-1.0) + 1.0 - 1.0, 2))


def test_its_expectation_is_the_divergence() -> None:
    torch.manual_seed(0)
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.5, 0.3, 0.2])
    drawn = torch.multinomial(p, 200_000, replacement=True)[None]
    total, tokens = mean_kl(p.log()[drawn], q.log()[drawn], torch.ones_like(drawn)).tolist()
    assert total / tokens == pytest.approx((p * (p / q).log()).sum().item(), rel=0.02)


@pytest.mark.parametrize(
    ("algorithm", "lora"),
    [("grpo", None), ("rloo", None), ("ppo", None), ("ppo", {"r": 4, "target_modules": "all-linear"})],
    ids=["grpo", "rloo", "ppo", "ppo, lora"],
)
def test_every_step_logs_how_far_the_policy_has_gone(
    make_policy: Callable[..., Any], run_phase: Callable[..., Any], logs: Any, algorithm: str, lora: Any
) -> None:
    policy = make_policy(lora=lora)
    start = take_snapshot(policy.model)
    ids = torch.arange(8)[None] + 10
    with start.active() as model:
        before = model(input_ids=ids).logits.detach()
    run_phase(
        policy,
        judge,
        algorithm,
        steps=2,
        callbacks=[logs],
        learning_rate=0.01,
        temperature=0.8,
        beta=0.0,
        ppo={"kl_coef": 0.0} if algorithm == "ppo" else None,
        options={"start": start},
    )
    distances = [row["kl"] for row in logs.rows]
    assert distances[0] == pytest.approx(0.0, abs=1e-6)
    assert distances[-1] > 1e-4
    assert all(row["entropy"] > 0 for row in logs.rows)
    with start.active() as model:
        assert torch.equal(model(input_ids=ids).logits, before)
        assert "forward" not in model.__dict__


def test_without_a_start_no_distance_is_logged(
    make_policy: Callable[..., Any], run_phase: Callable[..., Any], logs: Any
) -> None:
    run_phase(make_policy(), judge, callbacks=[logs])
    assert "kl" not in logs.rows[0]
