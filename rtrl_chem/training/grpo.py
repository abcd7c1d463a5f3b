"""One GRPO phase: TRL's trainer, our prompts, our reward."""

from __future__ import annotations

import time
from typing import Any

from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from rtrl_chem.models.policy import Policy
from rtrl_chem.rewards.compose import Judged, RoundTripReward
from rtrl_chem.training.arguments import samples_per_step
from rtrl_chem.training.phase import PhaseResult
from rtrl_chem.training.trainers import LogOf, run_trainer

__all__ = ["RoundTripGRPOTrainer", "run_grpo"]


class RoundTripGRPOTrainer(GRPOTrainer):
    """GRPOTrainer that tokenizes prompts through the codec, and times its rollouts.

    TRL would tokenize rendered prompts with the tokenizer's defaults, which adds a second BOS to a chat template's.
    """

    def __init__(self, *, policy: Policy, reward: RoundTripReward, **kwargs: Any) -> None:
        self.codec = policy.codec
        self.round_trip = reward
        super().__init__(model=policy.model, processing_class=policy.tokenizer, reward_funcs=[reward], **kwargs)
        if self.ref_model is not None:
            # TRL loads the reference from disk, which is the start of the run and not of this phase.
            live = self.accelerator.unwrap_model(self.model).state_dict()
            self.accelerator.unwrap_model(self.ref_model).load_state_dict(live)

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return self.codec.encode_prompts(prompts), None, {}

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        self.model.config.use_cache = True  # the trainer turns it off, and every position would be recomputed
        try:
            return super()._generate_single_turn(*args, **kwargs)
        finally:
            self.model.config.use_cache = False
            self.round_trip.stopwatch.add("rollout", start)


class _Samples(TrainerCallback):
    """Keeps every judged sample with its step."""

    def __init__(self, reward: RoundTripReward) -> None:
        self.reward = reward
        self.rows: list[tuple[int, Judged]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.rows += [(state.global_step, one) for one in self.reward.drain()]


def run_grpo(
    policy: Policy,
    reward: RoundTripReward,
    arguments: GRPOConfig,
    sources: list[str],
    callbacks: list[TrainerCallback],
) -> tuple[PhaseResult, list[tuple[int, Judged]]]:
    """Train the policy in place for one phase. Returns the result and this process's samples with their steps."""
    rows = {"prompt": [policy.codec.prompt(reward.direction, x) for x in sources], "source": sources}
    samples, rewards = _Samples(reward), LogOf("reward")
    trainer = RoundTripGRPOTrainer(
        policy=policy,
        reward=reward,
        args=arguments,
        train_dataset=Dataset.from_dict(rows),
        callbacks=[samples, rewards, *callbacks],
    )
    steps, seconds = run_trainer(trainer, policy)
    parts = dict(reward.stopwatch.seconds)
    return PhaseResult(steps, steps * samples_per_step(arguments), seconds, parts, *rewards.ends()), samples.rows
