"""The `rewards` section of a config: the options of each term, and which names there are. No torch, no RDKit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
    with_config,
)
from pydantic_core import InitErrorDetails
from typing_extensions import TypedDict

from rtrl_chem.closed import Closed, Count, Text
from rtrl_chem.tasks import Task
from rtrl_chem.tasks.base import Equality

if TYPE_CHECKING:
    from rtrl_chem.config import ModelConfig

__all__ = [
    "ENTRY_POINTS",
    "OPTIONS",
    "AgreementReward",
    "AnyOrderReward",
    "ConservationReward",
    "FormatReward",
    "InformationReward",
    "LikelihoodReward",
    "ReconstructionReward",
    "RefereeReward",
    "RewardOptions",
    "Rewards",
    "SupervisedReward",
    "UserReward",
    "fit_problems",
    "installed_rewards",
    "read_user_rewards",
    "reward_names",
]

ENTRY_POINTS = "rtrl_chem.rewards"
Fingerprint = Literal["maccs", "rdkit", "morgan"]
# Columns of completions.parquet that are no reward's.
TAKEN = (
    "step",
    "direction",
    "source",
    "output",
    "x_hat",
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


class InformationReward(RewardOptions):
    """How much y tells about x: log p(x | y) - log p(x | no y), nothing where y tells less than no y does."""

    normalize: Literal["share", "token", "sequence"] = "share"
    """share: of all there is to tell, -log p(x | no y), so from 0 to 1; token: nats per token of x; sequence: nats."""


class AnyOrderReward(RewardOptions):
    """The likelihood of the molecule rather than of one spelling: the sum of p(s | y) over several SMILES s of x.

    Where x is a text, its own likelihood.
    """

    k: Annotated[int, Field(ge=2)] = 4
    """Spellings of x: as it is, and k - 1 others in random order of atoms."""
    form: Literal["log", "probability"] = "probability"
    """log of the sum, in nats, or the sum itself."""


def _check_compares(equality: str | None, similarity: str | None) -> None:
    if equality is None and similarity is None:
        raise ValueError("compares nothing; give an equality, a similarity or both")


class ReconstructionReward(RewardOptions):
    """x_hat is sampled from y by the frozen reverse model and compared with x; the mean over the samples."""

    n: Count = 4
    """Samples for each y."""
    temperature: Annotated[float, Field(ge=0)] = 1.0
    """Of the samples; 0 is one greedy x_hat, for n: 1."""
    equality: Literal["task", Equality] | None = "task"
    """When x_hat counts as x: the task's own equality, one by name, or null for similarity alone; texts: letter by
    letter."""
    similarity: Fingerprint | None = None
    """Tanimoto similarity of x_hat and x, of structures only; together with an equality the mean of both."""

    @model_validator(mode="after")
    def _samples_differ(self) -> ReconstructionReward:
        if self.temperature == 0 and self.n > 1:
            raise ValueError(f"n: {self.n} samples at temperature 0 would be equal; set n: 1, or a temperature")
        _check_compares(self.equality, self.similarity)
        return self


class ConservationReward(RewardOptions):
    """Reactions: the share of the product's atoms, hydrogens apart, that come from the reactants; 0 where the product
    is itself a reactant."""


class AgreementReward(RewardOptions):
    """Captions: whether the functional groups and the formula that the text names are those of the molecule."""

    measure: Literal["f1", "precision"] = "f1"
    """f1: between named and present groups, so that silence does not pay; precision: the share of named ones that are
    present."""


class RefereeReward(RewardOptions):
    """An independent inverse: OPSIN for names, or another model."""

    model: ModelConfig | None = None
    """Another model, with the keys of `model`: it is loaded once and stays frozen, and its own likelihood of x given y
    is the reward. Default: OPSIN."""
    form: Literal["log", "probability"] = "probability"
    """Of the other model, as in likelihood."""
    normalize: Literal["token", "sequence"] = "sequence"
    """Of the other model, as in likelihood."""


class SupervisedReward(RewardOptions):
    """The task's metric against the label, for sources that have one in data.pairs."""

    equality: Literal["task", Equality] | None = "task"
    """Structures: when y counts as the label, as in reconstruction."""
    similarity: Fingerprint | None = None
    """Structures: Tanimoto similarity of y and the label; together with an equality the mean of both."""
    phrase: Literal["exact", "edit"] = "exact"
    """Names and other phrases: letter by letter, or 1 - edit distance / length of the longer."""
    prose: Literal["rougeL", "rouge2", "rouge1", "bleu4", "bleu2"] = "rougeL"
    """Captions and other prose: the score of this one text (BLEU without smoothing)."""

    @model_validator(mode="after")
    def _compares(self) -> SupervisedReward:
        _check_compares(self.equality, self.similarity)
        return self


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
    information: Annotated[InformationReward, _OrWeight]
    any_order: Annotated[AnyOrderReward, _OrWeight]
    reconstruction: Annotated[ReconstructionReward, _OrWeight]
    format: Annotated[FormatReward, _OrWeight]
    conservation: Annotated[ConservationReward, _OrWeight]
    agreement: Annotated[AgreementReward, _OrWeight]
    referee: Annotated[RefereeReward, _OrWeight]
    supervised: Annotated[SupervisedReward, _OrWeight]


OPTIONS: dict[str, type[RewardOptions]] = {
    "likelihood": LikelihoodReward,
    "information": InformationReward,
    "any_order": AnyOrderReward,
    "reconstruction": ReconstructionReward,
    "format": FormatReward,
    "conservation": ConservationReward,
    "agreement": AgreementReward,
    "referee": RefereeReward,
    "supervised": SupervisedReward,
}


def fit_problems(rewards: Mapping[Any, Any], task: Task) -> list[str]:
    """Terms of a raw `rewards` section that mean nothing for the task."""
    structures = sum(domain.is_structure for domain in (task.left, task.right))
    named = structures and (task.left.is_name or task.right.is_name)
    described = structures and (task.left.prose or task.right.prose)
    referee = rewards.get("referee")
    judged = named or (isinstance(referee, Mapping) and referee.get("model") is not None)
    fits = {
        "any_order": (structures, "tasks with structures, which have several spellings"),
        "conservation": (structures == 2, "tasks between structures, such as reaction"),
        "agreement": (described, "tasks between structures and prose, such as captioning"),
        "referee": (judged, "tasks between structures and IUPAC names, or give it a model"),
    }
    return [
        f"rewards.{name}: is for {wanted}; leave it out for task {task.name!r}"
        for name, (fit, wanted) in fits.items()
        if name in rewards and not fit and _is_on(rewards[name])
    ]


def _is_on(term: Any) -> bool:
    weight = term.get("weight", 1) if isinstance(term, Mapping) else term
    return weight != 0


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
