"""The config of a run: closed, frozen models, read from YAML and `--set a.b=v`, checked as a whole before any work.

    config = load_config("configs/quickstart.yaml", ["rounds=2", "trainer.learning_rate=1e-4"])

All problems of a file are reported in one `ConfigError`. Nothing here imports torch or RDKit. Relative paths are
relative to the current working directory, not to the file. The fields and their meaning are below, for editors in
`configs/schema.json`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from typing_extensions import Self

from rtrl_chem import strict_yaml
from rtrl_chem.closed import Closed, Count, Text, check_text
from rtrl_chem.durable import write_text
from rtrl_chem.errors import ConfigError, problems_of
from rtrl_chem.passthrough import (
    ON_POLICY,
    RLOO_BETA,
    TRAINERS,
    lora_problems,
    quantization_problems,
    trainer_fields,
    trainer_problems,
    trainer_schema,
)
from rtrl_chem.regimes import (
    GuardsConfig,
    Regime,
    SupervisedConfig,
    SyntheticConfig,
    check_regime,
    listed,
    regime_problems,
)
from rtrl_chem.rewards.options import (
    OPTIONS,
    FormatReward,
    LikelihoodReward,
    RefereeReward,
    Rewards,
    fit_problems,
    read_user_rewards,
    reward_names,
)
from rtrl_chem.tasks import Direction, get_style, load_task

__all__ = [
    "CORPUS_KEYS",
    "Closed",
    "Config",
    "CorpusConfig",
    "CorpusKey",
    "DataConfig",
    "EvaluationConfig",
    "FormatReward",
    "GuardsConfig",
    "LikelihoodReward",
    "LoggingConfig",
    "ModelConfig",
    "PPOOptions",
    "Rewards",
    "StreamingConfig",
    "SupervisedConfig",
    "SyntheticConfig",
    "apply_override",
    "config_from_mapping",
    "dump_config",
    "json_schema",
    "load_config",
    "read_mapping",
]

# TRL's default; what a model may write where nobody says.
DEFAULT_COMPLETION_LENGTH = 512


def _not_yet(*values: str) -> BeforeValidator:
    """Names that DESIGN promises and this version lacks get a reason instead of a list of the others."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and value in values:
            raise ValueError(f"{value!r} is not available yet")
        return value

    return BeforeValidator(check)


def _check_style(style: Any) -> Any:
    if style is None:
        return style
    if isinstance(style, (str, dict)):
        try:
            get_style(style)
        except ConfigError as error:
            raise ValueError("; ".join(error.problems)) from None
        return style
    raise ValueError(f"got {style!r}, must be the name of a style or a mapping with a template")


def _check_directions(directions: Any) -> Any:
    if not isinstance(directions, (list, tuple)) or not directions:
        raise ValueError(f"got {directions!r}, must be a list of one or two of forward, reverse")
    for given in directions:
        if given not in list(Direction):
            raise ValueError(f"got {given!r}, must be forward or reverse")
    # An enum member and its text are equal but hash apart: compare members.
    members = tuple(Direction(given) for given in directions)
    if len(set(members)) < len(members):
        raise ValueError(f"got {', '.join(map(str, members))}, must name each direction once")
    return members


# `~` is the home folder here as in a shell; data are read so too.
Folder = Annotated[Text, AfterValidator(os.path.expanduser)]
CorpusKey = Literal["molecules", "outputs", "pairs"]
CORPUS_KEYS: tuple[CorpusKey, ...] = get_args(CorpusKey)
Format = Literal["smi", "txt", "csv", "tsv", "jsonl", "parquet"]
Style = Annotated[str | dict[str, Any] | None, BeforeValidator(_check_style)]


class ModelConfig(Closed):
    """The model to train."""

    path: Folder
    """Hugging Face model id, folder, or bundled:NAME."""
    revision: str | None = None
    """Branch, tag or commit of a model on the Hub."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights; auto: what suits the device."""
    prompt_style: Style = None
    """How requests are laid out: chat, answer, plain, chemdfm, tagged, compact, or a mapping {template: ..., answer:
    ...}. Default: compact for a bundled model, chat where the tokenizer has a chat template, else plain."""
    trust_remote_code: bool = False
    """Run the Python code that comes with the model."""
    use_safetensors: bool = True
    """false: where there are no safetensors, take pickled weights (.bin). Only from those you trust."""
    attn_implementation: str | None = None
    """Attention of transformers: sdpa, flash_attention_2, eager, ..."""
    gguf_file: str | None = None
    """Name of the GGUF file inside the model's folder."""
    lora: dict[str, Any] | None = None
    """Train a LoRA adapter: the fields of PEFT's LoraConfig, passed through. Without it all weights are trained."""
    quantization: dict[str, Any] | None = None
    """Load the weights in 4 or 8 bits, to train a LoRA adapter on them (QLoRA): the fields of transformers'
    BitsAndBytesConfig, passed through. Needs the extra `qlora`."""

    @model_validator(mode="after")
    def _refuse_kernels(self) -> Self:
        """transformers takes an attention with a slash in its name for one on the Hub, and loads it unasked."""
        if "/" in (self.attn_implementation or "") and not self.trust_remote_code:
            given = self.attn_implementation
            raise ValueError(
                f"attn_implementation: got {given!r}, compiled code on the Hub; set trust_remote_code: true to run it"
            )
        return self


# A referee may be a model, and its options stand in a module that this one imports.
RefereeReward.model_rebuild(_types_namespace={"ModelConfig": ModelConfig})


class CorpusConfig(Closed):
    """One corpus of several that are mixed."""

    path: Text
    """A file, a prepared corpus, a Hub data set or bundled:NAME."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Of the sources drawn, this corpus gives its weight's share of all weights."""
    field: str | None = None
    """As data.field, for this corpus alone."""
    output_field: str | None = None
    """As data.output_field, for this corpus alone."""
    format: Format | None = None
    """As data.format, for this corpus alone."""


def _check_corpora(given: Any) -> Any:
    """One path stays text; a list becomes corpora, each a path or a mapping."""
    if given is None or isinstance(given, str):
        return given if given is None else check_text(given)
    if not isinstance(given, (list, tuple)) or not given:
        raise ValueError(f"got {given!r}, must be a path or a list such as [{{path: a.smi, weight: 2}}, b.smi]")
    corpora, problems = [], []
    for number, entry in enumerate(given):
        try:
            corpora.append(CorpusConfig.model_validate({"path": entry} if isinstance(entry, str) else entry))
        except ValidationError as error:
            own = problems_of(error, lambda _: CorpusConfig.__annotations__)
            problems += [f"corpus {number + 1}: {problem.removeprefix(': ')}" for problem in own]
    if problems:
        raise ValueError("; ".join(problems))
    return tuple(corpora)


Corpora = Annotated[
    str | tuple[CorpusConfig, ...] | None,
    BeforeValidator(_check_corpora, json_schema_input_type=str | list[str | CorpusConfig] | None),
]


class StreamingConfig(Closed):
    """Read molecules and outputs while training, through a shuffle buffer, instead of before it."""

    buffer: Count = 10_000
    """Items that are shuffled at a time; an item comes at most so many places before its turn."""


class DataConfig(Closed):
    """What to train on: at least one of molecules, outputs, pairs."""

    molecules: Corpora = None
    """Unlabelled sources of the forward direction (for naming: molecules): a file, a prepared corpus, a Hub data set or
    bundled:NAME; or a list of them, each with a weight."""
    outputs: Corpora = None
    """Unlabelled sources of the reverse direction (for naming: names; for reaction: products)."""
    pairs: Corpora = None
    """Labelled pairs; sft needs them."""
    field: str | None = None
    """Column of the left side; default: the usual names."""
    output_field: str | None = None
    """Column of the right side."""
    format: Format | None = None
    """Format of the files; default: by their ending."""
    limit: Count | None = None
    """Use at most so many items of each file."""
    curriculum: Literal["length"] | None = None
    """length: the sources of each direction come in order of length over the whole run, the shortest first. Default:
    in random order."""
    streaming: StreamingConfig | None = None
    """For corpora that are too large to be read first and cannot be prepared. Needs held-out items of its own."""
    keep_written: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Where a direction has no corpus and the policy writes its sources: the share of them to train on, those it is
    surest of. 1.0 keeps all; a source that is itself wrong teaches agreement with a mistake."""

    def corpora(self, key: CorpusKey) -> tuple[CorpusConfig, ...]:
        """What stands under a key as a list, empty where there is nothing; columns and format filled in from above."""
        given = getattr(self, key) or ()
        listed = (CorpusConfig(path=given),) if isinstance(given, str) else given
        above = {name: getattr(self, name) for name in ("field", "output_field", "format")}
        return tuple(
            one.model_copy(update={name: getattr(one, name) or value for name, value in above.items()})
            for one in listed
        )


class PPOOptions(Closed):
    """What PPO has beside TRL's fields. The clipping range of its ratio is trainer.epsilon, its epochs on each rollout
    are trainer.num_iterations, a KL term in the loss is trainer.beta."""

    gamma: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Discount of a reward for each token that it comes later."""
    lam: Annotated[float, Field(ge=0, le=1)] = 0.95
    """Lambda of generalized advantage estimation: 1.0 trusts the sampled rewards alone, 0.0 the value head alone."""
    vf_coef: Annotated[float, Field(ge=0)] = 0.1
    """Weight of the value loss."""
    cliprange_value: Annotated[float, Field(gt=0)] = 0.2
    """How far a value may move from that of the rollout before its loss is clipped."""
    kl_coef: Annotated[float, Field(ge=0)] = 0.05
    """Weight of the penalty, in the reward of each token, on log policy - log start of the phase."""
    whiten_rewards: bool = False
    """Scale the rewards of tokens to variance 1 over the rollout; their mean stays."""
    whiten_advantages: bool = True
    """Shift and scale advantages to mean 0 and variance 1 over the rollout."""
    value_learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Learning rate of the value head; default: trainer.learning_rate. It follows the same schedule."""


class EvaluationConfig(Closed):
    """How the model is measured before and after training."""

    size: Count = 1000
    """At most so many held-out items in each direction."""
    pairs: Text | None = None
    """Held-out labelled pairs: round trip and primary metric."""
    molecules: Text | None = None
    """Held-out unlabelled sources of the forward direction."""
    outputs: Text | None = None
    """Held-out unlabelled sources of the reverse direction."""
    max_new_tokens: Count | None = None
    """Longest answer, in tokens; default: trainer.max_completion_length."""
    max_batch_tokens: Count = 16384
    """Prompt and answer tokens in one batch; less needs less memory."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Level of the intervals."""
    resamples: Count = 10_000
    """Resamples of the paired bootstrap."""
    referee: bool = True
    """Let OPSIN read names back, where Java and py2opsin are present."""
    every_round: bool = False
    """Measure after every round too."""
    guard: Text | None = None
    """Suite of texts and questions, `guard` or a file: what training cost elsewhere, measured with the rest."""
    before: bool = True
    """Measure before training; without it there is nothing to compare with."""


class LoggingConfig(Closed):
    """What a run shows on its way. Where it reports to is trainer.report_to, see docs/logging.md."""

    draw_every: Annotated[int, Field(ge=0)] = 50
    """Steps between two images of drawn (source, output) pairs; 0: no images."""


class Config(Closed):
    """A run of rtrl-chem."""

    task: Text
    """naming, reaction, captioning, or the path of a task's YAML file."""
    model: ModelConfig
    data: DataConfig
    regime: Annotated[
        Regime | tuple[Regime, ...],
        BeforeValidator(check_regime, json_schema_input_type=Regime | list[Regime]),
    ] = "self_supervised"
    """What is learned from. self_supervised: the round trip alone; supervised: labelled pairs too; synthetic: pairs
    that the policy or a rule makes, too. Several at once as a list."""
    supervised: SupervisedConfig = Field(default_factory=SupervisedConfig)
    """How regime: supervised uses the pairs."""
    synthetic: SyntheticConfig = Field(default_factory=SyntheticConfig)
    """How regime: synthetic makes pairs."""
    schedule: Literal["alternate", "joint"] = "alternate"
    """alternate: the directions take turns; joint: both in each batch, a new snapshot every steps_per_phase."""
    models: Literal["shared", "adapters", "separate"] = "shared"
    """shared: one model for both directions; adapters: one base with a LoRA adapter for each; separate: two models.
    Of the latter two, the one that is not being trained judges."""
    reverse_model: ModelConfig | None = None
    """With models: separate the model of the reverse direction; default: it starts as a copy of `model`."""
    algorithm: Literal["grpo", "rloo", "ppo", "sft", "expert_iteration"] = "grpo"
    """grpo, rloo, ppo: reinforcement learning; sft: on the pairs; expert_iteration: sft on the best of several
    samples. See docs/algorithms.md."""
    rounds: Count = 3
    """How often all directions are trained in turn."""
    directions: Annotated[
        tuple[Direction, ...],
        BeforeValidator(_check_directions, json_schema_input_type=list[Direction]),
    ] = (Direction.FORWARD, Direction.REVERSE)
    """The phases of a round, in this order. Without unlabelled sources for one, the policy writes them in the other."""
    steps_per_phase: Count = 40
    """Optimizer steps in one phase."""
    rewards: Annotated[Rewards, AfterValidator(read_user_rewards)] = Field(
        default_factory=lambda: Rewards(likelihood=LikelihoodReward(), format=FormatReward())
    )
    """Terms of the reward, see docs/rewards.md. A term that is left out of a given mapping is off."""
    ungated: Annotated[
        tuple[Literal["COPIED_SOURCE", "LEAKED_SOURCE"], ...],
        BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given),
    ] = ()
    """Verdicts that are counted and not punished. For experiments on what a model does that may cheat."""
    trainer: dict[str, Any] = Field(default_factory=dict, json_schema_extra=trainer_schema)
    """Fields of TRL's GRPOConfig (rloo: RLOOConfig; sft: SFTConfig; expert_iteration: SFTConfig and the sampling fields
    of GRPOConfig), passed through."""
    ppo: PPOOptions | None = None
    """What algorithm: ppo has beside those fields."""
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    guards: GuardsConfig | None = None
    """Measure after every round, roll back or stop when training does harm. Without this section: off."""
    save_merged: bool = False
    """With LoRA: model/ holds the whole model with the adapter merged into it, instead of the adapter alone."""
    logging: LoggingConfig = Field(default_factory=LoggingConfig)
    output_dir: Folder
    """The run folder."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Everything random is derived from it."""

    @property
    def max_new_tokens(self) -> int:
        """Longest answer in training, in tokens."""
        return self.trainer.get("max_completion_length") or DEFAULT_COMPLETION_LENGTH

    @property
    def save_steps(self) -> float:
        """After how many steps of a phase it is saved; below 1, after which share of them (transformers' own field)."""
        return float(self.trainer.get("save_steps", 20))

    @property
    def evaluation_max_new_tokens(self) -> int:
        """Longest answer in evaluation, in tokens."""
        return self.evaluation.max_new_tokens or self.max_new_tokens

    @property
    def regimes(self) -> tuple[str, ...]:
        """The regimes that are on."""
        return (self.regime,) if isinstance(self.regime, str) else self.regime

    @property
    def warm_up_steps(self) -> int:
        """Optimizer steps of SFT before the first round."""
        return self.supervised.warm_up_steps if "supervised" in self.regimes else 0

    @property
    def sft_weight(self) -> float:
        """Weight of the SFT loss on the pairs in each reinforcement learning step."""
        return self.supervised.sft_weight if "supervised" in self.regimes else 0.0

    @property
    def needs_start(self) -> bool:
        """Whether a phase must know how far the policy is from its start, whatever that costs."""
        penalty = self.algorithm == "ppo" and (self.ppo or PPOOptions()).kl_coef > 0
        return penalty or (self.guards is not None and self.guards.max_kl is not None)

    @property
    def synthetic_directions(self) -> tuple[Direction, ...]:
        """The directions that learn from made pairs: those with real answers to write a source for, or with pairs."""
        if "synthetic" not in self.regimes:
            return ()
        alone = self.data.pairs and (not self.synthetic.samples or self.synthetic.pairs_weight)
        return tuple(d for d in self.directions if alone or self.has_answers(d))

    def has_answers(self, direction: Direction) -> bool:
        """Whether the policy can write sources for real answers of this direction."""
        real = self.data.outputs if direction is Direction.FORWARD else self.data.molecules
        return bool(real and self.synthetic.samples)

    @property
    def trains_by_algorithm(self) -> bool:
        """Whether rounds hold more than made pairs: with algorithm: sft they are all there is to learn."""
        return not (self.algorithm == "sft" and "synthetic" in self.regimes)

    @property
    def writing_max_new_tokens(self) -> int:
        """Longest answer, in tokens, that the policy writes to learn from: SFTConfig has no field for it."""
        given = self.trainer.get("max_completion_length") or self.evaluation.max_new_tokens
        return given or DEFAULT_COMPLETION_LENGTH

    @property
    def reward_weights(self) -> dict[str, float]:
        """Weight of each term of the reward that is on, by name."""
        terms: Mapping[str, Any] = self.rewards
        return {name: float(term.weight) for name, term in terms.items() if term.weight > 0}


# ---- reading --------------------------------------------------------------------------------------------------------


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> Config:
    """The config in a YAML file, with `a.b=v` overrides (v read as YAML); ConfigError with every problem of both."""
    raw, problems = read_mapping(Path(path))
    for override in overrides:
        problems += apply_override(raw, override)
    return _build(raw, problems, str(path))


def config_from_mapping(raw: Mapping[str, Any], where: str = "config") -> Config:
    """The config with these keys. Unlike `Config(...)` it checks what stands between keys and what is passed through,
    and reports every problem in one ConfigError."""
    return _build(dict(raw), [], where)


def read_mapping(path: Path) -> tuple[dict[Any, Any], list[str]]:
    """The keys and values in a YAML file, and what is wrong with single keys; ConfigError if it holds none."""
    try:
        raw, problems = strict_yaml.parse(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror}); give the path of a config in YAML", str(path)) from None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8 text; give a config in YAML", str(path)) from None
    except strict_yaml.YamlError as error:
        raise ConfigError(f"is not YAML: {error}", str(path)) from None
    if not isinstance(raw, dict):
        held = "is empty" if raw is None else f"holds {type(raw).__name__}"
        raise ConfigError(f"{held}; must hold keys and values: task, model, data, output_dir, ...", str(path))
    return raw, problems


def apply_override(raw: dict[Any, Any], override: str) -> list[str]:
    """Put `a.b=v` into `raw`; returns what is wrong with it."""
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        return [f"--set {override}: must be key=value, such as trainer.learning_rate=1e-4"]
    try:
        value, problems = strict_yaml.parse(text)
    except strict_yaml.YamlError as error:
        return [f"--set {override}: the value is not YAML: {error}"]
    level = raw
    for depth, part in enumerate(parts[:-1], 1):
        if level.get(part) is None:
            level[part] = {}
        elif parts[0] == "rewards" and depth == 2 and isinstance(level[part], (int, float)):
            level[part] = {"weight": level[part]}
        level = level[part]
        if not isinstance(level, dict):
            return [f"--set {override}: {'.'.join(parts[:depth])} is {level!r}, not a mapping; set it as a whole"]
    level[parts[-1]] = value
    return problems


def _build(raw: dict[Any, Any], problems: list[str], where: str) -> Config:
    raw, misplaced = _set_aside_misplaced(raw)
    problems = problems + misplaced
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        problems += problems_of(error, _allowed_keys)
    problems += _problems_between(raw)
    if problems:
        raise ConfigError(problems, where)
    return config


_LEVELS: dict[tuple[str, ...], Any] = {
    (): Config,
    ("model",): ModelConfig,
    ("data",): DataConfig,
    ("data", "streaming"): StreamingConfig,
    ("ppo",): PPOOptions,
    ("evaluation",): EvaluationConfig,
    ("rewards", "referee", "model"): ModelConfig,
    ("supervised",): SupervisedConfig,
    ("synthetic",): SyntheticConfig,
    ("guards",): GuardsConfig,
    ("logging",): LoggingConfig,
    ("reverse_model",): ModelConfig,
} | {("rewards", name): options for name, options in OPTIONS.items()}


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    if location == ("rewards",):
        return reward_names()
    level = _LEVELS.get(tuple(str(part) for part in location))
    return list(level.model_fields) if level else []


def _set_aside_misplaced(raw: dict[Any, Any]) -> tuple[dict[Any, Any], list[str]]:
    """Top-level keys that are right one level down: the commonest slip, and no spelling would explain it."""
    homes = dict.fromkeys([name for algorithm in TRAINERS for name in trainer_fields(algorithm)], "trainer")
    for section in ("evaluation", "data", "model", "ppo"):
        homes |= dict.fromkeys(_allowed_keys((section,)), section)
    own = _allowed_keys(())
    slips = {key: homes[key] for key in raw if key in homes and key not in own}
    problems = [f"{key}: belongs under {home}; write {home}: {{{key}: ...}}" for key, home in slips.items()]
    return {key: value for key, value in raw.items() if key not in slips}, problems


# ---- between keys ---------------------------------------------------------------------------------------------------


def _problems_between(raw: Mapping[Any, Any]) -> list[str]:
    """What is wrong between keys, with the task, and with what is passed through. Works on the raw mapping, so that it
    reports beside the problems of single keys; whatever is malformed is skipped here."""
    algorithm = raw.get("algorithm", "grpo")
    algorithm = algorithm if isinstance(algorithm, str) and algorithm in TRAINERS else None
    regimes = listed(raw.get("regime", "self_supervised"))
    checks: list[tuple[str, Callable[[Any], list[str]]]] = [
        ("data", lambda data: _data_problems(data, algorithm, regimes)),
        ("data", lambda data: _streaming_problems(data, raw.get("evaluation"))),
        ("rewards", lambda rewards: _reward_problems(rewards, algorithm)),
        ("model", _model_problems),
        ("trainer", lambda trainer: trainer_problems(trainer, algorithm) if algorithm else []),
    ]
    problems = _task_problems(raw.get("task"))
    for section, check in checks:
        if isinstance(raw.get(section), dict):
            problems += check(raw[section])
    problems += _fit_problems(raw) + regime_problems(raw, algorithm)
    if raw.get("ppo") is not None and algorithm != "ppo":
        problems.append(f"ppo: is of algorithm: ppo, not of {algorithm}; leave it out")
    return problems + _reference_problems(raw.get("model"), raw.get("trainer", {}), algorithm)


def _reference_problems(model: Any, trainer: Any, algorithm: str | None) -> list[str]:
    """TRL loads the reference model of a KL term by name alone, with neither the GGUF file nor the model's own code."""
    if not isinstance(model, dict) or not isinstance(trainer, dict) or model.get("lora"):
        return []
    beta = trainer.get("beta", RLOO_BETA if algorithm == "rloo" else None)
    own = next((key for key in ("gguf_file", "trust_remote_code") if model.get(key)), None)
    if own is None or isinstance(beta, bool) or not isinstance(beta, (int, float)) or beta == 0:
        return []
    return [
        f"trainer.beta: got {beta}, must be 0 with model.{own}: the reference model cannot be loaded; or give "
        "model.lora, which needs no second model"
    ]


def _task_problems(task: Any) -> list[str]:
    if not isinstance(task, str) or not task.strip():
        return []
    try:
        load_task(task)
    except ConfigError as error:
        where = f"{error.where}: " if error.where else ""
        return [f"task: {where}{problem}" for problem in error.problems]
    return []


def _fit_problems(raw: Mapping[Any, Any]) -> list[str]:
    """Rewards that mean nothing for the task."""
    task, rewards = raw.get("task"), raw.get("rewards")
    if not isinstance(rewards, dict) or not isinstance(task, str) or _task_problems(task):
        return []
    return fit_problems(rewards, load_task(task)) if task.strip() else []


def _data_problems(data: Mapping[str, Any], algorithm: str | None, regimes: tuple[str, ...]) -> list[str]:
    if all(data.get(key) is None for key in CORPUS_KEYS):
        return ["data: names no data; give molecules, outputs or pairs"]
    if data.get("pairs") is not None:
        return []
    if "supervised" in regimes:
        return ["data.pairs: missing; regime: supervised learns from labelled pairs"]
    if algorithm == "sft" and "synthetic" not in regimes:
        return ["data.pairs: missing; algorithm: sft learns from labelled pairs"]
    return []


def _streaming_problems(data: Mapping[str, Any], evaluation: Any) -> list[str]:
    """A stream is read once and forgotten: neither can items be set aside from it, nor the shortest be found."""
    if data.get("streaming") is None:
        return []
    problems = []
    if data.get("molecules") is None and data.get("outputs") is None:
        problems.append("data.streaming: molecules and outputs are streamed, pairs are not; leave it out")
    if data.get("curriculum") is not None:
        problems.append("data.curriculum: cannot be with data.streaming; prepare the corpus (rtrl-chem prepare)")
    named = evaluation if isinstance(evaluation, dict) else {}
    if all(named.get(key) is None for key in CORPUS_KEYS):
        problems.append(
            "data.streaming: a stream is not searched for items to hold out; name evaluation.pairs, or "
            "evaluation.molecules or evaluation.outputs"
        )
    return problems


def _reward_problems(rewards: Mapping[str, Any], algorithm: str | None) -> list[str]:
    weights = [term.get("weight", 1) if isinstance(term, dict) else term for term in rewards.values()]
    if algorithm in ON_POLICY and all(type(weight) in (int, float) and weight == 0 for weight in weights):
        return ["rewards: no term has a weight above 0, so there is nothing to learn; set e.g. likelihood: 1.0"]
    return []


def _model_problems(model: Mapping[str, Any]) -> list[str]:
    problems = lora_problems(model["lora"]) if isinstance(model.get("lora"), dict) else []
    return problems + quantization_problems(model)


# ---- writing --------------------------------------------------------------------------------------------------------


def dump_config(config: Config, path: str | Path) -> None:
    """Write the resolved config, defaults included, in full or not at all; `load_config` reads it back to an equal."""
    write_text(Path(path), strict_yaml.dump(config.model_dump(mode="json")))


def json_schema() -> dict[str, Any]:
    """JSON schema of a config, for editors; `configs/schema.json` is its copy."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Config.model_json_schema()
