"""The snapshot must not move while the policy trains, and must follow it when told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rtrl_chem.config import config_from_mapping
from rtrl_chem.models.codec import Answer
from rtrl_chem.models.reverse import ReverseModel
from rtrl_chem.models.snapshot import AdapterSnapshot, ModuleSnapshot, restore_forward, take_snapshot
from rtrl_chem.rewards.compose import Judged, RoundTripReward
from rtrl_chem.tasks import Direction
from rtrl_chem.training.arguments import grpo_arguments, sources_per_phase
from rtrl_chem.training.grpo import run_grpo
from rtrl_chem.training.phase import plan

FORWARD = Direction.FORWARD
LORA = {"r": 4, "target_modules": ["q_proj", "v_proj"], "init_lora_weights": "gaussian"}
SOURCES, OUTPUTS = ["CCO", "CC(C)CCO", "C"], ["ethanol", "3-methylbutan-1-ol", "methane"]
KINDS = pytest.mark.parametrize(
    "lora",
    [
        pytest.param(None, id="full"),
        pytest.param(LORA, id="lora"),
        pytest.param(LORA | {"use_dora": True}, id="dora"),
    ],
)
TRAINER = {
    "learning_rate": 1e-2,
    "per_device_train_batch_size": 4,
    "num_generations": 2,
    "max_completion_length": 6,
}

pytestmark = pytest.mark.usefixtures("light_collections")


class EveryLength(RoundTripReward):
    """A random model hardly ever ends an answer; here a truncated one counts, so that there is something to learn."""

    def judge(self, sources: list[str], answers: list[Answer], targets: Any = None) -> list[Judged]:
        return super().judge(sources, [replace(answer, truncated=False) for answer in answers], targets)


class Live:
    """The policy itself in place of its snapshot."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def active(self) -> Any:
        from contextlib import nullcontext

        return nullcontext(self.model)


def scores(policy: Any, snapshot: Any) -> list[float]:
    """Scored anew each time: a ReverseModel remembers."""
    return [s.nats for s in ReverseModel(snapshot, policy.codec, FORWARD).log_likelihood(SOURCES, OUTPUTS)]


def train_a_little(model: Any, steps: int = 3) -> None:
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)
    for step in range(steps):
        ids = torch.arange(8)[None] + 10 + step
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def train_a_phase(policy: Any, snapshot: Any, folder: Path, **trainer: Any) -> None:
    """Two steps of GRPO through TRL's trainer, which replaces `model.forward`."""
    config = config_from_mapping(
        {
            "task": "naming",
            "model": {"path": "unused"},
            "data": {"molecules": "unused.smi"},
            "rewards": {"likelihood": {"form": "log", "normalize": "token"}},
            "trainer": TRAINER | trainer,
            "steps_per_phase": 2,
            "output_dir": str(folder),
        }
    )
    arguments = grpo_arguments(config, plan(config)[0], folder)
    reward = EveryLength(policy.codec, FORWARD, ReverseModel(snapshot, policy.codec, FORWARD), config.rewards)
    sources = (SOURCES * 4)[: sources_per_phase(arguments)]
    run_grpo(policy, reward, arguments, sources, [])


@KINDS
def test_the_snapshot_does_not_move_in_optimizer_steps(
    make_policy: Callable[..., Any], lora: dict[str, Any] | None
) -> None:
    policy = make_policy(lora=lora)
    snapshot = take_snapshot(policy.model)
    before = scores(policy, snapshot)
    train_a_little(policy.model)
    assert scores(policy, snapshot) == before
    assert scores(policy, Live(policy.model)) != pytest.approx(before, abs=1e-3)


@KINDS
def test_the_snapshot_does_not_move_in_a_phase_of_trls_trainer(
    make_policy: Callable[..., Any], lora: dict[str, Any] | None, tmp_path: Path
) -> None:
    policy = make_policy(lora=lora)
    snapshot = take_snapshot(policy.model)
    before = scores(policy, snapshot)
    train_a_phase(policy, snapshot, tmp_path)
    assert scores(policy, snapshot) == before
    assert scores(policy, Live(policy.model)) != pytest.approx(before, abs=1e-3)


@KINDS
def test_a_snapshot_taken_after_a_phase_does_not_move_in_the_next(
    make_policy: Callable[..., Any], lora: dict[str, Any] | None, tmp_path: Path
) -> None:
    """As in a resumed run; the trainer's hands must be off the model for it."""
    policy = make_policy(lora=lora)
    train_a_phase(policy, take_snapshot(policy.model), tmp_path)
    snapshot = take_snapshot(policy.model)
    before = scores(policy, snapshot)
    assert before == pytest.approx(scores(policy, Live(policy.model)), abs=1e-4)
    train_a_phase(policy, snapshot, tmp_path)
    assert scores(policy, snapshot) == before


@KINDS
def test_after_refresh_the_snapshot_equals_the_policy(
    make_policy: Callable[..., Any], lora: dict[str, Any] | None, tmp_path: Path
) -> None:
    policy = make_policy(lora=lora)
    snapshot = take_snapshot(policy.model)
    before = scores(policy, snapshot)
    train_a_phase(policy, snapshot, tmp_path)
    snapshot.refresh(policy.model)
    assert scores(policy, snapshot) == pytest.approx(scores(policy, Live(policy.model.eval())), abs=1e-5)
    assert scores(policy, snapshot) != pytest.approx(before, abs=1e-3)


@KINDS
def test_a_phase_leaves_the_model_as_plain_as_it_was(
    make_policy: Callable[..., Any], lora: dict[str, Any] | None, tmp_path: Path
) -> None:
    policy = make_policy(lora=lora)
    snapshot = take_snapshot(policy.model)
    names, trainable = set(policy.model.state_dict()), trainable_names(policy.model)
    for _ in range(2):
        train_a_phase(policy, snapshot, tmp_path, **({"beta": 0.1} if lora else {}))
    assert set(policy.model.state_dict()) == names
    assert trainable_names(policy.model) == trainable
    assert policy.model.config.use_cache is True
    for module in policy.model.modules():
        assert "forward" not in vars(module)


def trainable_names(model: Any) -> set[str]:
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


@KINDS
def test_scoring_leaves_mode_and_adapter_as_they_were(
    make_policy: Callable[..., Any], lora: dict[str, Any] | None
) -> None:
    policy = make_policy(lora=lora)
    snapshot = take_snapshot(policy.model)
    trainable = trainable_names(policy.model)
    for training in (True, False):
        policy.model.train(training)
        scores(policy, snapshot)
        assert policy.model.training is training
        assert trainable_names(policy.model) == trainable
        if lora:
            assert policy.model.active_adapters == ["default"]


def test_scoring_fails_safe(make_policy: Callable[..., Any]) -> None:
    policy = make_policy(lora=LORA)
    snapshot = take_snapshot(policy.model)
    with pytest.raises(RuntimeError, match="on purpose"), snapshot.active():
        raise RuntimeError("on purpose")
    assert policy.model.active_adapters == ["default"]


def test_an_adapter_snapshot_shares_the_base(make_policy: Callable[..., Any]) -> None:
    policy = make_policy(lora=LORA)
    size = sum(p.numel() for p in policy.model.parameters())
    adapter = sum(p.numel() for p in policy.model.parameters() if p.requires_grad)
    snapshot = take_snapshot(policy.model)
    assert isinstance(snapshot, AdapterSnapshot)
    assert sum(p.numel() for p in policy.model.parameters()) == size + adapter
    assert all(".default." in name for name in trainable_names(policy.model))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"use_dora": True}, id="dora"),
        pytest.param({"use_rslora": True}, id="rslora"),
        pytest.param({"init_lora_weights": "pissa"}, id="pissa, which rewrites the base"),
        pytest.param({"init_lora_weights": "olora"}, id="olora, which rewrites the base"),
        pytest.param({"modules_to_save": ["lm_head"]}, id="a whole module beside the adapter"),
        pytest.param({"target_modules": ["embed_tokens", "q_proj"]}, id="embeddings"),
        pytest.param({"rank_pattern": {"q_proj": 2}}, id="ranks by module"),
    ],
)
def test_every_kind_of_adapter_is_copied(make_policy: Callable[..., Any], fields: dict[str, Any]) -> None:
    policy = make_policy(lora=LORA | fields)
    train_a_little(policy.model)
    expected = scores(policy, Live(policy.model.eval()))
    snapshot = take_snapshot(policy.model)
    assert scores(policy, snapshot) == pytest.approx(expected, abs=1e-4)
    assert scores(policy, Live(policy.model.eval())) == pytest.approx(expected, abs=1e-4)
    train_a_little(policy.model)
    assert scores(policy, snapshot) == pytest.approx(expected, abs=1e-4)


@KINDS
def test_taking_a_snapshot_draws_no_random_number(make_policy: Callable[..., Any], lora: dict[str, Any] | None) -> None:
    policy = make_policy(lora=lora)
    before = torch.random.get_rng_state()
    take_snapshot(policy.model)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_module_snapshot_is_a_frozen_copy(make_policy: Callable[..., Any], architecture: str) -> None:
    policy = make_policy(architecture=architecture)
    policy.model.config._attn_implementation = "eager"
    snapshot = take_snapshot(policy.model)
    assert isinstance(snapshot, ModuleSnapshot)
    own = {p.data_ptr() for p in policy.model.parameters()}
    assert not own & {p.data_ptr() for p in snapshot.model.parameters()}
    assert not trainable_names(snapshot.model)
    assert not snapshot.model.training
    assert snapshot.model.config._attn_implementation == "eager"
    assert snapshot.model.dtype == policy.model.dtype


def test_each_weight_of_a_module_snapshot_keeps_its_number_format(make_policy: Callable[..., Any]) -> None:
    """As where layer norms stay in float32 in a model of half precision."""
    model = make_policy().model.to(torch.bfloat16)
    for name, module in model.named_modules():
        if name.endswith("norm"):
            module.to(torch.float32)
            torch.nn.init.constant_(module.weight, 1.0001)  # 1 in bfloat16
    copied = take_snapshot(model).model
    weights = dict(copied.named_parameters())
    assert {name: own.dtype for name, own in model.named_parameters()} == {n: own.dtype for n, own in weights.items()}
    assert all(torch.equal(own, weights[name]) for name, own in model.named_parameters())


def test_a_snapshot_of_a_model_that_a_trainer_has_its_hands_on_does_not_follow_it(
    make_policy: Callable[..., Any],
) -> None:
    model, ids = make_policy().model.eval(), torch.arange(8)[None] + 10
    plain = model.forward
    model.forward = lambda *args, **kwargs: plain(*args, **kwargs)
    snapshot = take_snapshot(model)
    before = snapshot.model(input_ids=ids).logits
    train_a_little(model)
    assert torch.equal(snapshot.model(input_ids=ids).logits, before)


def test_restore_forward_undoes_every_wrapper(make_policy: Callable[..., Any]) -> None:
    policy = make_policy(lora=LORA)
    base = policy.model.get_base_model()
    own = base.forward
    base.forward = lambda *args, **kwargs: own(*args, **kwargs)
    restore_forward(policy.model)
    assert base.forward == own
