"""PPO: its equations by hand, its loss against a textbook's, its value head, and that it learns."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model

from rtrl_chem.config import PPOOptions
from rtrl_chem.models.policy import Policy
from rtrl_chem.models.snapshot import take_snapshot
from rtrl_chem.models.value_head import ValueHead
from rtrl_chem.tasks import Direction
from rtrl_chem.training.arguments import PPOArguments
from rtrl_chem.training.ppo import RoundTripPPOTrainer, gae, moments, token_rewards, value_losses, whiten

ONES = torch.ones(1, 3)
NO_KL: dict[str, Any] = {"kl_coef": 0.0}
Run = Callable[..., Any]


# ---- equations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gamma", "lam", "advantages"),
    [
        # r = (0, 0, 1), V = (.5, .25, .75): deltas -.25 + ... are V2 - V1, V3 - V2, 1 - V3 where gamma is 1.
        pytest.param(1.0, 1.0, [0.5, 0.75, 0.25], id="sampled return minus value"),
        pytest.param(1.0, 0.0, [-0.25, 0.5, 0.25], id="one step ahead"),
        pytest.param(1.0, 0.5, [-0.25 + 0.5 * 0.625, 0.5 + 0.5 * 0.25, 0.25], id="between"),
        pytest.param(0.5, 1.0, [0.25 - 0.5, 0.5 - 0.25, 0.25], id="discounted return minus value"),
        pytest.param(0.5, 0.0, [0.125 - 0.5, 0.375 - 0.25, 0.25], id="discounted, one step ahead"),
        pytest.param(0.0, 0.95, [-0.5, -0.25, 0.25], id="blind to what comes"),
    ],
)
def test_advantages_by_hand(gamma: float, lam: float, advantages: list[float]) -> None:
    rewards, values = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.5, 0.25, 0.75]])
    found, returns = gae(rewards, values, ONES, gamma, lam)
    torch.testing.assert_close(found, torch.tensor([advantages]))
    torch.testing.assert_close(returns, found + values)


def test_nothing_is_bootstrapped_after_the_last_token() -> None:
    """What stands in the padding, a value or a reward, changes nothing."""
    rewards, values = torch.tensor([[0.0, 1.0, 99.0]]), torch.tensor([[0.5, 0.25, 99.0]])
    found, returns = gae(rewards, values, torch.tensor([[1, 1, 0]]), 1.0, 0.5)
    torch.testing.assert_close(found, torch.tensor([[-0.25 + 0.5 * 0.75, 0.75, 0.0]]))
    assert returns[0, 2] == 0.0


Row = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(-2, 2), min_size=n, max_size=n), st.lists(st.floats(-2, 2), min_size=n, max_size=n)
    )
)


@given(st.lists(Row, min_size=1, max_size=4), st.floats(0, 1), st.floats(0, 1))
def test_advantages_are_the_exponentially_weighted_sum_of_the_textbook(
    rows: list[tuple[list[float], list[float]]], gamma: float, lam: float
) -> None:
    """A_t = sum over l of (gamma lam)^l delta_{t+l}, row by row without padding."""
    width = max(len(r) for r, _ in rows)
    padded = [[x + [7.0] * (width - len(x)) for x in row] for row in rows]
    rewards, values = (torch.tensor([row[k] for row in padded], dtype=torch.float64) for k in (0, 1))
    mask = torch.tensor([[1] * len(r) + [0] * (width - len(r)) for r, _ in rows])
    found, _ = gae(rewards, values, mask, gamma, lam)
    for i, (r, v) in enumerate(rows):
        deltas = [r[t] + gamma * (v[t + 1] if t + 1 < len(v) else 0.0) - v[t] for t in range(len(r))]
        for t in range(width):
            expected = sum((gamma * lam) ** k * d for k, d in enumerate(deltas[t:])) if t < len(r) else 0.0
            assert found[i, t].item() == pytest.approx(expected, abs=1e-9)


def test_the_score_comes_with_the_last_token_and_the_penalty_with_each() -> None:
    mask = torch.tensor([[1, 1, 1], [1, 1, 0], [0, 0, 0]])
    log_ratio = torch.tensor([[0.1, -0.2, 0.3], [0.5, 0.5, 9.0], [9.0, 9.0, 9.0]])
    found = token_rewards(torch.tensor([2.0, -1.0, 5.0]), mask, log_ratio, kl_coef=0.5)
    torch.testing.assert_close(found, torch.tensor([[-0.05, 0.1, 1.85], [-0.25, -1.25, 0.0], [0.0, 0.0, 0.0]]))
    assert token_rewards(torch.tensor([2.0, -1.0, 5.0]), mask).tolist() == [[0, 0, 2], [0, -1, 0], [0, 0, 0]]


def test_whitening_looks_at_tokens_alone() -> None:
    mask = torch.tensor([[1, 1], [1, 0]])
    x = torch.tensor([[1.0, 3.0], [5.0, 99.0]])
    mean, variance = moments(x, mask)
    assert (mean, variance) == pytest.approx((3.0, 8 / 3))
    white = whiten(x, mask, mean, variance)
    assert white[1, 1] == 0.0
    assert moments(white, mask) == pytest.approx((0.0, 1.0), abs=1e-6)
    scaled = whiten(x, mask, mean, variance, shift=False)
    assert moments(scaled, mask) == pytest.approx((3.0, 1.0), abs=1e-6)


@pytest.mark.parametrize(
    ("value", "loss", "clipped"),
    [
        pytest.param(1.1, 0.5 * 0.9**2, False, id="inside: the plain error"),
        pytest.param(1.5, 0.5 * 0.8**2, True, id="too fast towards the return: no gradient"),
        pytest.param(0.5, 0.5 * 1.5**2, False, id="away from it: the plain error"),
        pytest.param(2.7, 0.5 * 0.8**2, True, id="past it, but nearer than the range"),
        pytest.param(3.5, 0.5 * 1.5**2, False, id="far past it: pulled back"),
    ],
)
def test_value_loss_by_hand(value: float, loss: float, clipped: bool) -> None:
    """The value was 1 at the rollout, the return is 2, the range 0.2."""
    values = torch.tensor([value], requires_grad=True)
    found, far = value_losses(values, torch.tensor([1.0]), torch.tensor([2.0]), 0.2)
    assert found.item() == pytest.approx(loss)
    assert far.item() is clipped
    found.sum().backward()
    assert values.grad is not None and (values.grad.item() == 0.0) is clipped


def test_the_defaults_are_those_of_the_config(tmp_path: Any) -> None:
    arguments = PPOArguments(output_dir=str(tmp_path), use_cpu=True, bf16=False)
    assert {name: getattr(arguments, name) for name in PPOOptions.model_fields} == PPOOptions().model_dump()


# ---- the whole loss against a textbook's ----------------------------------------------------------------------------


class Textbook:
    """PPO's loss for one batch, sample by sample and token by token, from plain forward passes."""

    def __init__(self, of: Any, o: dict[str, float], temperature: float, epsilon: float) -> None:
        self.of, self.o, self.temperature, self.epsilon = of, o, temperature, epsilon

    def step(self, model: Any, head: ValueHead, sample: tuple[list[int], list[int]]) -> tuple[Any, Any]:
        """(log p, V) of each token written: V of the state before it."""
        prompt, written = sample
        ids = torch.tensor([prompt + written])
        out = model(input_ids=ids, output_hidden_states=True, use_cache=False)
        at = range(len(prompt) - 1, ids.size(1) - 1)
        logits = out.logits[0] / self.temperature
        logps = [logits[i].log_softmax(-1)[ids[0, i + 1]] for i in at]
        return logps, [(head.weight[0] @ out.hidden_states[-1][0, i] + head.bias[0]) for i in at]

    def advantages(self, sample: Any, old: Any, start: Any) -> tuple[list[float], list[float]]:
        logps, values = ([float(x) for x in part] for part in self.step(*old, sample))
        reference = [float(x) for x in self.step(*start, sample)[0]]
        rewards = [-self.o["kl_coef"] * (a - b) for a, b in zip(logps, reference, strict=True)]
        rewards[-1] += self.of(sample[1])
        deltas = [r + self.o["gamma"] * n - v for r, v, n in zip(rewards, values, [*values[1:], 0.0], strict=True)]
        decay = self.o["gamma"] * self.o["lam"]
        found = [sum(decay**k * d for k, d in enumerate(deltas[t:])) for t in range(len(deltas))]
        return found, [a + v for a, v in zip(found, values, strict=True)]

    def loss(self, samples: Any, new: Any, old: Any, start: Any) -> torch.Tensor:
        parts = [self.advantages(sample, old, start) for sample in samples]
        flat = torch.tensor([a for advantages, _ in parts for a in advantages], dtype=torch.float64)
        mean, deviation = flat.mean(), flat.std(correction=0)
        policy, value, tokens = torch.zeros(()), torch.zeros(()), 0
        for sample, (advantages, returns) in zip(samples, parts, strict=True):
            before, now = self.step(*old, sample), self.step(*new, sample)
            for t in range(len(sample[1])):
                advantage = float((advantages[t] - mean) / deviation)
                ratio = (now[0][t] - before[0][t].detach()).exp()
                policy = policy - torch.min(
                    ratio * advantage, ratio.clamp(1 - self.epsilon, 1 + self.epsilon) * advantage
                )
                v, v_old, clip = now[1][t], before[1][t].detach(), self.o["cliprange_value"]
                near = v_old + (v - v_old).clamp(-clip, clip)
                value = value + 0.5 * torch.max((v - returns[t]) ** 2, (near - returns[t]) ** 2)
                tokens += 1
        return (policy + self.o["vf_coef"] * value) / tokens


def samples_of(inputs: dict[str, torch.Tensor]) -> list[tuple[list[int], list[int]]]:
    return [
        tuple(inputs[f"{part}_ids"][i][inputs[f"{part}_mask"][i].bool()].tolist() for part in ("prompt", "completion"))
        for i in range(len(inputs["prompt_ids"]))
    ]  # type: ignore[misc]


def judge(ids: list[int], source: str = "") -> float:
    return (sum(ids) % 11) / 11


def adapted(model: Any) -> Any:
    """The model under an adapter that does something."""
    torch.manual_seed(1)
    return get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))


def learned(model: Any) -> list[torch.Tensor]:
    return [p for name, p in model.named_parameters() if p.requires_grad and ".ref." not in name]


@pytest.mark.parametrize(
    ("wrap", "trainer"),
    [
        pytest.param(lambda model: model, {"num_generations": 4}, id="shared prompts"),
        pytest.param(lambda model: model, {"num_generations": 1}, id="one sample a prompt"),
        pytest.param(adapted, {"num_generations": 4}, id="lora"),
        pytest.param(
            lambda model: model,
            {"num_generations": 2, "gradient_accumulation_steps": 2, "per_device_train_batch_size": 4},
            id="accumulated",
        ),
    ],
)
def test_loss_and_gradient_are_a_textbooks(
    taught_policy: Any,
    make_policy: Any,
    run_phase: Run,
    monkeypatch: pytest.MonkeyPatch,
    wrap: Any,
    trainer: dict[str, int],
) -> None:
    """Two updates on the same samples: the second has ratios and values that have moved, some beyond their ranges."""
    policy, other = Policy(wrap(copy.deepcopy(taught_policy.model)), taught_policy.codec), make_policy(seed=5)
    untouched = copy.deepcopy(policy.model)
    head = ValueHead.of(policy.model)
    torch.nn.init.normal_(head.weight, 0, 0.05, generator=torch.Generator().manual_seed(0))
    head.fresh = False
    policy.value_heads["forward"] = head
    options = {"gamma": 0.9, "lam": 0.8, "vf_coef": 0.3, "cliprange_value": 0.01, "kl_coef": 0.1}
    caught: list[tuple[Any, Any, Any, Any]] = []
    real = RoundTripPPOTrainer._reward_loss

    def caught_loss(trainer: Any, model: Any, inputs: Any) -> torch.Tensor:
        loss = real(trainer, model, inputs)
        gradients = torch.autograd.grad(loss, learned(policy.model), retain_graph=True)
        caught.append((samples_of(inputs), plain_copy(), loss.item(), gradients))
        return loss

    def plain_copy() -> tuple[Any, ValueHead]:
        model, now = copy.deepcopy(untouched), policy.model.state_dict()
        model.load_state_dict({name: now[name] for name in model.state_dict()})
        return model, copy.deepcopy(head)

    monkeypatch.setattr(RoundTripPPOTrainer, "_reward_loss", caught_loss)
    before = plain_copy()
    run_phase(
        policy,
        judge,
        "ppo",
        steps=2,
        ppo=options,
        num_iterations=2,
        **trainer,
        temperature=0.7,
        epsilon=0.05,
        learning_rate=0.01,
        lr_scheduler_type="constant",
        options={"start": take_snapshot(other.model)},
    )
    textbook = Textbook(judge, options, 0.7, 0.05)
    parts = trainer.get("gradient_accumulation_steps", 1)
    assert len(caught) == 2 * parts
    steps = [caught[:parts], caught[parts:]]
    for step in steps:
        samples = [sample for part in step for sample in part[0]]
        assert len({len(written) for _, written in samples}) > 1, "some answers are shorter: there is padding"
        model, own_head = step[0][1]
        expected = textbook.loss(samples, (model, own_head), before, (other.model, own_head))
        assert sum(part[2] for part in step) == pytest.approx(expected.item(), abs=1e-5)
        wanted = torch.autograd.grad(expected, [*learned(model), *own_head.parameters()])
        for ours, theirs in zip(zip(*(part[3] for part in step), strict=True), wanted, strict=True):
            torch.testing.assert_close(sum(ours), theirs, atol=1e-4, rtol=1e-3)
    assert [part[0] for part in steps[0]] == [part[0] for part in steps[1]]


# ---- a run ----------------------------------------------------------------------------------------------------------


def arm(ids: list[int], source: str) -> float:
    """A bandit with a quarter of the vocabulary as its good arms."""
    return float(ids[0] % 4 == 0)


def share_of_good_arms(policy: Any) -> float:
    ids = torch.tensor(policy.codec.prompt_ids(Direction.FORWARD, ["CCO"]))
    with torch.no_grad():
        return float(policy.model(input_ids=ids).logits[0, -1].softmax(-1)[::4].sum())


def test_a_bandit_is_learned(make_policy: Any, run_phase: Run, logs: Any) -> None:
    policy = make_policy()
    assert share_of_good_arms(policy) < 0.4
    run_phase(
        policy,
        arm,
        "ppo",
        steps=12,
        ppo=NO_KL | {"value_learning_rate": 0.01},
        callbacks=[logs],
        num_generations=1,
        per_device_train_batch_size=32,
        max_completion_length=2,
        learning_rate=0.03,
        lr_scheduler_type="constant",
    )
    assert share_of_good_arms(policy) > 0.9
    assert logs.rows[-1]["value/mean"] > 0.6, "the value head follows"


def test_the_head_learns_which_prompts_pay(make_policy: Any, run_phase: Run, logs: Any) -> None:
    run_phase(
        make_policy(),
        lambda ids, source: float(len(source) % 2),
        "ppo",
        steps=12,
        ppo=NO_KL | {"value_learning_rate": 0.03, "cliprange_value": 1.0},
        callbacks=[logs],
        per_device_train_batch_size=32,
        max_completion_length=1,
        learning_rate=1e-6,
        lr_scheduler_type="constant",
    )
    explained = [row["value/explained_variance"] for row in logs.rows]
    assert explained[0] == pytest.approx(0.0, abs=0.05)
    assert explained[-1] > 0.3


def test_a_new_head_starts_at_the_mean_reward(make_policy: Any, run_phase: Run, logs: Any) -> None:
    policy = make_policy()
    run_phase(policy, lambda ids, source: -4.0, "ppo", ppo=NO_KL, callbacks=[logs], learning_rate=0.0)
    assert logs.rows[0]["value/mean"] == pytest.approx(-4.0)
    assert logs.rows[0]["value/loss"] == pytest.approx(0.0, abs=1e-6)
    assert policy.value_heads["forward"].bias.item() == pytest.approx(-4.0)
    assert not policy.value_heads["forward"].fresh


def test_a_new_head_waits_for_its_first_reward(make_policy: Any, run_phase: Run, logs: Any) -> None:
    """In a first rollout of sources without a label no term may have a word."""
    policy, told = make_policy(), []

    def late(ids: list[int], source: str) -> float | None:
        told.append(ids)
        return None if len(told) <= 8 else -4.0  # 8 samples a step

    run_phase(policy, late, "ppo", steps=2, ppo=NO_KL, callbacks=[logs], learning_rate=0.0)
    assert logs.rows[1]["value/mean"] == pytest.approx(-4.0)
    assert policy.value_heads["forward"].bias.item() == pytest.approx(-4.0)


def test_the_policy_is_left_without_the_head(make_policy: Any, run_phase: Run) -> None:
    policy = make_policy()
    names = [name for name, _ in policy.model.named_parameters()]
    run_phase(policy, judge, "ppo", ppo=NO_KL)
    assert [name for name, _ in policy.model.named_parameters()] == names
    assert "forward" not in policy.model.__dict__


def test_a_second_phase_goes_on_with_the_head_of_the_first(make_policy: Any, run_phase: Run) -> None:
    policy = make_policy()
    run_phase(policy, judge, "ppo", ppo=NO_KL, steps=2)
    head = policy.value_heads["forward"]
    learned = head.weight.detach().clone()
    assert learned.abs().max() > 0
    run_phase(policy, judge, "ppo", ppo=NO_KL, learning_rate=0.0)
    assert policy.value_heads["forward"] is head
    assert torch.equal(head.weight, learned)


@pytest.mark.parametrize(
    ("own", "moves"), [(None, False), (0.5, True)], ids=["the trainer's learning rate", "a learning rate of its own"]
)
def test_the_learning_rate_of_the_head(make_policy: Any, run_phase: Run, own: float | None, moves: bool) -> None:
    policy = make_policy()
    before = copy.deepcopy(policy.model.state_dict())
    run_phase(policy, judge, "ppo", learning_rate=0.0, ppo=NO_KL | {"value_learning_rate": own}, max_grad_norm=0.0)
    assert (policy.value_heads["forward"].weight.abs().max() > 0.1).item() is moves
    assert all(torch.equal(before[name], weight) for name, weight in policy.model.state_dict().items())


@pytest.fixture
def rollouts(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The batches of a phase as they leave the rollout."""
    batches: list[dict[str, Any]] = []
    real = RoundTripPPOTrainer._after_rollout
    monkeypatch.setattr(
        RoundTripPPOTrainer, "_after_rollout", lambda trainer, batch: (real(trainer, batch), batches.append(batch))
    )
    return batches


def test_a_sample_that_cannot_be_judged_teaches_nothing(
    make_policy: Any, run_phase: Run, rollouts: list[dict[str, Any]]
) -> None:
    run_phase(make_policy(), lambda ids, source: None if ids[0] % 2 else 1.0 + ids[0] % 3, "ppo", ppo={"kl_coef": 0.0})
    [batch] = rollouts
    silent = batch["completion_ids"][:, 0] % 2 == 1
    assert 0 < silent.sum() < len(silent)
    assert (batch["advantages"][silent] == 0).all()
    assert torch.equal(batch["returns"][silent], batch["old_values"][silent])
    assert (batch["advantages"][~silent] != 0).any()


def test_masked_truncated_samples_teach_nothing(
    taught_policy: Any, run_phase: Run, rollouts: list[dict[str, Any]]
) -> None:
    policy = Policy(copy.deepcopy(taught_policy.model), taught_policy.codec)
    run_phase(
        policy, judge, "ppo", ppo=NO_KL, mask_truncated_completions=True, max_completion_length=3, temperature=2.0
    )
    [batch] = rollouts
    cut = batch["completion_mask"].sum(1) == 0
    assert 0 < cut.sum() < len(cut)
    assert (batch["advantages"][cut] == 0).all() and (batch["advantages"][~cut] != 0).any()
    assert all(torch.isfinite(p).all() for p in policy.model.parameters())


def test_the_penalty_holds_the_policy_back(make_policy: Any, run_phase: Run, logs: Any) -> None:
    distances = []
    for kl_coef in (0.0, 10.0):
        policy = make_policy()
        common = {"num_generations": 1, "max_completion_length": 2, "per_device_train_batch_size": 32}
        options = {"callbacks": [logs], "options": {"start": take_snapshot(policy.model)}}
        run_phase(policy, arm, "ppo", steps=8, ppo={"kl_coef": kl_coef}, learning_rate=0.01, **common, **options)
        distances.append(sum(row["kl"] for row in logs.rows[-3:]))
    assert distances[1] < 0.6 * distances[0]
    assert all(math.isfinite(row["kl"]) and row["kl"] >= 0 for row in logs.rows)


def test_a_penalty_needs_to_know_the_start(make_policy: Any, run_phase: Run) -> None:
    with pytest.raises(ValueError, match="start is not known"):
        run_phase(make_policy(), judge, "ppo", ppo={"kl_coef": 0.1})
