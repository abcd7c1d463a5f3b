"""TRL's RLOO with our prompts and our reward."""

from __future__ import annotations

from typing import Any

import torch
from trl import RLOOTrainer
from trl.trainer import rloo_trainer

from rtrl_chem.training.rollouts import NEGLIGIBLE, RoundTripRollouts

__all__ = ["RoundTripRLOOTrainer"]


class RoundTripRLOOTrainer(RoundTripRollouts, RLOOTrainer):
    """TRL's RLOOTrainer. Its KL term is part of the reward, so the advantage is all that a sample's gradient has."""

    _trl = rloo_trainer
    divided_later = True

    def _may_deal(self) -> bool:
        return True

    def _least_advantage(self, batches: list[dict[str, Any]]) -> float:
        if self.aux_loss_enabled:
            return 0.0
        # Advantages are on the rewards' own scale, whatever that is.
        return NEGLIGIBLE * float(self._everyones(torch.cat([batch["advantages"] for batch in batches])).std())

    def _reward_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        # TRL takes the mean over a micro-batch, which may be without some of its samples.
        loss: torch.Tensor = super()._reward_loss(model, inputs)
        return loss * (len(inputs["advantages"]) / self.args.per_device_train_batch_size)
