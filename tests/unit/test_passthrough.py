"""What is passed through to TRL and PEFT is checked by name and kind, without importing either."""

from typing import Any

import pytest

from rtrl_chem.passthrough import (
    QUANTIZATION,
    batch_problem,
    lora_problems,
    quantization_problems,
    trainer_fields,
    trainer_problems,
    trainer_schema,
)

GOOD: list[tuple[str, dict[str, Any]]] = [
    ("grpo", {}),
    ("grpo", {"learning_rate": 1e-4, "num_generations": 8, "beta": 0}),
    ("grpo", {"scale_rewards": False, "report_to": ["tensorboard", "wandb"], "bf16": None}),
    ("grpo", {"generation_batch_size": 64, "num_generations": 8}),
    ("grpo", {"parallelism_config": object()}),
    *(("grpo", {"loss_type": loss}) for loss in ("grpo", "bnpo", "cispo", "sapo", "luspo", "vespo", "dr_grpo")),
    ("rloo", {"normalize_advantages": True, "reward_clip_range": [-1.0, 1.0], "beta": 0.05}),
    ("ppo", {"epsilon": 0.2, "num_iterations": 4, "num_generations": 1, "loss_type": "dr_grpo"}),
    ("ppo", {"generation_batch_size": 24, "num_generations": 1}),
    ("rloo", {"generation_batch_size": 6}),
    ("sft", {"packing": True, "max_length": 256}),
    ("expert_iteration", {"packing": True, "num_generations": 8, "temperature": 0.8}),
]


@pytest.mark.parametrize(("algorithm", "trainer"), GOOD)
def test_fields_of_trl_pass(algorithm: str, trainer: dict[str, Any]) -> None:
    assert trainer_problems(trainer, algorithm) == []


def test_expert_iteration_may_draw_one_sample_a_source() -> None:
    assert trainer_problems({"num_generations": 1}, "expert_iteration") == []


BAD: list[tuple[str, str, dict[str, Any], str]] = [
    ("misspelt", "grpo", {"lerning_rate": 1e-4}, "trainer.lerning_rate: unknown field; did you mean 'learning_rate'?"),
    ("nothing like it", "grpo", {"zzzzzz": 1}, "trainer.zzzzzz: unknown field; see `rtrl-chem schema`"),
    ("a key that is no text", "grpo", {3: 1}, "trainer.3: unknown field"),
    ("text for a number", "grpo", {"learning_rate": "fast"}, "learning_rate: got 'fast', must be a number"),
    ("a boolean for a count", "grpo", {"num_generations": True}, "num_generations: got True, must be a whole number"),
    ("a fraction for a count", "grpo", {"logging_first_step": 1}, "got 1, must be true or false"),
    ("infinite", "grpo", {"beta": float("inf")}, "trainer.beta: got inf, must be finite"),
    ("not a number, inside", "grpo", {"generation_kwargs": {"a": [float("nan")]}}, "must be finite"),
    ("owned: steps", "grpo", {"max_steps": 5}, "max_steps: is not passed through; set steps_per_phase"),
    ("owned: resume", "grpo", {"resume_from_checkpoint": "x"}, "use the option --resume"),
    ("a token", "grpo", {"hub_token": "hf_secret"}, "hub_token: is not passed through; set HF_TOKEN or log in"),
    ("a push at every save", "grpo", {"hub_strategy": "every_save"}, "the model is pushed once, at the end"),
    ("owned: weights", "sft", {"reward_weights": [1.0]}, "set rewards.NAME.weight"),
    ("a field of GRPO in sft", "sft", {"num_generations": 8}, "not a field of TRL's SFTConfig, which algorithm: sft"),
    ("a field of SFT in grpo", "grpo", {"packing": True}, "not a field of TRL's GRPOConfig"),
    (
        "a field of GRPO in rloo",
        "rloo",
        {"scale_rewards": "batch"},
        "not a field of TRL's RLOOConfig, which algorithm: rl",
    ),
    ("a field of RLOO in grpo", "grpo", {"normalize_advantages": True}, "not a field of TRL's GRPOConfig"),
    ("a misspelt tracker", "sft", {"report_to": "wanbd"}, "trainer.report_to: got 'wanbd'; did you mean 'wandb'?"),
    ("one of several", "grpo", {"report_to": ["tensorboard", "azure_ml"]}, "got 'azure_ml'; choose from 'tensorboard'"),
    ("a misspelt loss", "grpo", {"loss_type": "dr-grpo"}, "trainer.loss_type: got 'dr-grpo'; did you mean 'dr_grpo'?"),
    ("misspelt scaling", "grpo", {"scale_rewards": "batches"}, "got 'batches'; did you mean 'batch'?"),
    ("misspelt in rloo", "rloo", {"normalise_advantages": True}, "did you mean 'normalize_advantages'?"),
    ("groups in ppo", "ppo", {"scale_rewards": "batch"}, "PPO compares with its value head, not with a group"),
    ("sequences in ppo", "ppo", {"importance_sampling_level": "sequence"}, "PPO's ratio is that of each token"),
    (
        "another loss in ppo",
        "ppo",
        {"loss_type": "cispo"},
        "got 'cispo'; choose from 'grpo', 'dapo', 'dr_grpo', 'bnpo'",
    ),
    ("no sample in ppo", "ppo", {"num_generations": 0}, "num_generations: got 0, must be at least 1"),
    ("one sample a group of rloo", "rloo", {"num_generations": 1}, "num_generations: got 1, must be at least 2"),
    ("half a group of rloo", "rloo", {"generation_batch_size": 3}, "a multiple of num_generations = 2"),
    ("one sample a group", "grpo", {"num_generations": 1}, "num_generations: got 1, must be at least 2"),
    ("an empty batch", "grpo", {"per_device_train_batch_size": 0}, "got 0, must be at least 1"),
    ("half a group", "grpo", {"generation_batch_size": 12, "num_generations": 8}, "a multiple of num_generations = 8"),
    ("both sizes", "grpo", {"generation_batch_size": 8, "steps_per_generation": 1}, "cannot stand beside"),
]


@pytest.mark.parametrize(("algorithm", "trainer", "message"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_what_trl_would_not_take_is_a_problem(algorithm: str, trainer: dict[str, Any], message: str) -> None:
    (problem,) = trainer_problems(trainer, algorithm)
    assert message in problem


def test_every_key_is_reported() -> None:
    assert len(trainer_problems({"seed": 1, "foo": 2, "beta": "x"}, "grpo")) == 3


@pytest.mark.parametrize(
    ("trainer", "processes", "message"),
    [
        pytest.param({}, 1, None, id="defaults"),
        pytest.param({"per_device_train_batch_size": 1}, 8, None, id="one each on eight"),
        pytest.param({"per_device_train_batch_size": 1}, 2, "on 2 processes the 2 samples", id="one each on two"),
        pytest.param({"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}, 1, None, id="accumulated"),
        pytest.param({"per_device_train_batch_size": 2, "steps_per_generation": 4}, 1, None, id="steps"),
        pytest.param({"per_device_train_batch_size": 6}, 1, "on 1 process the 6 samples", id="six of eight"),
        pytest.param({"generation_batch_size": 16}, 1, None, id="a total"),
        pytest.param({"generation_batch_size": 16}, 3, "per_device_train_batch_size x processes = 24", id="too few"),
        pytest.param({"num_generations": "x"}, 1, None, id="malformed, reported elsewhere"),
    ],
)
def test_whole_groups_of_samples(trainer: dict[str, Any], processes: int, message: str | None) -> None:
    problem = batch_problem(trainer, processes)
    assert (problem is None) if message is None else (problem is not None and message in problem)


def test_rloo_forms_pairs_where_nobody_says_otherwise() -> None:
    assert batch_problem({"per_device_train_batch_size": 2}, 1, "rloo") is None
    assert batch_problem({"per_device_train_batch_size": 3}, 1, "rloo") is not None


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        pytest.param({"r": 8, "target_modules": "all-linear", "lora_dropout": 0}, None, id="good"),
        pytest.param({"rank": 8}, "model.lora.rank: unknown field", id="unknown"),
        pytest.param({"lora_alph": 8}, "did you mean 'lora_alpha'?", id="misspelt"),
        pytest.param({"r": "8"}, "model.lora.r: got '8', must be a whole number", id="text"),
        pytest.param({"inference_mode": True}, "would not train", id="inference"),
        pytest.param({"revision": "main"}, "set model.revision", id="owned"),
    ],
)
def test_lora_section(lora: dict[str, Any], message: str | None) -> None:
    problems = lora_problems(lora)
    assert problems == [] if message is None else message in problems[0]


FOUR = {"load_in_4bit": True}


@pytest.mark.parametrize(
    ("quantization", "more", "message"),
    [
        pytest.param(FOUR | {"bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "bfloat16"}, {}, None, id="good"),
        pytest.param({"load_in_8bit": True, "llm_int8_skip_modules": ["lm_head"]}, {}, None, id="8 bits"),
        pytest.param(FOUR | {"quant_type": "nf4"}, {}, "model.quantization.quant_type: unknown field", id="unknown"),
        pytest.param(FOUR | {"bnb_4bit_quant_type": "nf5"}, {}, "got 'nf5'", id="no such type"),
        pytest.param(FOUR | {"bnb_4bit_compute_dtype": "bf16"}, {}, "got 'bf16'", id="no such format"),
        pytest.param({"load_in_4bit": "yes"}, {}, "must be true or false", id="text"),
        pytest.param({"bnb_4bit_quant_type": "nf4"}, {}, "one of the two", id="of no bits"),
        pytest.param(FOUR | {"load_in_8bit": True}, {}, "one of the two", id="of both"),
        pytest.param(FOUR, {"lora": None}, "quantized weights cannot be trained; give model.lora", id="in full"),
        pytest.param(FOUR, {"gguf_file": "a.gguf"}, "a GGUF file has a quantization of its own", id="gguf"),
    ],
)
def test_quantization_section(quantization: dict[str, Any], more: dict[str, Any], message: str | None) -> None:
    problems = quantization_problems({"lora": {"r": 8}, "quantization": quantization} | more)
    assert problems == [] if message is None else message in problems[0]


def test_its_fields_are_those_of_transformers() -> None:
    from inspect import signature

    from transformers import BitsAndBytesConfig

    assert QUANTIZATION.keys() == signature(BitsAndBytesConfig).parameters.keys() - {"kwargs"}


def test_expert_iteration_samples_and_trains() -> None:
    assert {"num_generations", "packing"} <= set(trainer_fields("expert_iteration"))
    assert "beta" not in trainer_fields("expert_iteration")


def test_the_schema_offers_fields_but_not_those_the_run_sets() -> None:
    schema: dict[str, Any] = {}
    trainer_schema(schema)
    assert schema["properties"]["learning_rate"] == {"type": ["number"]}
    assert schema["properties"]["parallelism_config"] == {}
    assert "max_steps" not in schema["properties"]
