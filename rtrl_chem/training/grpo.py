"""On-policy phases, and the trainer of one: TRL's GRPO with our prompts and our reward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOTrainer, RLOOConfig

from rtrl_chem.models.policy import Policy
from rtrl_chem.models.sharding import make_whole, trained_apart
from rtrl_chem.models.snapshot import Snapshot
from rtrl_chem.rewards.compose import Judged, RoundTripReward
from rtrl_chem.tasks.base import Direction
from rtrl_chem.training.arguments import OnPolicyArguments, PPOArguments, samples_per_step
from rtrl_chem.training.joint import JointReward
from rtrl_chem.training.phase import PhaseResult
from rtrl_chem.training.ppo import RoundTripPPOTrainer, value_head_of
from rtrl_chem.training.resumable import Keeping
from rtrl_chem.training.rloo import RoundTripRLOOTrainer
from rtrl_chem.training.rollouts import NEGLIGIBLE, RoundTripRollouts, deals_freely
from rtrl_chem.training.sft import Example
from rtrl_chem.training.supervised import SupervisedTerm
from rtrl_chem.training.trainers import run_trainer

__all__ = ["RoundTripGRPOTrainer", "run_grpo"]


class RoundTripGRPOTrainer(RoundTripRollouts, GRPOTrainer):
    """TRL's GRPOTrainer, whichever of its losses `trainer.loss_type` names."""

    def _may_deal(self) -> bool:
        return deals_freely(self)

    def _least_advantage(self, batches: list[dict[str, Any]]) -> float:
        # A sample without advantage has no gradient, and the loss is no mean over samples.
        alone = self.beta == 0.0 and not self._entropy_bonus_enabled and not self.aux_loss_enabled
        droppable = alone and self.loss_type in ("dapo", "cispo", "vespo")
        return NEGLIGIBLE if droppable else 0.0


class _Samples(TrainerCallback):
    """Keeps every judged sample with its step."""

    def __init__(self, reward: RoundTripReward | JointReward) -> None:
        self.reward = reward
        self.rows: list[tuple[int, Judged]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.rows += [(state.global_step, one) for one in self.reward.drain()]


class _Memory:
    """What a phase has judged, and what its frozen models have said."""

    def __init__(self, reward: RoundTripReward | JointReward, samples: _Samples) -> None:
        self.samples = samples
        self.stopwatch = reward.stopwatch
        rewards = reward.rewards.values() if isinstance(reward, JointReward) else [reward]
        self.reverse = {str(one.direction): one.reverse for one in rewards}
        self._told = 0

    def news(self) -> dict[str, Any]:
        """See `resumable.Memory`."""
        rows = [[step, one.to_json()] for step, one in self.samples.rows[self._told :]]
        self._told = len(self.samples.rows)
        scored = {way: one.news() for way, one in self.reverse.items()}
        return {"samples": rows, "reverse": scored, "parts": self.stopwatch.seconds}

    def put_back(self, parts: list[dict[str, Any]]) -> None:
        """See `resumable.Memory`."""
        for part in parts:
            self.samples.rows += [(step, Judged.from_json(one)) for step, one in part["samples"]]
            for way, scored in part["reverse"].items():
                self.reverse[way].put_back(scored)
        self.stopwatch.seconds |= parts[-1]["parts"]
        self._told = len(self.samples.rows)


def run_grpo(
    policy: Policy,
    reward: RoundTripReward | JointReward,
    arguments: OnPolicyArguments,
    sources: list[str],
    callbacks: list[TrainerCallback],
    keeping: Keeping | None = None,
    targets: Sequence[str | None] | None = None,
    directions: Sequence[Direction] | None = None,
    *,
    start: Snapshot | None = None,
    sft_examples: Sequence[Example] = (),
    sft_weight: float = 0.0,
) -> tuple[PhaseResult, list[tuple[int, Judged]]]:
    """Train the policy in place for one phase, by the algorithm that the arguments are of: GRPO, RLOO or PPO.

    `targets` are the labels of the sources, None where there is none; `directions` says which way each source goes,
    where the reward is a joint one. `start` is the policy as it is now: `kl` is measured against it, and PPO's penalty
    too. With `sft_examples` each optimizer step adds `sft_weight` times the cross-entropy (nats per answer token) of as
    many of them as it has sources, logged as `sft_loss`. Returns the result and this process's samples with their
    steps.
    """
    labels = list(targets) if targets is not None else [None] * len(sources)
    ways = list(directions or ()) if isinstance(reward, JointReward) else [reward.direction] * len(sources)
    prompts = [policy.codec.prompt(way, x) for way, x in zip(ways, sources, strict=True)]
    rows = {"prompt": prompts, "source": sources, "target": labels, "direction": [str(way) for way in ways]}
    samples = _Samples(reward)
    with trained_apart(policy.model) as model:
        one = Policy(model, policy.codec, policy.value_heads)
        trainer = _trainer(arguments, one, reward)(
            policy=one,
            reward=reward,
            start=start,
            supervised=_supervised(one, arguments, sft_examples, sft_weight),
            args=arguments,
            train_dataset=Dataset.from_dict(rows),
            callbacks=[samples, *callbacks],
        )
        memory = _Memory(reward, samples) if keeping is not None else None
        trained = run_trainer(trainer, one, keeping, memory)
        for head in policy.value_heads.values():
            make_whole(head)
    count, parts = trained.steps * samples_per_step(arguments), dict(reward.stopwatch.seconds)
    return PhaseResult(trained.steps, count, trained.seconds, parts, *trained.ends("reward")), samples.rows


def _trainer(
    arguments: OnPolicyArguments, policy: Policy, reward: RoundTripReward | JointReward
) -> Callable[..., RoundTripRollouts]:
    """What builds the trainer that these arguments are for."""
    if isinstance(arguments, PPOArguments):
        way = "joint" if isinstance(reward, JointReward) else str(reward.direction)
        return partial(RoundTripPPOTrainer, value_head=value_head_of(policy, way))
    return RoundTripRLOOTrainer if isinstance(arguments, RLOOConfig) else RoundTripGRPOTrainer


def _supervised(
    policy: Policy, arguments: OnPolicyArguments, examples: Sequence[Example], weight: float
) -> SupervisedTerm | None:
    if not examples or weight == 0.0:
        return None
    per_step = samples_per_step(arguments) // arguments.num_generations
    return SupervisedTerm(
        policy.codec, examples, weight, steps=arguments.max_steps, per_step=max(1, per_step), seed=arguments.seed
    )
