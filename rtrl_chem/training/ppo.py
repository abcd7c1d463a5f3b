"""PPO over GRPO's rollouts: a value head on the policy's trunk instead of a group to compare with.

Schulman et al. 2017 (arXiv 1707.06347) with generalized advantage estimation (Schulman et al. 2016, arXiv 1506.02438),
token by token as for language models in Ziegler et al. 2019 (arXiv 1909.08593): a state is a prompt with the tokens
written so far, an action the next token. The equations are in docs/algorithms.md.

TRL's clipped loss takes an advantage for each token; what is added here are rewards by token, values, and their loss.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from trl import GRPOTrainer

from rtrl_chem.models.policy import Policy
from rtrl_chem.models.sharding import gathered, scatter
from rtrl_chem.models.shared_prompts import Scores
from rtrl_chem.models.value_head import ValueHead, attached, load_heads, recorded, save_heads, set_aside
from rtrl_chem.training.rollouts import RoundTripRollouts, deals_freely

__all__ = [
    "RoundTripPPOTrainer",
    "gae",
    "moments",
    "token_rewards",
    "value_head_of",
    "value_losses",
    "whiten",
]


_HEAD = "value"  # the name of a phase's head in a checkpoint


def token_rewards(
    scores: torch.Tensor, mask: torch.Tensor, log_ratio: torch.Tensor | None = None, kl_coef: float = 0.0
) -> torch.Tensor:
    """Reward of each token, (B, T): at every one -kl_coef * (log policy - log start), at a sample's last one its score
    (B,) too. Zero outside of `mask` (B, T), whose rows are ones followed by zeros."""
    rewards = torch.zeros_like(mask, dtype=scores.dtype)
    if log_ratio is not None:
        rewards = rewards - kl_coef * log_ratio
    steps = torch.arange(mask.size(1), device=mask.device)
    last = steps == mask.sum(1, keepdim=True) - 1
    return (rewards + scores[:, None] * last) * mask


def gae(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, gamma: float, lam: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(advantages, returns), each (B, T), by arXiv 1506.02438, Eq. 16:

        delta_t = r_t + gamma V_{t+1} - V_t        A_t = delta_t + gamma lam A_{t+1}        R_t = A_t + V_t

    After a sample's last token there is nothing, V = 0, be it end-of-sequence or the longest length: a truncated answer
    is judged as it stands, and what might have followed is worth nothing. Zero outside of `mask`.
    """
    values, rewards = values * mask, rewards * mask
    following = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], dim=1)
    deltas = rewards + gamma * following - values
    advantages = torch.zeros_like(values)
    ahead = torch.zeros_like(values[:, 0])
    for t in reversed(range(values.size(1))):
        ahead = (deltas[:, t] + gamma * lam * ahead) * mask[:, t]
        advantages[:, t] = ahead
    return advantages, advantages + values


def moments(
    x: torch.Tensor, mask: torch.Tensor, reduce: Callable[[torch.Tensor], torch.Tensor] = lambda sums: sums
) -> tuple[float, float]:
    """(mean, variance) of x where mask is set; `reduce` adds the sums of all processes."""
    mask = mask.to(torch.float64)
    count, total = reduce(torch.stack([mask.sum(), (x * mask).sum()])).tolist()
    mean = total / max(count, 1.0)
    squares = reduce((((x - mean) ** 2) * mask).sum()[None]).item()
    return mean, squares / max(count, 1.0)


def whiten(x: torch.Tensor, mask: torch.Tensor, mean: float, variance: float, *, shift: bool = True) -> torch.Tensor:
    """x (B, T) scaled to variance 1, and to mean 0 unless `shift` is off; zero outside of `mask`."""
    white = (x - mean) / (variance + 1e-8) ** 0.5
    return (white if shift else white + mean) * mask


def value_losses(
    values: torch.Tensor, before: torch.Tensor, returns: torch.Tensor, clip: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(half the squared error of each value, the larger of that of V and of V kept within `clip` of its value at the
    rollout; whether the latter decided), each (B, T)."""
    near = torch.maximum(torch.minimum(values, before + clip), before - clip)
    free, clipped = (values - returns) ** 2, (near - returns) ** 2
    return 0.5 * torch.maximum(free, clipped), clipped > free


def value_head_of(policy: Policy, name: str) -> ValueHead:
    """The head that earlier phases of this name have trained, or a new one. Each direction has its own: rewards of
    writing names say little about those of reading them."""
    if name not in policy.value_heads:
        policy.value_heads[name] = ValueHead.of(policy.model)
    return policy.value_heads[name]


class RoundTripPPOTrainer(RoundTripRollouts, GRPOTrainer):
    """GRPOTrainer with PPO's advantages and value loss; its arguments are `PPOArguments`.

    The values that advantages and clipping refer to are those at the rollout, under the policy that wrote the samples.
    """

    def __init__(self, *, value_head: ValueHead, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value_head = value_head
        self._recording = False
        self._state_values: torch.Tensor | None = None
        self._scores = torch.empty(0)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """As TRL's, with the value head among the model's parameters."""
        with attached(self.model, self.value_head):
            return super().train(*args, **kwargs)

    def create_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        """As TRL's, the head's parameters at their own learning rate where they have one."""
        optimizer = super().create_optimizer(*args, **kwargs)
        if self.args.value_learning_rate is not None:
            own = list(self.value_head.parameters())
            for group in optimizer.param_groups:
                group["params"] = [p for p in group["params"] if all(p is not q for q in own)]
            optimizer.add_param_group({"params": own, "lr": self.args.value_learning_rate, "weight_decay": 0.0})
        return optimizer

    def save_more(self, folder: Path) -> None:
        """The head: of a model under an adapter only that is saved."""
        weights = gathered(self.value_head)
        if self.accelerator.is_main_process:
            save_heads({_HEAD: ValueHead.holding(weights)}, folder)

    def load_more(self, folder: Path) -> None:
        """The head as it was saved."""
        scatter(self.value_head, load_heads(folder, self.value_head.weight.device)[_HEAD].state_dict())
        self.value_head.fresh = False

    def _may_deal(self) -> bool:
        return deals_freely(self)

    def _least_advantage(self, batches: list[dict[str, Any]]) -> float:
        return 0.0  # every sample teaches the value head

    # ---- rollout ----------------------------------------------------------------------------------------------------

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        with set_aside(self.model):  # vLLM is given every weight by name
            return super()._generate_single_turn(*args, **kwargs)

    def _calculate_rewards(self, inputs: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        found: torch.Tensor = super()._calculate_rewards(inputs, *args, **kwargs)
        unscored = found.isnan().all(1)
        scores = (found * self.reward_weights.to(found.device)).nansum(1).masked_fill(unscored, torch.nan)
        if not scores.isnan().all():
            self.value_head.start_at(float(scores.nanmean()))
        mine = self.accelerator.process_index * len(inputs)
        self._scores = scores[mine : mine + len(inputs)]
        return found

    def _after_rollout(self, batch: dict[str, Any]) -> None:
        mask, args = batch["completion_mask"], self.args
        log_probs, values = self._as_written(batch)
        log_ratio = self._log_ratio(batch, log_probs)
        scored = mask * ~self._scores.isnan()[:, None]  # a sample without a score teaches nothing
        rewards = token_rewards(self._scores.nan_to_num(), scored, log_ratio, args.kl_coef)
        if args.whiten_rewards:
            rewards = whiten(rewards, scored, *moments(rewards, scored, self._sum), shift=False)
        advantages, returns = gae(rewards, values, scored, args.gamma, args.lam)
        self._log_values(values, returns, scored)
        if args.whiten_advantages:
            advantages = whiten(advantages, scored, *moments(advantages, scored, self._sum))
        kept = torch.where(scored.bool(), returns, values)  # where nothing is learned the value is right as it is
        batch |= {"advantages": advantages.to(values.dtype), "old_values": values, "returns": kept.to(values.dtype)}

    def _as_written(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """(log-probabilities, values), each (B, T), under the policy that has just written the batch."""
        self._recording = True
        try:
            log_probs = self._log_probs(self.model, batch)
        finally:
            self._recording = False
        return log_probs, self._values() * batch["completion_mask"]

    def _log_ratio(self, batch: dict[str, Any], log_probs: torch.Tensor) -> torch.Tensor | None:
        """log policy - log start of each token, (B, T), where the reward has a penalty on it."""
        if self.args.kl_coef == 0.0:
            super()._after_rollout(batch)
            return None
        start = batch.get("ref_per_token_logps")
        start = self._start_log_probs(batch) if start is None else start * batch["completion_mask"]
        if self.beta == 0.0:
            self._log_kl(log_probs, start, batch["completion_mask"])
        return log_probs - start

    def _log_values(self, values: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor) -> None:
        mean, variance = moments(returns, mask, self._sum)
        _, left = moments(returns - values, mask, self._sum)
        logged = self._metrics["train"]
        logged["value/return"].append(mean)
        logged["value/mean"].append(moments(values, mask, self._sum)[0])
        logged["value/explained_variance"].append(1 - left / variance if variance > 0 else 0.0)

    def _sum(self, sums: torch.Tensor) -> torch.Tensor:
        reduced: torch.Tensor = self.accelerator.reduce(sums, reduction="sum")
        return reduced

    # ---- update -----------------------------------------------------------------------------------------------------

    def _reward_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        self._recording = True
        try:
            policy_loss = super()._reward_loss(model, inputs)
        finally:
            self._recording = False
        return policy_loss + self.args.vf_coef * self._value_loss(inputs)

    def _value_loss(self, inputs: dict[str, Any]) -> torch.Tensor:
        """This micro-batch's part of the mean over the tokens of an optimizer step."""
        mask, values = inputs["completion_mask"], self._values()
        each, clipped = value_losses(values, inputs["old_values"], inputs["returns"], self.args.cliprange_value)
        loss, count, far = (each * mask).sum(), mask.sum(), (clipped * mask).sum()
        total = self._sum(torch.stack([loss.detach(), far.to(loss.dtype), count.to(loss.dtype)])).tolist()
        self._metrics["train"]["value/loss"].append(total[0] / max(total[2], 1.0))
        self._metrics["train"]["value/clip_ratio"].append(total[1] / max(total[2], 1.0))
        # Of all processes and of the whole rollout, as TRL counts; gradients are averaged over processes.
        tokens = inputs["num_items_in_batch"].clamp(min=1.0) / self.accelerator.num_processes
        return loss / (tokens * self.args.gradient_accumulation_steps / self.args.steps_per_generation)

    # ---- log-probabilities and values from one pass -----------------------------------------------------------------

    def _values(self) -> torch.Tensor:
        """The values (B, T) of the last pass that was recorded; they are handed out once."""
        values, self._state_values = self._state_values, None
        if values is None:
            raise RuntimeError("no values were recorded: the model was not called through its forward")
        return values

    def _watch(self, model: Any) -> Any:
        return recorded(self.accelerator.unwrap_model(model), self.value_head) if self._recording else nullcontext([])

    def _shared(self, model: Any, *args: Any, **kwargs: Any) -> Scores | None:
        with self._watch(model):
            found = super()._shared(model, *args, **kwargs)
        self._state_values = found[2] if found else None
        return found

    def _plain(self, model: Any, ids: torch.Tensor, mask: torch.Tensor, keep: int, **kwargs: Any) -> Any:
        with self._watch(model) as seen:
            found = super()._plain(model, ids, mask, keep, **kwargs)
        # The last position of a row predicts nothing.
        self._state_values = torch.cat([values[:, -keep - 1 : -1] for values in seen]) if seen else None
        return found
