"""Supervised phases through TRL's SFTTrainer: continued SFT on labelled pairs, and expert iteration.

Both are the baselines that round-trip RL has to beat at equal compute.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from rtrl_chem.models.codec import Answer, Codec
from rtrl_chem.models.generate import generate
from rtrl_chem.models.policy import Policy
from rtrl_chem.models.processes import in_shares
from rtrl_chem.models.reverse import span_log_probs
from rtrl_chem.models.sharding import trained_apart
from rtrl_chem.rewards.compose import Judged, RoundTripReward
from rtrl_chem.tasks.base import Direction
from rtrl_chem.training.phase import PhaseResult
from rtrl_chem.training.resumable import Keeping, Resumable
from rtrl_chem.training.trainers import run_trainer

__all__ = ["Example", "best_of", "run_sft"]


@dataclass(frozen=True)
class Example:
    """A source and the answer to be learned, in one direction."""

    direction: Direction
    source: str
    answer: str


def encode(codec: Codec, examples: Sequence[Example]) -> dict[str, list[list[int]]]:
    """`input_ids` and `labels`; the prompt is not learned (-100)."""
    prompts = [codec.prompt_ids(e.direction, [e.source])[0] for e in examples]
    answers = [codec.targets(e.direction, [e.answer])[0].ids for e in examples]
    return {
        "input_ids": [p + a for p, a in zip(prompts, answers, strict=True)],
        "labels": [[-100] * len(p) + a for p, a in zip(prompts, answers, strict=True)],
    }


# Examples, and tokens of their answers, on which the distance from the phase's start is measured.
KL_ROWS, KL_TOKENS = 8, 8


class RoundTripSFTTrainer(Resumable, SFTTrainer):
    """TRL's SFTTrainer that logs `kl`, the divergence of the policy from itself at the start of the phase: of the whole
    next-token distribution, in nats, where the first tokens of a few answers are to be written."""

    def __init__(self, *, policy: Policy, rows: dict[str, list[list[int]]], **kwargs: Any) -> None:
        super().__init__(model=policy.model, processing_class=policy.tokenizer, **kwargs)
        few = range(0, len(rows["labels"]), -(-len(rows["labels"]) // KL_ROWS))
        prompts = [sum(label == -100 for label in rows["labels"][i]) for i in few]
        self._probes = [rows["input_ids"][i][: n + KL_TOKENS] for i, n in zip(few, prompts, strict=True)]
        self._spans = [len(row) - n for row, n in zip(self._probes, prompts, strict=True)]
        sharded = self.is_fsdp_enabled or self.is_deepspeed_enabled  # parameters are not all here
        self._start = None if sharded else self._next_tokens()

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """As TRL's, with the distance."""
        if self._start is not None and "loss" in logs:
            (start, counted), (now, _) = self._start, self._next_tokens()
            each = (now.exp() * (now - start)).sum(2)
            logs["kl"] = float((each * counted).sum() / counted.sum())
        super().log(logs, *args, **kwargs)

    def _next_tokens(self) -> tuple[torch.Tensor, torch.Tensor]:
        model, pad = self.accelerator.unwrap_model(self.model), self.processing_class.pad_token_id
        training = model.training
        model.eval()  # dropout is no distance
        with torch.no_grad(), self.accelerator.autocast():
            log_probs, _, counted = span_log_probs(model, self._probes, self._spans, pad)
        model.train(training)
        return log_probs, counted


def run_sft(
    policy: Policy,
    examples: Sequence[Example],
    arguments: SFTConfig,
    callbacks: list[TrainerCallback],
    keeping: Keeping | None = None,
) -> PhaseResult:
    """Train the policy in place on the examples, none of which is no step. The result's "reward" is minus the loss, in
    nats per token."""
    if not examples:
        return PhaseResult(0, 0, 0.0, {}, None, None)
    rows = encode(policy.codec, examples)
    with trained_apart(policy.model) as model:
        one = Policy(model, policy.codec)
        trainer = RoundTripSFTTrainer(
            policy=one,
            rows=rows,
            args=arguments,
            train_dataset=Dataset.from_dict(rows),
            data_collator=DataCollatorForLanguageModeling(pad_token_id=policy.tokenizer.pad_token_id),
            callbacks=callbacks,
        )
        trained = run_trainer(trainer, one, keeping)
    size = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    first, last = (None if loss is None else -loss for loss in trained.ends("loss"))
    return PhaseResult(trained.steps, trained.steps * size, trained.seconds, {}, first, last)


def best_of(
    policy: Policy,
    reward: RoundTripReward,
    sources: list[str],
    seed: int,
    targets: Sequence[str | None] | None = None,
    **generation: Any,
) -> tuple[list[Judged], list[Judged]]:
    """(the best sample of each source, every sample), by reward; a source without a sample that passes, or that no
    term has a word on, has no best. `targets` are their labels, None where there is none."""
    start = time.perf_counter()
    answers = generate(policy.model, policy.codec, reward.direction, sources, seed=seed, **generation)
    reward.stopwatch.add("rollout", start)
    labels = targets if targets is not None else [None] * len(sources)

    def judge(groups: list[tuple[str, list[Answer], str | None]]) -> list[list[Judged]]:
        flat = [(x, answer, label) for x, group, label in groups for answer in group]
        found = iter(reward.judge([x for x, _, _ in flat], [y for _, y, _ in flat], [label for _, _, label in flat]))
        return [list(islice(found, len(group))) for _, group, _ in groups]

    # Scores that differ in the last bit would give processes other examples to learn, and other numbers of them.
    with reward.whole():
        groups = in_shares(list(zip(sources, answers, labels, strict=True)), judge)
    judged = [one for group in groups for one in group]
    best: dict[str, Judged] = {}
    for one in judged:
        usable = one.verdict in reward.passing and one.counted
        if usable and (one.source not in best or one.reward > best[one.source].reward):
            best[one.source] = one
    return list(best.values()), judged
