"""From the names in a config to the terms of a reward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rtrl_chem.config import Rewards
from rtrl_chem.rewards.agreement import Agreement
from rtrl_chem.rewards.any_order import AnyOrder
from rtrl_chem.rewards.conservation import Conservation
from rtrl_chem.rewards.format import Format
from rtrl_chem.rewards.information import Information
from rtrl_chem.rewards.likelihood import Likelihood
from rtrl_chem.rewards.reconstruction import Reconstruction
from rtrl_chem.rewards.referee import referee
from rtrl_chem.rewards.supervised import Supervised
from rtrl_chem.rewards.terms import Term
from rtrl_chem.rewards.user import user_term

__all__ = ["WeightedTerm", "build_terms"]


@dataclass(frozen=True)
class WeightedTerm:
    """A term with its name and its factor in the sum."""

    name: str
    weight: float
    term: Term


# One for each of `options.OPTIONS`.
TERMS: dict[str, Callable[[Any], Term]] = {
    "likelihood": Likelihood,
    "information": Information,
    "any_order": AnyOrder,
    "reconstruction": Reconstruction,
    "format": Format,
    "conservation": Conservation,
    "agreement": Agreement,
    "referee": referee,
    "supervised": Supervised,
}


def build_terms(rewards: Rewards) -> list[WeightedTerm]:
    """The terms with a weight above 0, those of the user last; RewardError where one cannot be had."""
    options: Mapping[str, Any] = rewards
    return [
        WeightedTerm(name, one.weight, TERMS[name](one) if name in TERMS else user_term(name, one))
        for name, one in options.items()
        if one.weight > 0
    ]
