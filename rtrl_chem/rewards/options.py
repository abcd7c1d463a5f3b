"""The `rewards` section of a config: the options of each term, and which names there are. No torch, no RDKit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from pydantic_core import InitErrorDetails
from typing_extensions import TypedDict

from rtrl_chem.closed import Closed, Text

__all__ = [
    "ENTRY_POINTS",
    "OPTIONS",
    "FormatReward",
    "LikelihoodReward",
    "RewardOptions",
    "Rewards",
    "UserReward",
    "installed_rewards",
    "read_user_rewards",
    "reward_names",
]

ENTRY_POINTS = "rtrl_chem.rewards"
# Columns of completions.parquet that are no reward's.
TAKEN = (
    "step",
    "direction",
    "source",
    "output",
    "completion",
    "target",
    "reward",
    "verdict",
    "evidence",
    "nats",
    "tokens",
)


class RewardOptions(Closed):
    """What every term has."""

    weight: Annotated[float, Field(ge=0)] = 1.0
    """Factor in the total reward; 0 turns the term off."""


class LikelihoodReward(RewardOptions):
    """How likely the frozen reverse model finds the source x, given the output y."""

    form: Literal["log", "probability"] = "probability"
    """log p(x | y) in nats, or p(x | y) itself, which is bounded and near zero for every wrong answer."""
    normalize: Literal["token", "sequence"] = "sequence"
    """token: the mean over x's tokens (of the probability: the geometric mean); sequence: the sum."""


class FormatReward(RewardOptions):
    """1 for an output in the right format, else 0 (F(y) of arXiv 2510.01527, Eq. 10)."""

    weight: Annotated[float, Field(ge=0)] = 0.2
    """Factor in the total reward; alpha in the paper."""


class UserReward(RewardOptions):
    """A reward of the user's own, by the name of an installed entry point or from a file; every other key is an option
    of its function."""

    model_config = ConfigDict(extra="allow")

    file: Text | None = None
    """Python file that defines a function or class of the reward's name; its code is run."""
    floor: float = 0.0
    """What an output earns that passed no gate: the least value that the reward may give."""

    @property
    def options(self) -> dict[str, Any]:
        """The keys that are the function's own."""
        return dict(self.model_extra or {})


def _from_weight(term: Any) -> Any:
    """`likelihood: 1.0` is short for `likelihood: {weight: 1.0}`."""
    if isinstance(term, (int, float)) and not isinstance(term, bool):
        return {"weight": term}
    if isinstance(term, (dict, BaseModel)):
        return term
    raise ValueError(f"got {term!r}, must be a weight or a mapping such as {{weight: 1.0}}")


_OrWeight = BeforeValidator(_from_weight, json_schema_input_type=Any)


@with_config(ConfigDict(extra="allow", strict=True, allow_inf_nan=False))
class Rewards(TypedDict, total=False):
    """The terms of the reward by name; a bare number is a term's weight. Any other name is a reward of one's own."""

    likelihood: Annotated[LikelihoodReward, _OrWeight]
    format: Annotated[FormatReward, _OrWeight]


OPTIONS: dict[str, type[RewardOptions]] = {"likelihood": LikelihoodReward, "format": FormatReward}


def installed_rewards() -> dict[str, EntryPoint]:
    """The rewards that installed packages offer, by name."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def reward_names() -> list[str]:
    """Every name that `rewards` knows."""
    return [*OPTIONS, *installed_rewards()]


def read_user_rewards(rewards: Mapping[str, Any]) -> dict[str, Any]:
    """`rewards` with the user's own terms read; ValidationError with every problem of these."""
    own = {name: term for name, term in rewards.items() if name not in OPTIONS}
    installed = installed_rewards() if own else {}
    problems: list[InitErrorDetails] = []
    read: dict[str, Any] = {}
    for name, term in own.items():
        if problem := _name_problem(name, term, installed):
            problems.append(problem)
            continue
        try:
            read[name] = _USER_REWARD.validate_python(term)
        except ValidationError as error:
            problems += [_under(name, dict(detail)) for detail in error.errors(include_url=False)]
    if problems:
        raise ValidationError.from_exception_data("rewards", problems)
    return {name: read.get(name, term) for name, term in rewards.items()}


_USER_REWARD: TypeAdapter[UserReward] = TypeAdapter(Annotated[UserReward, _OrWeight])


def _name_problem(name: str, term: Any, installed: Mapping[str, EntryPoint]) -> InitErrorDetails | None:
    file = term.get("file") if isinstance(term, Mapping) else getattr(term, "file", None)
    if file is None and name not in installed:
        return InitErrorDetails(type="extra_forbidden", loc=(name,), input=term)
    if name in TAKEN or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        words = f"is no name for a reward; use letters, digits and _, but none of {', '.join(TAKEN)}"
        return InitErrorDetails(type="value_error", loc=(name,), input=term, ctx={"error": ValueError(words)})
    return None


def _under(name: str, detail: dict[str, Any]) -> InitErrorDetails:
    """An error of a term as one of the whole section."""
    return InitErrorDetails(
        type=detail["type"], loc=(name, *detail["loc"]), input=detail["input"], ctx=detail.get("ctx", {})
    )
