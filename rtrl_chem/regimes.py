"""The config's sections on what is learned from, by which models, under which guards; and what is wrong between them.

No torch, no RDKit. `rtrl_chem.config` puts them into a config; docs/regimes.md says what each does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from rtrl_chem.closed import Closed, Count, Text
from rtrl_chem.errors import did_you_mean
from rtrl_chem.passthrough import RUN_WIDE, lora_problems, quantization_problems, trainer_problems
from rtrl_chem.tasks import Direction

__all__ = [
    "GuardsConfig",
    "Regime",
    "SupervisedConfig",
    "SyntheticConfig",
    "Watched",
    "check_regime",
    "listed",
    "regime_problems",
]

Regime = Literal["self_supervised", "supervised", "synthetic"]
Watched = Literal[
    "rtc",
    "rtc_isomeric",
    "rtc_stereo_free",
    "rtc_inchi",
    "rtc_inchi_set",
    "log_p",
    "log_p_per_token",
    "similarity",
    "exact_match",
    "referee",
    "validity",
    "leak_rate",
    "copy_rate",
    "empty_rate",
    "truncated_rate",
    "guard",
]


def check_regime(regime: Any) -> Any:
    """One regime, or several at once as a list."""
    given = regime if isinstance(regime, (list, tuple)) else [regime]
    known = get_args(Regime)
    for one in given:
        if one not in known:
            raise ValueError(f"got {one!r}, must be one or a list of {', '.join(known)}")
    if not given or len(set(given)) < len(given):
        raise ValueError(f"got {list(given)}, must name at least one regime, and each once")
    return tuple(given) if isinstance(regime, (list, tuple)) else regime


class SupervisedConfig(Closed):
    """What regime: supervised does with the labelled pairs, beside a `supervised` term of the reward."""

    warm_up_steps: Annotated[int, Field(ge=0)] = 100
    """Optimizer steps of SFT on the pairs, in both directions at once, before the first round."""
    sft_weight: Annotated[float, Field(ge=0)] = 0.0
    """Weight of an SFT loss on the pairs beside the loss of each reinforcement learning step; 0 is none."""
    trainer: dict[str, Any] = Field(default_factory=dict)
    """Fields of TRL's SFTConfig for the warm-up, over those of the run's `trainer` that SFTConfig has too."""


class SyntheticConfig(Closed):
    """How regime: synthetic makes pairs. Back-translation: the policy writes y for a real x; the opposite direction
    then learns to write the real x, given y."""

    steps: Count | None = None
    """At most so many optimizer steps in each phase, which goes through its pairs once; default: steps_per_phase."""
    samples: Annotated[int, Field(ge=0)] = 4
    """Answers written for each real item, all of them used that pass; 0: none, learn the pairs in the data alone."""
    temperature: Annotated[float, Field(ge=0)] = 1.0
    """Of the samples; 0 takes the one most likely answer (with samples: 1)."""
    min_probability: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Keep a pair only if the policy's own p(x | y), over the whole of x, is at least this; 0 keeps any."""
    round_trip: bool = False
    """Keep a pair only if the policy's greedy answer to y is x."""
    pairs_weight: Annotated[float, Field(ge=0)] = 0.0
    """Pairs of data.pairs (made by rule, say) learned beside each pair the policy made; with samples: 0 alone."""
    trainer: dict[str, Any] = Field(default_factory=dict)
    """Fields of TRL's SFTConfig for these phases, over those of the run's `trainer` that SFTConfig has too."""


class GuardsConfig(Closed):
    """Do no harm: what is measured after every round, and what happens when it gets worse."""

    on_regression: Literal["rollback", "stop", "ignore"] = "rollback"
    """When a round lowers a watched metric beyond the interval of the paired difference to the best round so far.
    rollback: go on from the last good model; stop: end the run with it; ignore: say so."""
    metrics: Annotated[
        tuple[Watched, ...] | None,
        BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given),
    ] = None
    """The metrics to watch, in both directions; guard: the texts and questions of evaluation.guard. Default: those of
    rtc, exact_match, referee and leak_rate that can be measured."""
    pairs: Text | None = None
    """Labelled pairs to validate on; default: items set aside of the training data. Never the test items."""
    size: Count = 300
    """At most so many validation items in each direction."""
    divergence: bool = True
    """Stop when the round trip gets better while the referee (without one: the exact match) gets worse, both beyond
    their intervals: the model agrees with itself and no longer with the truth."""
    max_kl: Annotated[float, Field(gt=0)] | None = None
    """Stop when a phase ends with a higher mean KL divergence from its start, in nats a token."""
    min_entropy: Annotated[float, Field(gt=0)] | None = None
    """Stop when a phase ends with a lower mean entropy of the policy, in nats a token."""
    plateau_rounds: Count | None = None
    """Stop after so many rounds without a rise of any direction's mean reward."""
    plateau_gain: Annotated[float, Field(ge=0)] = 0.0
    """A rise of the mean reward up to this is none."""


# ---- between keys ---------------------------------------------------------------------------------------------------


def listed(given: Any) -> tuple[str, ...]:
    """The names in a value that is one name or a list of them; whatever else it holds is left out."""
    return tuple(one for one in (given if isinstance(given, (list, tuple)) else [given]) if isinstance(one, str))


def _section(raw: Mapping[Any, Any], name: str) -> Mapping[str, Any]:
    return raw[name] if isinstance(raw.get(name), dict) else {}


def regime_problems(raw: Mapping[Any, Any], algorithm: str | None) -> list[str]:
    """What is wrong between regime, schedule, models, guards and their sections, in a config as it was read: what is
    malformed is skipped here. `algorithm` is None where that is."""
    regimes = listed(raw.get("regime", "self_supervised"))
    problems = _section_problems(raw, regimes, algorithm) + _arrangement_problems(raw)
    return problems + _guard_problems(raw, algorithm) + _best_problems(raw) + _export_problems(raw)


def _section_problems(raw: Mapping[Any, Any], regimes: tuple[str, ...], algorithm: str | None) -> list[str]:
    """Whether what a regime needs is there, and nothing is given that no regime reads."""
    problems = []
    for name, model in (("supervised", SupervisedConfig()), ("synthetic", SyntheticConfig())):
        given = _section(raw, name)
        if name not in regimes and any(value != getattr(model, key, None) for key, value in given.items()):
            problems.append(
                f"{name}: has no effect under regime: {', '.join(regimes)}; set regime: {name}, or leave it"
            )
        if isinstance(given.get("trainer"), dict):
            found = trainer_problems(given["trainer"], "sft")
            problems += [problem.replace("trainer.", f"{name}.trainer.", 1) for problem in found]
            of_the_run = [field for field in given["trainer"] if field in RUN_WIDE]
            problems += [
                f"{name}.trainer.{field}: is of the run as a whole; set it under trainer" for field in of_the_run
            ]
            if "report_to" in given["trainer"]:
                problems.append(f"{name}.trainer.report_to: is the run's; set trainer.report_to")
    if "supervised" in regimes:
        problems += _supervised_problems(raw, algorithm)
    return problems + (_synthetic_problems(raw) if "synthetic" in regimes else [])


def _supervised_problems(raw: Mapping[Any, Any], algorithm: str | None) -> list[str]:
    given = _section(raw, "supervised")
    steps, weight = given.get("warm_up_steps", SupervisedConfig().warm_up_steps), given.get("sft_weight", 0)
    if steps == 0 and weight == 0 and "supervised" not in _section(raw, "rewards") and algorithm != "sft":
        return [
            "supervised: nothing learns from the pairs; give warm_up_steps or sft_weight a value above 0, or "
            "rewards.supervised a weight"
        ]
    if weight and algorithm in ("sft", "expert_iteration"):
        return [f"supervised.sft_weight: got {weight}, must be 0 with algorithm: {algorithm}, which is SFT itself"]
    return []


def _synthetic_problems(raw: Mapping[Any, Any]) -> list[str]:
    given, data = _section(raw, "synthetic"), _section(raw, "data")
    samples, pairs = given.get("samples", SyntheticConfig().samples), data.get("pairs")
    if given.get("temperature") == 0 and isinstance(samples, int) and samples > 1:
        return [f"synthetic.samples: got {samples}, must be 1 at temperature 0, which gives one answer"]
    if pairs and (samples == 0 or given.get("pairs_weight")):
        return []
    if samples == 0:
        return ["data.pairs: missing; synthetic.samples: 0 learns the pairs of the data alone"]
    real = {"forward": data.get("outputs"), "reverse": data.get("molecules")}
    directions = [str(one) for one in listed(raw.get("directions", list(Direction)))]
    if any(real.get(direction) for direction in directions) or not any(data.get(key) for key in ("pairs", *_SOURCES)):
        return []
    return [
        "regime: synthetic has nothing to write sources for: the reverse direction learns to answer data.molecules, "
        f"the forward direction data.outputs, and directions are {', '.join(directions)}"
    ]


_SOURCES = ("molecules", "outputs")


def _arrangement_problems(raw: Mapping[Any, Any]) -> list[str]:
    """What does not go together among schedule, models and directions."""
    problems = []
    models, joint = raw.get("models", "shared"), raw.get("schedule") == "joint"
    directions = listed(raw.get("directions", list(Direction)))
    if joint and len(directions) == 1:
        problems.append(f"schedule: joint trains both directions; directions are {directions[0]} alone")
    if joint and models in ("adapters", "separate"):
        problems.append(f"schedule: joint needs models: shared, got models: {models}; set schedule: alternate")
    if models == "adapters" and isinstance(raw.get("model"), dict) and raw["model"].get("lora") is None:
        problems.append("model.lora: missing; models: adapters trains a LoRA adapter for each direction")
    if models != "separate" and raw.get("reverse_model") is not None:
        problems.append(f"reverse_model: has no effect with models: {models}; set models: separate")
    problems += quantization_problems(_section(raw, "reverse_model"), "reverse_model")
    lora = _section(raw, "reverse_model").get("lora")
    if isinstance(lora, dict):
        found = lora_problems(lora)
        problems += [problem.replace("model.", "reverse_model.", 1) for problem in found]
    return problems


def _guard_problems(raw: Mapping[Any, Any], algorithm: str | None) -> list[str]:
    """Rules that could never fire, and validation items that cannot be had."""
    guards, problems = _section(raw, "guards"), []
    if guards and guards.get("pairs") is None and _section(raw, "data").get("streaming") is not None:
        problems.append("guards.pairs: missing; a stream is not searched for validation items")
    if "guard" in listed(guards.get("metrics")) and _section(raw, "evaluation").get("guard") is None:
        problems.append("guards.metrics: guard needs evaluation.guard, the suite to measure")
    for key in ("max_kl", "min_entropy", "plateau_rounds"):
        if guards.get(key) is not None and algorithm in ("sft", "expert_iteration"):
            problems.append(f"guards.{key}: has no effect with algorithm: {algorithm}; it is for grpo, rloo and ppo")
    return problems


def _best_problems(raw: Mapping[Any, Any]) -> list[str]:
    """Whether the best stage can be told: which metric of which direction decides, and who measures it."""
    trainer = _section(raw, "trainer")
    metric = trainer.get("metric_for_best_model")
    if metric is None:
        asks = [name for name in ("load_best_model_at_end", "greater_is_better") if trainer.get(name) is not None]
        return [
            f"trainer.{name}: needs trainer.metric_for_best_model, such as forward/rtc"
            for name in asks
            if trainer[name] or name == "greater_is_better"
        ]
    problems = []
    if not isinstance(raw.get("guards"), dict):
        problems.append(
            "trainer.metric_for_best_model: needs guards, which measure after every round; to measure and do nothing "
            "else write guards: {on_regression: ignore, divergence: false}"
        )
    where, _, name = metric.partition("/") if isinstance(metric, str) else ("", "", "")
    if where == "guard":
        if _section(raw, "evaluation").get("guard") is None:
            problems.append("trainer.metric_for_best_model: guard needs evaluation.guard, the suite to measure")
    elif isinstance(metric, str) and (where not in list(Direction) or name not in _MEASURED):
        problems.append(f"trainer.metric_for_best_model: got {metric!r}; {did_you_mean(metric, _BEST)}")
    return problems


_MEASURED = tuple(dict.fromkeys(name for name in get_args(Watched) if name != "guard"))
_BEST = [f"{direction}/{name}" for direction in Direction for name in _MEASURED]


def _export_problems(raw: Mapping[Any, Any]) -> list[str]:
    """Options of the finished model that would do nothing."""
    trainer, problems = _section(raw, "trainer"), []
    hub = [name for name in ("hub_model_id", "hub_private_repo", "hub_revision") if trainer.get(name) is not None]
    if hub and not trainer.get("push_to_hub"):
        problems = [f"trainer.{name}: has no effect without trainer.push_to_hub: true" for name in hub]
    adapted = any(_section(raw, key).get("lora") is not None for key in ("model", "reverse_model"))
    if raw.get("save_merged") is True and not adapted:
        problems.append("save_merged: merges a LoRA adapter into its model; set model.lora, or leave it out")
    return problems
