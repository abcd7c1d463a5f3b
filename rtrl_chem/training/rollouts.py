"""What our trainers have in common, whichever of TRL's they extend: prompts through the codec, fast and timed rollouts,
an update that computes nothing twice, the supervised loss beside the reward, and the policy's distance from its start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
import trl.trainer.utils
from trl.trainer import grpo_trainer

from rtrl_chem.models.decode import decode
from rtrl_chem.models.noise import key_of, row_noise
from rtrl_chem.models.policy import Policy
from rtrl_chem.models.sharding import scatter, whole
from rtrl_chem.models.shared_prompts import Scores, completion_log_probs, group_rows
from rtrl_chem.models.snapshot import Snapshot, restore_forward
from rtrl_chem.models.vllm import engines_kept
from rtrl_chem.rewards.compose import RoundTripReward
from rtrl_chem.training.joint import JointReward
from rtrl_chem.training.resumable import Resumable
from rtrl_chem.training.supervised import SupervisedTerm

__all__ = ["NEGLIGIBLE", "RoundTripRollouts", "by_prompt", "deals_freely", "in_order", "mean_kl"]

# TRL gives models a head that returns log-probabilities since 1.15, which asks for Python 3.11.
FUSED_HEAD = hasattr(trl.trainer.utils, "add_fused_lm_head")
# Advantages below a thousandth (of a standard deviation of the rewards, as they are scaled) move nothing: groups whose
# samples are all right, or all hopeless. In a naming run they are half of all samples.
NEGLIGIBLE = 1e-3
# Samples of a rollout, over all processes, on which the distance from the phase's start is measured where no loss asks
# for it.
KL_ROWS = 8


class RoundTripRollouts(Resumable):
    """To be put in front of TRL's GRPOTrainer or RLOOTrainer.

    TRL would tokenize rendered prompts with the tokenizer's defaults, which adds a second BOS to a chat template's.
    `start` is the policy as the phase found it: without a KL term `kl` is logged against it, on a few samples a step.
    """

    _trl: Any = grpo_trainer  # the module of TRL's trainer
    _buffered_inputs: Any  # TRL's: the micro-batches of the last rollout
    # Whether transformers divides the loss of a micro-batch by their number, or TRL's trainer has done so.
    divided_later = False

    def __init__(
        self,
        *,
        policy: Policy,
        reward: RoundTripReward | JointReward,
        start: Snapshot | None = None,
        supervised: SupervisedTerm | None = None,
        **kwargs: Any,
    ) -> None:
        self.codec = policy.codec
        self.round_trip = reward
        self.start = start
        self.supervised = supervised
        with engines_kept(self._trl):
            super().__init__(model=policy.model, processing_class=policy.tokenizer, reward_funcs=[reward], **kwargs)
        if self.ref_model is not None:
            # TRL loads the reference from disk, which is the start of the run and not of this phase.
            live = self.accelerator.unwrap_model(self.model).state_dict()
            reference = self.accelerator.unwrap_model(self.ref_model)
            scatter(reference, live)  # it may be cut up already, the policy is not yet

    # ---- what depends on the loss -----------------------------------------------------------------------------------

    def _may_deal(self) -> bool:
        """Whether the loss of an optimizer step is the same however its samples are dealt to micro-batches."""
        raise NotImplementedError

    def _least_advantage(self, batches: list[dict[str, Any]]) -> float:
        """Samples with a smaller advantage are left out of the update; 0.0 where each of them counts."""
        raise NotImplementedError

    def _after_rollout(self, batch: dict[str, Any]) -> None:
        """Look at the samples of a rollout, or add to them, before they are dealt."""
        if self.start is not None and self.beta == 0.0:
            self._log_distance(batch)

    def _reward_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """The loss of a micro-batch of samples."""
        loss: torch.Tensor = super()._compute_loss(model, inputs)
        return loss

    # ---- in TRL's place ---------------------------------------------------------------------------------------------

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return self.codec.encode_prompts(prompts), None, {}

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        buffered = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        fresh = self._buffered_inputs is not None and self._buffered_inputs is not buffered
        if fresh and self._may_deal() and self._rollouts_fit_steps:
            least, window = self._least_advantage(self._buffered_inputs), self.args.gradient_accumulation_steps
            self._buffered_inputs = by_prompt(in_order(self._buffered_inputs, window), window, least, self._everyones)
            inputs = self._buffered_inputs[self._step % self.args.steps_per_generation]
        return inputs

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        batch["row"] = self._rows(len(inputs)).to(batch["completion_ids"].device)
        self._after_rollout(batch)
        return batch

    def _generate_single_turn(self, prompt_ids: list[list[int]], *args: Any, **kwargs: Any) -> Any:
        start, self.doing = time.perf_counter(), "rollout"
        with self._decoding(len(prompt_ids)):
            found = super()._generate_single_turn(prompt_ids, *args, **kwargs)
        self.round_trip.stopwatch.add("rollout", start)
        self.doing = "update"
        return found

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        self.doing = "scoring"
        with self.round_trip.whole() if self._sharded else nullcontext():  # who has nothing to score must gather too
            found: torch.Tensor = super()._calculate_rewards(*args, **kwargs)
        self.doing = "update"
        return found

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Any,
        attention_mask: Any,
        logits_to_keep: int,
        batch_size: int | None = None,
        **rest: Any,
    ) -> Any:
        these = (model, input_ids, attention_mask, logits_to_keep)
        found = self._shared(*these, batch_size=batch_size, **rest)
        if found is None:
            return self._plain(*these, batch_size=batch_size, **rest)
        return found[0], found[1], None

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        loss = self._reward_loss(model, inputs)
        if self.supervised is not None:
            loss = loss + self._supervised_loss(model, self.supervised)
        return loss

    # ---- parts ------------------------------------------------------------------------------------------------------

    @property
    def _rollouts_fit_steps(self) -> bool:
        """Whether no optimizer step takes a part of one rollout and a part of the next beside another whole step."""
        micro, rollout = self.args.gradient_accumulation_steps, self.args.steps_per_generation
        return rollout % micro == 0 or micro % rollout == 0

    @property
    def _sharded(self) -> bool:
        """Whether parameters are gathered on each call of the model: all processes must then make equally many."""
        return bool(self.is_fsdp_enabled or self.is_deepspeed_enabled)

    @contextmanager
    def _decoding(self, count: int) -> Iterator[None]:
        """While inside, `generate` of the model in training is ours; `count` prompts are to come."""
        own = getattr(self, "use_vllm", False) or getattr(self, "use_transformers_continuous_batching", False)
        with nullcontext(self.model) if own else whole(self.model) as model:
            model.config.use_cache = True  # the trainer turns it off, and every position would be recomputed
            before = model.generation_config
            if model is not self.model:
                model.generation_config = self.generation_config
            self.model.generate = partial(model.generate, custom_generate=decode, noise=self._noise(count))
            try:
                yield
            finally:
                self.model.__dict__.pop("generate", None)
                model.generation_config = before
                model.config.use_cache = False

    def _rows(self, count: int) -> torch.Tensor:
        """The numbers (count,) of this process's samples among those that all processes generate at once."""
        return torch.arange(count) + self.accelerator.process_index * count

    def _noise(self, count: int) -> torch.Tensor:
        """What decides this process's samples, (count, new tokens): by seed, step and row, so that neither the number
        of processes nor a restart changes them."""
        args = self.args
        part = self._step % args.gradient_accumulation_steps // (args.steps_per_generation * self.num_iterations)
        keys = [key_of(args.seed, self.state.global_step, part, row) for row in self._rows(count).tolist()]
        return row_noise(keys, self.max_completion_length)

    def _everyones(self, column: torch.Tensor) -> torch.Tensor:
        """A column (B,) of each process, (processes, B)."""
        gathered: torch.Tensor = self.accelerator.gather(column)
        return gathered.view(self.accelerator.num_processes, -1)

    def _plain(self, *args: Any, **kwargs: Any) -> Any:
        """TRL's own way to log-probabilities."""
        return super()._get_per_token_logps_and_entropies(*args, **kwargs)

    def _shared(
        self, model: Any, ids: Any, mask: Any, keep: int, batch_size: int | None = None, **rest: Any
    ) -> Scores | None:
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
        columns = (None if column[0] is None else torch.cat(column) for column in zip(*found, strict=True))
        log_probs, entropies, values = columns
        return log_probs, entropies, values

    def _log_probs(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Log-probabilities (B, T), in nats at the sampling temperature, of a rollout's tokens, without gradient."""
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
        keep, size = batch["completion_ids"].size(1), self.args.per_device_train_batch_size
        with torch.no_grad():
            found = self._get_per_token_logps_and_entropies(model, ids, mask, keep, batch_size=size)
        return found[0] * batch["completion_mask"]

    def _start_log_probs(self, batch: dict[str, Any]) -> torch.Tensor:
        """The same under the policy as the phase found it."""
        if self.start is None:
            raise ValueError("the phase's start is not known, so nothing can be measured against it")
        with self.start.active() as model:
            foreign = FUSED_HEAD and model is not self.accelerator.unwrap_model(self.model)
            if foreign:
                base = model.get_base_model() if hasattr(model, "get_base_model") else model
                trl.trainer.utils.add_fused_lm_head(base, temperature=self.temperature)
            try:
                return self._log_probs(model, batch)
            finally:
                if foreign:
                    restore_forward(model)

    def _log_distance(self, batch: dict[str, Any]) -> None:
        """Log `kl`, in nats a token, estimated from a few samples of the rollout."""
        rows = len(batch["completion_ids"])
        few = torch.arange(rows)[:: max(1, min(rows, rows * self.accelerator.num_processes // KL_ROWS))]
        part = _trimmed(_taken({key: value for key, value in batch.items() if _per_row(value, rows)}, few))
        self._log_kl(self._log_probs(self.model, part), self._start_log_probs(part), part["completion_mask"])

    def _log_kl(self, policy: torch.Tensor, start: torch.Tensor, mask: torch.Tensor) -> None:
        total, count = self.accelerator.reduce(mean_kl(policy, start, mask), reduction="sum").tolist()
        self._metrics["train"]["kl"].append(total / max(count, 1.0))

    def _supervised_loss(self, model: Any, term: SupervisedTerm) -> torch.Tensor:
        """This micro-batch's share of the supervised term. DistributedDataParallel gets its one call from the reward's
        loss; the gradients meet in the parameters."""
        world, micro = self.accelerator.num_processes, self.args.gradient_accumulation_steps
        callee = model if self._sharded else self.accelerator.unwrap_model(model)
        number = (self._step % micro) * world + self.accelerator.process_index
        with self.accelerator.autocast():
            # Of the step's mean.
            nats = term.share(callee, self.state.global_step, number, micro * world, always_call=self._sharded)
        logged = self.accelerator.reduce(nats.detach(), reduction="sum").item()
        self._metrics["train"]["sft_loss"].append(logged * micro)  # TRL logs the mean over micro-batches
        # Processes are averaged, and micro-batches too where transformers does that.
        return nats * term.weight * world * (micro if self.divided_later else 1)


def deals_freely(trainer: Any) -> bool:
    """Whether one of TRL's GRPO losses, summed over an optimizer step, does not depend on which samples share a
    micro-batch: `bnpo` divides by the tokens of each."""
    return trainer.loss_type != "bnpo" and trainer.top_entropy_quantile == 1.0


def mean_kl(policy: torch.Tensor, start: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(sum over tokens, tokens) of an estimate of KL(policy || start) in nats, from log-probabilities (B, T) of the
    policy's own samples: exp(d) - d - 1 with d = log start - log policy, which is unbiased and never negative (Schulman
    2020, "Approximating KL divergence", k3)."""
    d = start - policy
    return torch.stack([((d.exp() - d - 1) * mask).sum(), mask.sum().to(d.dtype)])


def in_order(batches: list[dict[str, Any]], window: int) -> list[dict[str, Any]]:
    """The micro-batches of a rollout without TRL's shuffle, which is another on every process: each optimizer step, of
    `window` micro-batches, takes every n-th of the rows that all processes have written, whichever wrote them."""
    rows = len(batches[0]["row"])
    if any(len(batch["row"]) != rows for batch in batches):
        return batches
    whole = _joined(batches)
    order, steps = whole["row"].argsort(), len(batches) // window
    return [_taken(whole, part) for step in range(steps) for part in order[step::steps].split(rows)]


def by_prompt(
    batches: list[dict[str, Any]],
    window: int,
    least: float = 0.0,
    everyones: Callable[[torch.Tensor], torch.Tensor] = lambda column: column[None],
) -> list[dict[str, Any]]:
    """The micro-batches of each optimizer step dealt anew: the samples of a prompt together, prompts of like length
    together, padding cut off, samples with a smaller advantage than `least` left out.

    The gradient is the same, as each step still accumulates over the same samples (`window` micro-batches), but a
    prompt is computed once for all of its samples (`models.shared_prompts`). `everyones` gives a column (B,) of each
    process, (processes, B): all keep equally many samples, as TRL asks, and those too many count for nothing.
    """
    dealt = []
    for start in range(0, len(batches), window):
        part = batches[start : start + window]
        rows = part[0]["completion_ids"].size(0)
        if any(batch["completion_ids"].size(0) != rows for batch in part):
            return batches
        whole = _without_the_least(_joined(part), least, len(part), everyones)
        _, kind = group_rows(torch.cat([whole["prompt_ids"], whole["prompt_mask"]], dim=1))
        order = (whole["prompt_mask"].sum(1) * len(kind) + kind).argsort(stable=True)
        dealt += [_trimmed(_taken(whole, chunk)) for chunk in order.tensor_split(len(part))]
    return dealt


def _without_the_least(
    whole: dict[str, Any], least: float, batches: int, everyones: Callable[[torch.Tensor], torch.Tensor]
) -> dict[str, Any]:
    """The rows whose advantage is at least `least`; no fewer than `batches`, and as many as any process has of them.
    Rows beyond these have no advantage, and their tokens are not counted."""
    if not least:
        return whole
    size = whole["advantages"].abs()
    if size.dim() > 1:  # one for each token
        size = size.amax(1)
    sizes = everyones(size)
    least = min(least, float(sizes.flatten().sort(descending=True).values[batches - 1]))
    most = max(batches, int((sizes >= least).sum(1).max()))
    counted = size >= least
    kept = (~counted).int().argsort(stable=True)[:most].sort().values
    found, blank = _taken(whole, kept), ~counted[kept]
    if len(sizes) > 1:
        found["advantages"][blank] = 0.0
        # As TRL marks tokens that the policy has read but not written.
        found["tool_mask"] = found["completion_mask"] * ~blank[:, None]
    return found


def _joined(batches: list[dict[str, Any]]) -> dict[str, Any]:
    """One batch of several with equally many rows."""
    rows = len(batches[0]["completion_ids"])
    return {
        key: torch.cat([batch[key] for batch in batches]) if _per_row(value, rows) else value
        for key, value in batches[0].items()
    }


def _taken(batch: dict[str, Any], rows: torch.Tensor) -> dict[str, Any]:
    """Some rows of a batch; what belongs to the whole of it stays."""
    count = len(batch["completion_ids"])
    return {key: value[rows] if _per_row(value, count) else value for key, value in batch.items()}


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
