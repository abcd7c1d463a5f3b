"""Checks of what a config passes through to TRL (`trainer:`) and PEFT (`model.lora:`), by name and by kind of value.

Neither library is imported: `assets/trl_fields.json` lists their fields (`scripts/list_trl_fields.py` writes it).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from importlib.resources import files
from typing import Any

from rtrl_chem.errors import did_you_mean

__all__ = [
    "QUANTIZATION",
    "RUN_WIDE",
    "SAMPLING",
    "TRACKERS",
    "batch_problem",
    "lora_problems",
    "named_trackers",
    "quantization_problems",
    "trainer_fields",
    "trainer_problems",
    "trainer_schema",
]

# Fields that the run sets itself, and where the config says it instead.
OWNED = {
    "output_dir": "set output_dir at the top level",
    "seed": "set seed at the top level",
    "data_seed": "set seed at the top level",
    "max_steps": "set steps_per_phase (and rounds) at the top level",
    "num_train_epochs": "set steps_per_phase (and rounds) at the top level",
    "reward_weights": "set rewards.NAME.weight",
    "resume_from_checkpoint": "use the option --resume",
    "do_train": "leave it out, a run always trains",
    "remove_unused_columns": "leave it out, the rewards read the columns",
    "model_init_kwargs": "set dtype, revision, attn_implementation, ... under model",
    "trust_remote_code": "set model.trust_remote_code",
    "local_rank": "leave it out, accelerate launch sets it",
    "shuffle_dataset": "leave it out, the run orders its data by the seed",
    "dataset_kwargs": "leave it out, the run prepares its data",
    "disable_tqdm": "use the option --quiet",
    "save_strategy": "leave it out, a run saves every save_steps steps and after every phase",
    "hub_token": "set HF_TOKEN or log in with `hf auth login`; a config is kept in the run folder, a token must not be",
    "hub_strategy": "leave it out, the model is pushed once, at the end",
    "hub_always_push": "leave it out, the model is pushed once, at the end",
} | dict.fromkeys(
    (
        "do_eval",
        "do_predict",
        "eval_strategy",
        "eval_steps",
        "eval_delay",
        "eval_on_start",
        "num_generations_eval",
    ),
    "set evaluation at the top level, it measures before and after (and every_round)",
)
# Fields of transformers that hold for the run as a whole: the trainers of its phases are not given them.
RUN_WIDE = (
    "auto_find_batch_size",
    "save_total_limit",
    "metric_for_best_model",
    "greater_is_better",
    "load_best_model_at_end",
    "push_to_hub",
    "hub_model_id",
    "hub_private_repo",
    "hub_revision",
)
OWNED_LORA = {
    "task_type": "leave it out, it is always CAUSAL_LM",
    "peft_type": "leave it out, it is always LORA",
    "peft_version": "leave it out",
    "auto_mapping": "leave it out",
    "inference_mode": "leave it out, an adapter in inference mode would not train",
    "base_model_name_or_path": "set model.path",
    "revision": "set model.revision",
    "runtime_config": "leave it out",
}
# The arguments of transformers' BitsAndBytesConfig and their kinds; a unit test compares the names.
QUANTIZATION = {
    "load_in_4bit": ["bool"],
    "load_in_8bit": ["bool"],
    "bnb_4bit_quant_type": ["str"],
    "bnb_4bit_compute_dtype": ["str", "null"],
    "bnb_4bit_quant_storage": ["str", "null"],
    "bnb_4bit_use_double_quant": ["bool"],
    "llm_int8_threshold": ["float"],
    "llm_int8_skip_modules": ["list", "null"],
    "llm_int8_enable_fp32_cpu_offload": ["bool"],
    "llm_int8_has_fp16_weight": ["bool"],
}
NUMBER_FORMATS = ("float32", "bfloat16", "float16")
QUANTIZATION_CHOICES = {
    "bnb_4bit_quant_type": ("nf4", "fp4"),
    "bnb_4bit_compute_dtype": NUMBER_FORMATS,
    "bnb_4bit_quant_storage": (*NUMBER_FORMATS, "uint8"),
}
# Expert iteration samples as GRPO does, then trains as SFT does: it takes SFTConfig's fields and these of GRPOConfig.
SAMPLING = ("max_completion_length", "num_generations", "temperature")
TRAINERS = {
    "grpo": "GRPOConfig",
    "rloo": "RLOOConfig",
    "ppo": "GRPOConfig",
    "sft": "SFTConfig",
    "expert_iteration": "SFTConfig",
}
# Algorithms that learn from the rewards of their own samples.
ON_POLICY = ("grpo", "rloo", "ppo")
# What PPO takes from GRPO are rollouts and the clipped loss; these fields belong to what it does in its own way.
NOT_OF_PPO = {
    "scale_rewards": "PPO compares with its value head, not with a group; see ppo.whiten_rewards",
    "multi_objective_aggregation": "PPO compares with its value head, not with a group",
    "importance_sampling_level": "PPO's ratio is that of each token",
}
PPO_LOSSES = ("grpo", "dapo", "dr_grpo", "bnpo")
# Fields of GRPOConfig that TRL looks at in the middle of a step: a misspelt value would cost a model's loading and a
# rollout. A unit test compares the losses with TRL's.
CHOICES = {
    "loss_type": ("dapo", "grpo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"),
    "scale_rewards": ("group", "batch", "none"),
    "importance_sampling_level": ("token", "sequence"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
}
MINIMUM = {
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "generation_batch_size": 1,
    "steps_per_generation": 1,
    "max_completion_length": 1,
    "num_generations": 2,
    "save_steps": 1e-6,  # below 1 it is a share of a phase
    "save_total_limit": 0,
}
# TRL's own; a unit test compares.
BATCH_DEFAULTS = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1, "num_generations": 8}
RLOO_GENERATIONS = 2
RLOO_BETA = 0.05
# What `trainer.report_to` may name, and the package to install for it: accelerate's trackers.
TRACKERS = {
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "trackio": "trackio",
    "comet_ml": "comet-ml",
    "clearml": "clearml",
    "aim": "aim",
    "dvclive": "dvclive",
    "swanlab": "swanlab",
}
WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "list": "a list",
    "dict": "a mapping",
    "null": "null",
}
# By exact type: to isinstance a bool is an int.
KINDS = {bool: "bool", int: "int", float: "float", str: "str", list: "list", dict: "dict", type(None): "null"}


@lru_cache(maxsize=1)
def _listing() -> dict[str, Any]:
    text = (files("rtrl_chem") / "assets" / "trl_fields.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def trainer_fields(algorithm: str) -> dict[str, list[str]]:
    """The fields that `trainer:` takes under an algorithm, each with the kinds of value it takes."""
    listing = _listing()
    known = dict(listing[TRAINERS[algorithm]])
    if algorithm == "expert_iteration":
        known |= {name: listing["GRPOConfig"][name] for name in SAMPLING}
    refused = OWNED | (NOT_OF_PPO if algorithm == "ppo" else {})
    return {name: kinds for name, kinds in sorted(known.items()) if name not in refused}


def trainer_problems(trainer: Mapping[Any, Any], algorithm: str) -> list[str]:
    """What is wrong with a `trainer:` section, one line for each key."""
    problems = _problems("trainer", trainer, trainer_fields(algorithm), OWNED, _elsewhere(algorithm))
    if TRAINERS[algorithm] == "GRPOConfig":
        problems += _choice_problems(trainer, {"loss_type": PPO_LOSSES} if algorithm == "ppo" else CHOICES)
    # One sample is no group for GRPO and RLOO; PPO needs none, and expert iteration then learns every answer that
    # passes the verdicts.
    least_of = MINIMUM | ({"num_generations": 1} if algorithm in ("expert_iteration", "ppo") else {})
    for name, least in least_of.items():
        value = trainer.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value < least:
            problems.append(f"trainer.{name}: got {value}, must be at least {least}")
    return problems + _generation_problems(trainer, algorithm) + _tracker_problems(trainer)


def named_trackers(trainer: Mapping[str, Any]) -> tuple[str, ...]:
    """What `trainer.report_to` names, "all" among it; by default TensorBoard, nothing for none."""
    given = trainer.get("report_to", "tensorboard")
    names = given if isinstance(given, (list, tuple)) else [given]
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name != "none"))


def _tracker_problems(trainer: Mapping[Any, Any]) -> list[str]:
    return [
        f"trainer.report_to: got {name!r}; {did_you_mean(name, [*TRACKERS, 'all', 'none'])}"
        for name in named_trackers(trainer)
        if name not in (*TRACKERS, "all")
    ]


def lora_problems(lora: Mapping[Any, Any]) -> list[str]:
    """What is wrong with a `model.lora` section, one line for each key."""
    known = {name: kinds for name, kinds in _listing()["LoraConfig"].items() if name not in OWNED_LORA}
    problems = _problems("model.lora", lora, known, OWNED_LORA, {})
    if lora.get("bias") in ("all", "lora_only"):
        problems.append(
            f"model.lora.bias: got {lora['bias']!r}, must be 'none': the frozen snapshot is a second adapter, and PEFT "
            "lets only one train biases"
        )
    return problems


def quantization_problems(model: Mapping[Any, Any], where: str = "model") -> list[str]:
    """What is wrong with the `quantization` of a `model` section that is to be trained, one line for each key."""
    given = model.get("quantization")
    if not isinstance(given, dict):
        return []
    key = f"{where}.quantization"
    problems = _problems(key, given, QUANTIZATION, {}, {})
    problems += _choice_problems(given, QUANTIZATION_CHOICES, key)
    if (given.get("load_in_4bit") is True) is (given.get("load_in_8bit") is True):
        problems.append(f"{key}: must have load_in_4bit: true or load_in_8bit: true, one of the two")
    if model.get("lora") is None:
        problems.append(f"{key}: quantized weights cannot be trained; give {where}.lora, or leave quantization out")
    if model.get("gguf_file") is not None:
        problems.append(f"{key}: a GGUF file has a quantization of its own; leave one of the two out")
    return problems


def _elsewhere(algorithm: str) -> dict[str, str]:
    """Fields that other algorithms take, with the reason why this one does not."""
    names = {name for other in TRAINERS for name in trainer_fields(other)}
    reasons = dict.fromkeys(names, f"not a field of TRL's {TRAINERS[algorithm]}, which algorithm: {algorithm} takes")
    return reasons | (NOT_OF_PPO if algorithm == "ppo" else {})


def _problems(
    where: str,
    section: Mapping[Any, Any],
    known: Mapping[str, list[str]],
    owned: Mapping[str, str],
    elsewhere: Mapping[str, str],
) -> list[str]:
    problems = []
    for name, value in section.items():
        key = f"{where}.{name}"
        if name in owned:
            problems.append(f"{key}: is not passed through; {owned[name]}")
        elif name in known:
            problems += _value_problems(key, value, known[name])
        elif name in elsewhere:
            problems.append(f"{key}: {elsewhere[name]}; leave it out")
        else:
            problems.append(f"{key}: unknown field; {_hint(str(name), known)}")
    return problems


def _hint(name: str, known: Iterable[str]) -> str:
    """The nearest field; not the list of all 200 where none is near."""
    hint = did_you_mean(name, known)
    return hint if hint.startswith("did you mean") else "see `rtrl-chem schema` for all of them"


def _value_problems(key: str, value: Any, kinds: list[str]) -> list[str]:
    kind = KINDS.get(type(value), "another type")
    fits = not kinds or kind in kinds or (kind == "int" and "float" in kinds)
    if not fits:
        return [f"{key}: got {value!r}, must be {' or '.join(WORDS[k] for k in kinds)}"]
    return [] if _is_finite(value) else [f"{key}: got {value!r}, must be finite"]


def _choice_problems(
    section: Mapping[Any, Any], choices: Mapping[str, Iterable[str]], where: str = "trainer"
) -> list[str]:
    return [
        f"{where}.{name}: got {section[name]!r}; {did_you_mean(section[name], allowed)}"
        for name, allowed in choices.items()
        if isinstance(section.get(name), str) and section[name] not in allowed
    ]


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_finite(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_finite(item) for item in value)
    return not isinstance(value, float) or math.isfinite(value)


def _number(trainer: Mapping[Any, Any], name: str, algorithm: str) -> int | None:
    """The value of a field that counts something, TRL's default if it is not given; None if it is not a count."""
    defaults = BATCH_DEFAULTS | ({"num_generations": RLOO_GENERATIONS} if algorithm == "rloo" else {})
    value = trainer.get(name, defaults.get(name))
    return value if type(value) is int and value > 0 else None


def _generation_problems(trainer: Mapping[Any, Any], algorithm: str) -> list[str]:
    """What TRL would refuse on any number of processes."""
    total, group = (_number(trainer, name, algorithm) for name in ("generation_batch_size", "num_generations"))
    if total is None or group is None:
        return []
    if trainer.get("steps_per_generation") is not None:
        return ["trainer.generation_batch_size: cannot stand beside trainer.steps_per_generation; leave one out"]
    if total % group:
        return [f"trainer.generation_batch_size: got {total}, must be a multiple of num_generations = {group}"]
    return []


def batch_problem(trainer: Mapping[str, Any], processes: int, algorithm: str = "grpo", groups: int = 1) -> str | None:
    """Why no whole groups of `num_generations` completions can be formed on so many processes, `groups` of them or
    more in each generation; None if they can.

    As in TRL: the samples of one generation are per_device_train_batch_size x processes x steps_per_generation
    (default: gradient_accumulation_steps), or generation_batch_size.
    """
    count = partial(_number, trainer, algorithm=algorithm)
    device, group = count("per_device_train_batch_size"), count("num_generations")
    steps = count("steps_per_generation") or count("gradient_accumulation_steps")
    if device is None or group is None or steps is None:
        return None
    plural = f"{processes} process{'es' * (processes > 1)}"
    total = count("generation_batch_size")
    if total and total % (device * processes):
        return (
            f"trainer.generation_batch_size: got {total}, on {plural} it must be a multiple of "
            f"per_device_train_batch_size x processes = {device * processes}"
        )
    samples = total or device * processes * steps
    if samples % group:
        return (
            f"trainer.num_generations: got {group}, on {plural} the {samples} samples of a generation "
            f"({device} per device x {processes} x {steps} steps) must be a multiple of it"
        )
    if samples < groups * group:
        return (
            f"trainer.num_generations: got {group}, at most half of the {samples} samples of a generation on {plural} "
            "with schedule: joint, which takes both directions into each"
        )
    return None


def trainer_schema(schema: dict[str, Any]) -> None:
    """Put every field of every algorithm into the JSON schema of `trainer:`, for editors to complete."""
    merged = {name: kinds for algorithm in TRAINERS for name, kinds in trainer_fields(algorithm).items()}
    schema["properties"] = {name: _json_type(merged[name]) for name in sorted(merged)}
    schema["additionalProperties"] = False


def _json_type(kinds: list[str]) -> dict[str, Any]:
    names = {"bool": "boolean", "int": "integer", "float": "number", "str": "string", "list": "array", "dict": "object"}
    return {"type": [names.get(kind, kind) for kind in kinds]} if kinds else {}
