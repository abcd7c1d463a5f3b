"""One GRPO phase: TRL's trainer, our prompts, our reward."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import trl.trainer.utils
from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from rtrl_chem.models.decode import decode
from rtrl_chem.models.policy import Policy
from rtrl_chem.models.shared_prompts import completion_log_probs, group_rows
from rtrl_chem.rewards.compose import Judged, RoundTripReward
from rtrl_chem.tasks.base import Direction
from rtrl_chem.training.arguments import samples_per_step
from rtrl_chem.training.joint import JointReward
from rtrl_chem.training.phase import PhaseResult
from rtrl_chem.training.trainers import LogOf, run_trainer

__all__ = ["RoundTripGRPOTrainer", "by_prompt", "run_grpo"]


class RoundTripGRPOTrainer(GRPOTrainer):
    """GRPOTrainer that tokenizes prompts through the codec, and times its rollouts.

    TRL would tokenize rendered prompts with the tokenizer's defaults, which adds a second BOS to a chat template's.
    """

    _buffered_inputs: Any  # TRL's: the micro-batches of the last rollout

    def __init__(self, *, policy: Policy, reward: RoundTripReward | JointReward, **kwargs: Any) -> None:
        self.codec = policy.codec
        self.round_trip = reward
        super().__init__(model=policy.model, processing_class=policy.tokenizer, reward_funcs=[reward], **kwargs)
        if self.ref_model is not None:
            # TRL loads the reference from disk, which is the start of the run and not of this phase.
            live = self.accelerator.unwrap_model(self.model).state_dict()
            self.accelerator.unwrap_model(self.ref_model).load_state_dict(live)

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return self.codec.encode_prompts(prompts), None, {}

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        buffered = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        fresh = self._buffered_inputs is not None and self._buffered_inputs is not buffered
        if fresh and self.loss_type in _SUMMED and self.top_entropy_quantile == 1.0:
            least = NEGLIGIBLE if self._advantage_is_all else 0.0
            self._buffered_inputs = by_prompt(self._buffered_inputs, self.args.gradient_accumulation_steps, least)
            inputs = self._buffered_inputs[self._step % self.args.steps_per_generation]
        return inputs

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        self.model.config.use_cache = True  # the trainer turns it off, and every position would be recomputed
        plain = self.model.generate
        if not self._sharded:
            self.model.generate = partial(plain, custom_generate=decode)
        try:
            return super()._generate_single_turn(*args, **kwargs)
        finally:
            self.model.__dict__.pop("generate", None)
            self.model.config.use_cache = False
            self.round_trip.stopwatch.add("rollout", start)

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, **rest: Any
    ) -> Any:
        found = self._shared(model, input_ids, attention_mask, logits_to_keep, **rest)
        if found is None:
            return super()._get_per_token_logps_and_entropies(model, input_ids, attention_mask, logits_to_keep, **rest)
        return *found, None

    @property
    def _advantage_is_all(self) -> bool:
        """Whether a sample without advantage has no gradient, and the loss is not a mean over samples.

        Of several processes TRL asks for equally many samples: there they all stay.
        """
        alone = self.beta == 0.0 and not self._entropy_bonus_enabled and not self.aux_loss_enabled
        return alone and self.loss_type in ("dapo", "cispo") and self.accelerator.num_processes == 1

    @property
    def _sharded(self) -> bool:
        """Whether parameters are gathered on each call of the model: all processes must then make equally many."""
        return self.is_fsdp_enabled or self.is_deepspeed_enabled

    def _shared(
        self, model: Any, ids: Any, mask: Any, keep: int, batch_size: int | None = None, **rest: Any
    ) -> tuple[Any, ...] | None:
        """Log-probabilities and entropies with prompts computed once, or None where that is not possible: the model
        recomputes its activations (its cache is off) or takes more than tokens, or TRL is too old."""
        more = {key for key, value in rest.items() if value is not None and value is not False}
        if not FUSED_HEAD or self._sharded or self.args.gradient_checkpointing or more - {"compute_entropy"}:
            return None
        found = []
        for part in torch.arange(len(ids)).split(batch_size or len(ids)):
            with self.accelerator.autocast():
                one = completion_log_probs(model, ids[part], mask[part], keep)
            if one is None:
                return None
            found.append(one)
        return tuple(None if column[0] is None else torch.cat(column) for column in zip(*found, strict=True))


# TRL gives models a head that returns log-probabilities since 1.15, which asks for Python 3.11.
FUSED_HEAD = hasattr(trl.trainer.utils, "add_fused_lm_head")
# Losses whose sum over an optimizer step does not depend on which samples share a micro-batch.
_SUMMED = ("dapo", "dr_grpo", "grpo", "cispo")


# Advantages below a thousandth (of a standard deviation of the rewards, as they are scaled) move nothing: groups whose
# samples are all right, or all hopeless. In a naming run they are half of all samples.
NEGLIGIBLE = 1e-3


def by_prompt(batches: list[dict[str, Any]], window: int, least: float = 0.0) -> list[dict[str, Any]]:
    """The micro-batches of each optimizer step dealt anew: the samples of a prompt together, prompts of like length
    together, padding cut off, samples with a smaller advantage than `least` left out.

    The gradient is the same, as each step still accumulates over the same samples (`window` micro-batches), but a
    prompt is computed once for all of its samples (`models.shared_prompts`).
    """
    dealt = []
    for start in range(0, len(batches), window):
        part = batches[start : start + window]
        rows = part[0]["completion_ids"].size(0)
        if any(batch["completion_ids"].size(0) != rows for batch in part):
            return batches
        whole = {
            key: torch.cat([batch[key] for batch in part]) if _per_row(value, rows) else value
            for key, value in part[0].items()
        }
        _, kind = group_rows(torch.cat([whole["prompt_ids"], whole["prompt_mask"]], dim=1))
        order = (whole["prompt_mask"].sum(1) * len(kind) + kind).argsort(stable=True)
        size = whole["advantages"].abs()
        # No micro-batch may be empty.
        counted = (size >= least) | (size >= size.sort(descending=True).values[len(part) - 1])
        for chunk in order[counted[order]].tensor_split(len(part)):
            dealt.append(_trimmed({k: v[chunk] if _per_row(v, len(order)) else v for k, v in whole.items()}))
    return dealt


def _per_row(value: Any, rows: int) -> bool:
    return isinstance(value, torch.Tensor) and value.dim() > 0 and value.size(0) == rows


def _trimmed(batch: dict[str, Any]) -> dict[str, Any]:
    """Without the columns in which every row is padding: prompts are padded on the left, completions on the right."""
    width = batch["completion_ids"].size(1)
    keep = max(1, int(batch["completion_mask"].sum(1).max()))
    first = int(batch["prompt_mask"].any(0).int().argmax())
    cut = {}
    for key, value in batch.items():
        if key in ("prompt_ids", "prompt_mask"):
            cut[key] = value[:, first:]
        elif isinstance(value, torch.Tensor) and value.dim() == 2 and value.size(1) == width:
            cut[key] = value[:, :keep]
        else:
            cut[key] = value
    return cut


class _Samples(TrainerCallback):
    """Keeps every judged sample with its step."""

    def __init__(self, reward: RoundTripReward | JointReward) -> None:
        self.reward = reward
        self.rows: list[tuple[int, Judged]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.rows += [(state.global_step, one) for one in self.reward.drain()]


def run_grpo(
    policy: Policy,
    reward: RoundTripReward | JointReward,
    arguments: GRPOConfig,
    sources: list[str],
    callbacks: list[TrainerCallback],
    targets: Sequence[str | None] | None = None,
    directions: Sequence[Direction] | None = None,
) -> tuple[PhaseResult, list[tuple[int, Judged]]]:
    """Train the policy in place for one phase. Returns the result and this process's samples with their steps.

    `targets` are the labels of the sources, None where there is none. `directions` says which way each source goes,
    where the reward is a joint one.
    """
    labels = list(targets) if targets is not None else [None] * len(sources)
    if isinstance(reward, RoundTripReward):
        directions = [reward.direction] * len(sources)
    ways = list(directions or ())
    prompts = [policy.codec.prompt(way, x) for way, x in zip(ways, sources, strict=True)]
    rows = {"prompt": prompts, "source": sources, "target": labels, "direction": [str(way) for way in ways]}
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
