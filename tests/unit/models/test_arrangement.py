"""Which model writes and which one scores, where each direction has its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rtrl_chem.config import ModelConfig
from rtrl_chem.models.arrangement import Policy, TwoAdapters, TwoModels
from rtrl_chem.models.policy import restore_policy, save_policy
from rtrl_chem.models.reverse import ReverseModel
from rtrl_chem.models.snapshot import ModuleSnapshot
from rtrl_chem.tasks import Direction

FORWARD, REVERSE = Direction.FORWARD, Direction.REVERSE
LORA = {"r": 4, "target_modules": ["q_proj", "v_proj"], "init_lora_weights": "gaussian"}
IDS = torch.arange(5, 15)[None]


def arranged(make_policy: Callable[..., Any], kind: str) -> Policy:
    if kind == "shared":
        return Policy(*_parts(make_policy()))
    if kind == "adapters":
        policy = TwoAdapters(*_parts(make_policy(lora=LORA)))
        policy.other.take()
        return policy
    return TwoModels({FORWARD: make_policy(), REVERSE: make_policy(seed=1)})


def _parts(policy: Any) -> tuple[Any, Any]:
    return policy.model, policy.codec


def logits(policy: Policy, direction: Direction) -> torch.Tensor:
    with policy.along(direction) as one, torch.no_grad():
        return one.model.eval()(input_ids=IDS).logits


def train(policy: Policy, direction: Direction) -> None:
    with policy.along(direction) as one:
        optimizer = torch.optim.SGD([p for p in one.model.parameters() if p.requires_grad], lr=0.5)
        for _ in range(2):  # the first step moves B alone, which is zero
            optimizer.zero_grad()
            one.model(input_ids=IDS, labels=IDS).loss.backward()
            optimizer.step()


def score(policy: Policy, direction: Direction) -> float:
    with policy.along(direction):
        judge = policy.judge(direction)
        [found] = ReverseModel(judge.snapshot, judge.codec, direction).log_likelihood(["CCO"], ["ethanol"])
    return found.nats


TWO = pytest.mark.parametrize("kind", ["adapters", "separate"])


@TWO
def test_training_one_direction_leaves_the_other(make_policy: Callable[..., Any], kind: str) -> None:
    policy = arranged(make_policy, kind)
    before = [logits(policy, way) for way in Direction]
    train(policy, REVERSE)
    after = [logits(policy, way) for way in Direction]
    assert torch.equal(after[0], before[0])
    assert not torch.equal(after[1], before[1])


@TWO
def test_the_judge_of_a_direction_is_the_other_model(make_policy: Callable[..., Any], kind: str) -> None:
    policy = arranged(make_policy, kind)
    before = score(policy, FORWARD), score(policy, REVERSE)
    train(policy, REVERSE)
    assert score(policy, FORWARD) != before[0]
    assert score(policy, REVERSE) == before[1]


@TWO
def test_the_judge_does_not_move_while_its_pupil_trains(make_policy: Callable[..., Any], kind: str) -> None:
    policy = arranged(make_policy, kind)
    with policy.along(FORWARD):
        judge = policy.judge(FORWARD)

        def nats() -> float:
            return ReverseModel(judge.snapshot, judge.codec, FORWARD).log_likelihood(["CCO"], ["ethanol"])[0].nats

        before = nats()
        train(policy, FORWARD)
        assert nats() == before


def test_the_snapshot_of_a_shared_model_is_a_copy(make_policy: Callable[..., Any]) -> None:
    policy = arranged(make_policy, "shared")
    judge = policy.judge(FORWARD)
    assert isinstance(judge.snapshot, ModuleSnapshot)
    assert policy.judge(REVERSE).snapshot is judge.snapshot  # moved on, not made anew


def test_adapters_change_places_and_go_back(make_policy: Callable[..., Any]) -> None:
    policy = arranged(make_policy, "adapters")
    assert isinstance(policy, TwoAdapters)
    with policy.along(REVERSE):
        assert policy.live is REVERSE
        with policy.along(FORWARD):
            assert policy.live is FORWARD
        assert policy.live is REVERSE
        with pytest.raises(RuntimeError, match="on purpose"), policy.along(FORWARD):
            raise RuntimeError("on purpose")
        assert policy.live is REVERSE
        with pytest.raises(ValueError, match="the forward adapter is not live"):
            policy.judge(FORWARD)
    assert policy.live is FORWARD


@pytest.mark.parametrize("kind", ["shared", "adapters", "separate"])
def test_the_start_stays_where_it_was(make_policy: Callable[..., Any], kind: str) -> None:
    policy = arranged(make_policy, kind)
    with policy.along(REVERSE):
        start = policy.start(REVERSE, copy=True)
        assert start is not None
        before = logits(policy, REVERSE)
        train(policy, REVERSE)
        with start.active() as model, torch.no_grad():
            assert torch.equal(model(input_ids=IDS).logits, before)
        assert not torch.equal(logits(policy, REVERSE), before)


def test_a_whole_second_model_is_copied_only_on_demand(make_policy: Callable[..., Any]) -> None:
    assert arranged(make_policy, "separate").start(FORWARD, copy=False) is None
    assert arranged(make_policy, "adapters").start(FORWARD, copy=False) is not None


def test_one_base_serves_all_adapters(make_policy: Callable[..., Any]) -> None:
    policy = arranged(make_policy, "adapters")
    adapter = sum(p.numel() for p in policy.model.parameters() if p.requires_grad)
    size = sum(p.numel() for p in policy.model.parameters())
    policy.judge(FORWARD)
    assert sum(p.numel() for p in policy.model.parameters()) == size
    policy.start(FORWARD, copy=False)
    assert sum(p.numel() for p in policy.model.parameters()) == size + adapter


@pytest.mark.parametrize("kind", ["shared", "adapters", "separate"])
def test_what_was_saved_is_put_back(make_policy: Callable[..., Any], tmp_path: Path, kind: str) -> None:
    policy = arranged(make_policy, kind)
    train(policy, REVERSE)
    before = [logits(policy, way) for way in Direction]
    save_policy(policy, tmp_path)
    for way in Direction:
        train(policy, way)
    restore_policy(policy, ModelConfig(path="unused", prompt_style="compact"), tmp_path)
    assert all(torch.equal(logits(policy, way), was) for way, was in zip(Direction, before, strict=True))
    train(policy, FORWARD)
    assert not torch.equal(logits(policy, FORWARD), before[0])


def test_each_model_has_a_codec_of_its_own(make_policy: Callable[..., Any]) -> None:
    """As with another family's model for the way back."""
    policy = TwoModels({FORWARD: make_policy("chat"), REVERSE: make_policy("plain")})
    assert (policy.codec_along(FORWARD).style.name, policy.codec_along(REVERSE).style.name) == ("chat", "plain")
    assert policy.judge(FORWARD).codec.style.name == "plain"
