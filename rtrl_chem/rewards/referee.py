"""The referee term: an inverse that shares nothing with the policy says whether y belongs to x.

A model that judges itself may agree with itself on a mistake; OPSIN, or a model of another family, does not go along.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

from rtrl_chem import chem
from rtrl_chem.config import ModelConfig
from rtrl_chem.models.policy import Policy, load_policy
from rtrl_chem.models.reverse import ReverseModel
from rtrl_chem.models.snapshot import FrozenModel
from rtrl_chem.rewards.compare import structures_alike
from rtrl_chem.rewards.likelihood import FLOORS, likelihood_reward
from rtrl_chem.rewards.options import RefereeReward
from rtrl_chem.rewards.terms import Batch, Term
from rtrl_chem.tasks.base import Task

__all__ = ["ModelReferee", "OpsinReferee", "referee"]


def referee(options: RefereeReward) -> Term:
    """The model that the options name, else OPSIN."""
    return OpsinReferee() if options.model is None else ModelReferee(options, options.model)


@dataclass(frozen=True)
class OpsinReferee:
    """1 where OPSIN reads the name, be it y or x, as the molecule, under the task's equality; a source that is a name
    which OPSIN cannot read is left out."""

    floor: ClassVar[float] = 0.0
    needs_target: ClassVar[bool] = False

    def __call__(self, batch: Batch) -> list[float | None]:
        """1.0, 0.0 or None for each sample; RtrlError where OPSIN cannot be started."""
        named = not batch.output_domain.is_structure
        names, molecules = (batch.outputs, batch.sources) if named else (batch.sources, batch.outputs)
        read = chem.Opsin().read(names)
        alike = structures_alike(batch.task, [smiles or "" for smiles in read], molecules, "task")
        return [None if smiles is None and not named else value for smiles, value in zip(read, alike, strict=True)]


@dataclass
class ModelReferee:
    """Likelihood of x given y under another model, asked in its own prompt style."""

    options: RefereeReward
    model: ModelConfig
    reverse: ReverseModel | None = field(default=None, init=False)
    needs_target: ClassVar[bool] = False

    @property
    def floor(self) -> float:
        """The least value of the form."""
        return FLOORS[self.options.form, self.options.normalize]

    def __call__(self, batch: Batch) -> list[float]:
        """The reward of each score; ModelError where the model cannot be loaded."""
        if self.reverse is None:
            policy = _load(self.model.model_dump_json(), batch.task)
            self.reverse = ReverseModel(
                FrozenModel(policy.model), policy.codec, batch.direction, batch.reverse.max_batch_tokens
            )
        scores = self.reverse.log_likelihood(list(batch.sources), list(batch.outputs))
        return [likelihood_reward(score, self.options.form, self.options.normalize) for score in scores]


@lru_cache(maxsize=1)
def _load(model: str, task: Task) -> Policy:
    """The referee of a run, loaded once and not in every phase. A config cannot be hashed, its JSON can."""
    return load_policy(ModelConfig.model_validate_json(model), task)
