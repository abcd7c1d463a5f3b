"""From the names in a config to the terms of a reward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rtrl_chem.config import Rewards
from rtrl_chem.rewards.format import Format
from rtrl_chem.rewards.likelihood import Likelihood
from rtrl_chem.rewards.terms import Term
from rtrl_chem.rewards.user import user_term

__all__ = ["WeightedTerm", "build_terms"]


@dataclass(frozen=True)
class WeightedTerm:
    """A term with its name and its factor in the sum."""

    name: str
    weight: float
    term: Term


TERMS: dict[str, Callable[[Any], Term]] = {"likelihood": Likelihood, "format": Format}


def build_terms(rewards: Rewards) -> list[WeightedTerm]:
    """The terms with a weight above 0, in the order of the config; RewardError where one cannot be had."""
    options: Mapping[str, Any] = rewards
    return [
        WeightedTerm(name, one.weight, TERMS[name](one) if name in TERMS else user_term(name, one))
        for name, one in options.items()
        if one.weight > 0
    ]
