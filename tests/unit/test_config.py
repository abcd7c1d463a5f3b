"""The config: closed, frozen, read from YAML and overrides, every problem reported at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rtrl_chem.config import (
    Config,
    DataConfig,
    ModelConfig,
    config_from_mapping,
    dump_config,
    json_schema,
    load_config,
)
from rtrl_chem.data.readers import FORMATS
from rtrl_chem.errors import ConfigError
from rtrl_chem.preflight import ENDINGS
from rtrl_chem.tasks import Direction

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = """\
task: naming
model: {path: bundled:tiny}
data: {molecules: my.smi}
output_dir: runs/x
"""


def small(**changes: Any) -> dict[str, Any]:
    raw = {
        "task": "naming",
        "model": {"path": "bundled:tiny"},
        "data": {"molecules": "my.smi"},
        "output_dir": "runs/x",
    }
    return raw | changes


def problems(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config_from_mapping(raw)
    return caught.value.problems


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my.yaml"
    path.write_text(SMALL)
    return path


def test_four_keys_are_enough(file: Path) -> None:
    config = load_config(file)
    assert config.algorithm == "grpo"
    assert config.directions == (Direction.FORWARD, Direction.REVERSE)
    assert config.rewards["likelihood"].form == "probability"
    assert config.reward_weights == {"likelihood": 1.0, "format": 0.2}
    assert (config.rounds, config.steps_per_phase, config.seed) == (3, 40, 0)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_loads(path: Path) -> None:
    assert load_config(path).output_dir == f"runs/{path.stem}"


def test_the_committed_schema_is_current() -> None:
    committed = json.loads((CONFIGS / "schema.json").read_text())
    assert committed == json_schema(), "run: rtrl-chem schema > configs/schema.json"


@pytest.mark.parametrize(
    ("rewards", "weights"),
    [
        pytest.param({"likelihood": 1}, {"likelihood": 1.0}, id="a bare number"),
        pytest.param({"likelihood": {"form": "log"}, "format": 0.5}, {"likelihood": 1.0, "format": 0.5}, id="both"),
        pytest.param({"likelihood": 1.0, "format": 0}, {"likelihood": 1.0}, id="weight 0 is off"),
    ],
)
def test_rewards_by_weight_or_in_full(rewards: dict[str, Any], weights: dict[str, float]) -> None:
    config = config_from_mapping(small(rewards=rewards))
    assert config.reward_weights == weights
    assert set(config.rewards) == set(rewards)


@pytest.mark.parametrize(
    ("trainer", "evaluation", "training", "measuring"),
    [
        pytest.param({}, {}, 512, 512, id="TRL's default"),
        pytest.param({"max_completion_length": 64}, {}, 64, 64, id="the trainer's"),
        pytest.param({"max_completion_length": 64}, {"max_new_tokens": 96}, 64, 96, id="the evaluation's own"),
    ],
)
def test_longest_answer(trainer: Any, evaluation: Any, training: int, measuring: int) -> None:
    config = config_from_mapping(small(trainer=trainer, evaluation=evaluation))
    assert (config.max_new_tokens, config.evaluation_max_new_tokens) == (training, measuring)


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("misspelt key", {"rouds": 1}, "rouds: unknown key; did you mean 'rounds'?"),
    ("misspelt inner key", {"model": {"path": "x", "dtpe": "auto"}}, "model.dtpe: unknown key; did you mean 'dtype'?"),
    ("a trainer field at the top", {"learning_rate": 1e-4}, "learning_rate: belongs under trainer"),
    ("lora at the top", {"lora": {"r": 8}}, "lora: belongs under model"),
    ("zero rounds", {"rounds": 0}, "rounds: got 0"),
    ("zero steps", {"steps_per_phase": 0}, "steps_per_phase: got 0"),
    ("a boolean for a count", {"rounds": True}, "rounds: got True"),
    ("text for a count", {"rounds": "3"}, "rounds: got '3'"),
    ("a fraction for a count", {"steps_per_phase": 1.5}, "steps_per_phase: got 1.5"),
    ("a number for a boolean", {"evaluation": {"referee": 1}}, "evaluation.referee: got 1, must be true or false"),
    ("a negative seed", {"seed": -1}, "seed: got -1"),
    ("a number for a path", {"output_dir": 3}, "output_dir: got 3, must be text"),
    ("an empty path", {"output_dir": " "}, "output_dir: is empty"),
    ("text for a section", {"model": "bundled:tiny"}, "model: got 'bundled:tiny', must be a mapping"),
    ("an unknown dtype", {"model": {"path": "x", "dtype": "int8"}}, "model.dtype: got 'int8'"),
    ("an unknown style", {"model": {"path": "x", "prompt_style": "chta"}}, "did you mean 'chat'?"),
    ("a style of nothing", {"model": {"path": "x", "prompt_style": 3}}, "must be the name of a style or a mapping"),
    ("a style without template", {"model": {"path": "x", "prompt_style": {"answer": "{answer}"}}}, "template: missing"),
    ("a LoRA field", {"model": {"path": "x", "lora": {"rnk": 8}}}, "model.lora.rnk: unknown field"),
    (
        "a reference model in GGUF",
        {"model": {"path": "x", "gguf_file": "a.gguf"}, "trainer": {"beta": 0.1}},
        "trainer.beta: got 0.1, must be 0 with model.gguf_file",
    ),
    ("an unknown task", {"task": "namin"}, "did you mean 'naming'?"),
    ("a task file that is not there", {"task": "no/such.yaml"}, "task: task file no/such.yaml: cannot be read"),
    ("no data", {"data": {"field": "smiles"}}, "data: names no data; give molecules, outputs or pairs"),
    ("an unknown format", {"data": {"molecules": "x", "format": "sdf"}}, "data.format: got 'sdf'"),
    ("a number for a corpus", {"data": {"molecules": 3}}, "data.molecules: got 3, must be a path or a list such as"),
    ("no corpora", {"data": {"pairs": []}}, "data.pairs: got [], must be a path or a list such as"),
    ("an empty corpus", {"data": {"outputs": " "}}, "data.outputs: is empty"),
    (
        "a misspelt key of a corpus",
        {"data": {"molecules": ["a", {"path": "b", "wieght": 2}]}},
        "data.molecules: corpus 2: wieght: unknown key; did you mean 'weight'?",
    ),
    ("a corpus of no weight", {"data": {"molecules": [{"path": "b", "weight": 0}]}}, "corpus 1: weight: got 0"),
    ("an unknown curriculum", {"data": {"molecules": "x", "curriculum": "size"}}, "got 'size', must be 'length'"),
    (
        "a misspelt buffer",
        {"data": {"molecules": "x", "streaming": {"bufer": 9}}, "evaluation": {"pairs": "y"}},
        "data.streaming.bufer: unknown key; did you mean 'buffer'?",
    ),
    (
        "a stream to set items aside from",
        {"data": {"molecules": "x", "streaming": {}}},
        "data.streaming: a stream is not searched for items to hold out; name evaluation.pairs",
    ),
    (
        "nothing to stream",
        {"data": {"pairs": "x", "streaming": {}}, "evaluation": {"pairs": "y"}},
        "data.streaming: molecules and outputs are streamed, pairs are not",
    ),
    (
        "a stream in order of length",
        {"data": {"molecules": "x", "streaming": {}, "curriculum": "length"}, "evaluation": {"pairs": "y"}},
        "data.curriculum: cannot be with data.streaming",
    ),
    ("sft without pairs", {"algorithm": "sft"}, "data.pairs: missing; algorithm: sft learns from labelled pairs"),
    (
        "an unknown regime",
        {"regime": "supervized"},
        "regime: got 'supervized', must be one or a list of self_supervised",
    ),
    ("a regime twice", {"regime": ["synthetic", "synthetic"]}, "each once"),
    ("supervised without pairs", {"regime": "supervised"}, "data.pairs: missing; regime: supervised learns from"),
    (
        "labels that nothing uses",
        {"regime": "supervised", "data": {"pairs": "x"}, "supervised": {"warm_up_steps": 0}},
        "supervised: nothing learns from the pairs",
    ),
    (
        "a section of another regime",
        {"synthetic": {"samples": 2}},
        "synthetic: has no effect under regime: self_superv",
    ),
    (
        "a GRPO field for the warm-up",
        {"regime": "supervised", "data": {"pairs": "x"}, "supervised": {"trainer": {"beta": 0.1}}},
        "supervised.trainer.beta: not a field of TRL's SFTConfig",
    ),
    (
        "several greedy answers",
        {"regime": "synthetic", "synthetic": {"samples": 2, "temperature": 0}},
        "synthetic.samples: got 2, must be 1 at temperature 0",
    ),
    (
        "nothing to write sources for",
        {"regime": "synthetic", "directions": ["forward"]},
        "regime: synthetic has nothing to write sources for",
    ),
    (
        "no pairs to learn alone",
        {"regime": "synthetic", "synthetic": {"samples": 0}},
        "data.pairs: missing; synthetic.samples: 0 learns the pairs of the data alone",
    ),
    ("joint of one direction", {"schedule": "joint", "directions": ["reverse"]}, "directions are reverse alone"),
    ("joint of two models", {"schedule": "joint", "models": "separate"}, "schedule: joint needs models: shared"),
    ("adapters without LoRA", {"models": "adapters"}, "model.lora: missing; models: adapters trains"),
    ("a second model for one", {"reverse_model": {"path": "y"}}, "reverse_model: has no effect with models: shared"),
    ("an unknown metric to watch", {"guards": {"metrics": ["rtcc"]}}, "guards.metrics.0: got 'rtcc', must be 'rtc'"),
    ("a guard suite that is not there", {"guards": {"metrics": ["guard"]}}, "guard needs evaluation.guard"),
    (
        "an entropy that nobody logs",
        {"algorithm": "expert_iteration", "guards": {"min_entropy": 0.1}},
        "guards.min_entropy: has no effect with algorithm: expert_iteration",
    ),
    (
        "RLOO's own reference model in GGUF",
        {"model": {"path": "x", "gguf_file": "a.gguf"}, "algorithm": "rloo"},
        "trainer.beta: got 0.05, must be 0 with model.gguf_file",
    ),
    ("PPO's options elsewhere", {"ppo": {"lam": 0.9}}, "ppo: is of algorithm: ppo, not of grpo; leave it out"),
    (
        "a misspelt option of PPO",
        {"algorithm": "ppo", "ppo": {"lamb": 1.0}},
        "ppo.lamb: unknown key; did you mean 'lam'?",
    ),
    ("a discount above 1", {"algorithm": "ppo", "ppo": {"gamma": 1.5}}, "ppo.gamma: got 1.5"),
    ("an option of PPO at the top", {"algorithm": "ppo", "vf_coef": 0.5}, "vf_coef: belongs under ppo"),
    ("PPO without a reward", {"algorithm": "ppo", "rewards": {}}, "rewards: no term has a weight above 0"),
    ("an empty output allowed", {"ungated": ["EMPTY"]}, "ungated.0: got 'EMPTY', must be 'COPIED_SOURCE' or"),
    ("an unknown algorithm", {"algorithm": "gpro"}, "algorithm: got 'gpro', must be 'grpo'"),
    ("no directions", {"directions": []}, "directions: got [], must be a list"),
    ("a direction as text", {"directions": "forward"}, "directions: got 'forward', must be a list"),
    ("an unknown direction", {"directions": ["back"]}, "directions: got 'back', must be forward or reverse"),
    ("a direction twice", {"directions": ["forward", Direction.FORWARD]}, "must name each direction once"),
    ("an unknown reward", {"rewards": {"liklihood": 1}}, "rewards.liklihood: unknown key; did you mean 'likelihood'?"),
    ("a reward of text", {"rewards": {"format": "high"}}, "rewards.format: got 'high', must be a weight or a mapping"),
    ("a reward of true", {"rewards": {"format": True}}, "rewards.format: got True, must be a weight or a mapping"),
    ("a negative weight", {"rewards": {"likelihood": -1}}, "rewards.likelihood.weight: got -1"),
    ("a weight that is no number", {"rewards": {"likelihood": float("nan")}}, "rewards.likelihood.weight: got nan"),
    ("all weights zero", {"rewards": {"format": 0}}, "rewards: no term has a weight above 0"),
    ("no rewards", {"rewards": {}}, "rewards: no term has a weight above 0"),
    ("confidence of 1", {"evaluation": {"confidence": 1.0}}, "evaluation.confidence: got 1.0"),
    ("infinite confidence", {"evaluation": {"confidence": float("inf")}}, "evaluation.confidence: got inf"),
    ("infinite rate", {"trainer": {"learning_rate": float("inf")}}, "trainer.learning_rate: got inf, must be finite"),
    ("what the run sets itself", {"trainer": {"max_steps": 3}}, "set steps_per_phase"),
    (
        "the best without a metric",
        {"trainer": {"load_best_model_at_end": True}},
        "trainer.load_best_model_at_end: needs trainer.metric_for_best_model, such as forward/rtc",
    ),
    (
        "a sense without a metric",
        {"trainer": {"greater_is_better": False}},
        "trainer.greater_is_better: needs trainer.metric_for_best_model",
    ),
    (
        "a metric that nobody measures",
        {"trainer": {"metric_for_best_model": "forward/rtc"}},
        "trainer.metric_for_best_model: needs guards, which measure after every round",
    ),
    (
        "a misspelt metric of the best",
        {"guards": {}, "trainer": {"metric_for_best_model": "forward/rct"}},
        "trainer.metric_for_best_model: got 'forward/rct'; did you mean 'forward/rtc'?",
    ),
    (
        "a metric without a direction",
        {"guards": {}, "trainer": {"metric_for_best_model": "rtc"}},
        "trainer.metric_for_best_model: got 'rtc'",
    ),
    (
        "the best by a suite that is not there",
        {"guards": {}, "trainer": {"metric_for_best_model": "guard/texts/nats_per_byte"}},
        "trainer.metric_for_best_model: guard needs evaluation.guard",
    ),
    (
        "fewer than no checkpoints",
        {"trainer": {"save_total_limit": -1}},
        "save_total_limit: got -1, must be at least 0",
    ),
    (
        "the whole run's in a warm-up",
        {"regime": "supervised", "data": {"pairs": "x"}, "supervised": {"trainer": {"push_to_hub": True}}},
        "supervised.trainer.push_to_hub: is of the run as a whole; set it under trainer",
    ),
    ("a repository without a push", {"trainer": {"hub_model_id": "a/b"}}, "has no effect without trainer.push_to_hub"),
    (
        "an attention of the Hub",
        {"model": {"path": "x", "attn_implementation": "kernels-community/flash-attn"}},
        "attn_implementation: got 'kernels-community/flash-attn', compiled code on the Hub; set trust_remote_code",
    ),
    ("nothing to merge", {"save_merged": True}, "save_merged: merges a LoRA adapter into its model; set model.lora"),
]


@pytest.mark.parametrize(("changes", "message"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_one_mistake_is_one_problem(changes: dict[str, Any], message: str) -> None:
    (problem,) = problems(small(**changes))
    assert message in problem


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"data": {"molecules": "x"}, "directions": ["reverse"]}, id="reverse without sources"),
        pytest.param({"data": {"outputs": "x"}, "directions": ["reverse", "forward"]}, id="outputs alone"),
        pytest.param({"data": {"pairs": "x"}, "algorithm": "sft", "rewards": {}}, id="sft needs no reward"),
        pytest.param({"algorithm": "expert_iteration", "trainer": {"num_generations": 8}}, id="expert iteration"),
        pytest.param({"algorithm": "ppo", "ppo": {"lam": 1.0, "value_learning_rate": 1e-3}}, id="ppo"),
        pytest.param({"algorithm": "ppo", "trainer": {"num_generations": 1}}, id="ppo without groups"),
        pytest.param({"algorithm": "rloo", "trainer": {"normalize_advantages": True}}, id="rloo"),
        pytest.param(
            {"data": {"pairs": "x"}, "regime": ["supervised", "synthetic"], "synthetic": {"samples": 0}}, id="regimes"
        ),
        pytest.param({"algorithm": "sft", "regime": "synthetic", "rewards": {}}, id="made pairs alone"),
        pytest.param({"models": "separate", "reverse_model": {"path": "y"}}, id="two models"),
        pytest.param({"ungated": ["LEAKED_SOURCE", "COPIED_SOURCE"]}, id="leaks allowed"),
        pytest.param(
            {
                "guards": {"on_regression": "ignore"},
                "trainer": {
                    "save_total_limit": 2,
                    "metric_for_best_model": "reverse/exact_match",
                    "load_best_model_at_end": True,
                    "greater_is_better": True,
                },
            },
            id="the best",
        ),
        pytest.param({"trainer": {"push_to_hub": True, "hub_model_id": "a/b", "hub_private_repo": True}}, id="a push"),
        pytest.param({"trainer": {"load_best_model_at_end": False, "save_total_limit": None}}, id="nothing asked"),
        pytest.param(
            {"model": {"path": "x", "attn_implementation": "a/b", "trust_remote_code": True}}, id="an attention"
        ),
        pytest.param({"save_merged": True, "model": {"path": "x", "lora": {"r": 8}}}, id="merged"),
        pytest.param({"guards": {"metrics": ["rtc", "leak_rate"], "on_regression": "stop"}}, id="guards"),
        pytest.param(
            {"model": {"path": "x", "prompt_style": {"template": "{instruction}"}}}, id="a style of one's own"
        ),
    ],
)
def test_what_is_allowed(changes: dict[str, Any]) -> None:
    config = config_from_mapping(small(**changes)).model_dump(mode="json", exclude_unset=True)
    assert {key: config[key] for key in changes} == changes


def test_corpora_are_listed_with_what_is_said_of_all() -> None:
    mixed = {"molecules": ["a", {"path": "b", "weight": 2, "field": "x"}], "pairs": "c", "field": "y", "format": "csv"}
    data = config_from_mapping(small(data=mixed)).data
    assert [(one.path, one.weight, one.field, one.format) for one in data.corpora("molecules")] == [
        ("a", 1.0, "y", "csv"),
        ("b", 2.0, "x", "csv"),
    ]
    assert [one.path for one in data.corpora("pairs")] == ["c"]
    assert data.corpora("outputs") == ()


def test_a_mixture_is_written_and_read_back(file: Path) -> None:
    config = config_from_mapping(small(data={"molecules": ["a", {"path": "b", "weight": 2}], "pairs": "c"}))
    dump_config(config, file)
    assert load_config(file) == config


def test_all_problems_of_a_file_come_at_once(file: Path) -> None:
    file.write_text("task: namin\nmodel: {path: x, dtype: 3}\ndata: {}\nrounds: 0\nrounds: 0\ntrainer: {beta: x}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file, ["seed", "sed=1"])
    found = "\n".join(caught.value.problems)
    expected = ["task:", "model.dtype:", "data:", "rounds: given twice", "rounds: got", "trainer.beta:"]
    assert [key for key in [*expected, "--set seed:", "sed: unknown", "output_dir: missing"] if key not in found] == []
    assert str(caught.value).startswith(f"{file}: 9 problems:\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("CCO\n", "holds str", id="prose"),
        pytest.param("- a\n", "holds list", id="a list"),
        pytest.param("a: [1", "is not YAML", id="not YAML"),
        pytest.param("a: \udcff", "is not UTF-8", id="not UTF-8"),
    ],
)
def test_a_file_that_is_no_config(file: Path, text: str, message: str) -> None:
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "message"), [("none.yaml", "No such file"), (".", "Is a directory")])
def test_a_path_that_is_no_file(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / name)


OVERRIDES: list[tuple[str, list[str], Any]] = [
    ("rounds", ["rounds=7"], 7),
    ("trainer", ["trainer.learning_rate=1e-4"], {"learning_rate": 1e-4}),
    ("trainer", ["trainer={beta: 0.1}", "trainer.num_generations=4"], {"beta": 0.1, "num_generations": 4}),
    ("directions", ["directions=[reverse]"], (Direction.REVERSE,)),
    ("output_dir", ["output_dir=a=b"], "a=b"),
    ("seed", ["seed=1", "seed=2"], 2),
]


@pytest.mark.parametrize(("key", "overrides", "value"), OVERRIDES, ids=[" ".join(c[1]) for c in OVERRIDES])
def test_an_override_wins(file: Path, key: str, overrides: list[str], value: Any) -> None:
    assert getattr(load_config(file, overrides), key) == value


def test_an_override_goes_into_a_reward_given_as_a_weight(file: Path) -> None:
    file.write_text(SMALL + "rewards: {likelihood: 0.7}\n")
    likelihood = load_config(file, ["rewards.likelihood.form=log"]).rewards["likelihood"]
    assert (likelihood.weight, likelihood.form) == (0.7, "log")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        pytest.param("rounds", "--set rounds: must be key=value", id="no equals sign"),
        pytest.param("=3", "--set =3: must be key=value", id="no key"),
        pytest.param("data..x=3", "must be key=value", id="an empty part"),
        pytest.param("rouds=3", "rouds: unknown key; did you mean 'rounds'?", id="misspelt"),
        pytest.param("evaluation.sise=3", "evaluation.sise: unknown key; did you mean 'size'?", id="misspelt inside"),
        pytest.param("task.name=x", "task is 'naming', not a mapping", id="below a value"),
        pytest.param("rounds=[1", "the value is not YAML", id="not YAML"),
        pytest.param("rounds=", "rounds: got None", id="no value"),
    ],
)
def test_an_override_that_is_wrong(file: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(file, [override])
    (problem,) = caught.value.problems
    assert message in problem


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="defaults"),
        pytest.param({"output_dir": "1e-4", "seed": 2**31 - 1, "directions": ["reverse"]}, id="odd values"),
        pytest.param({"rewards": {"likelihood": {"form": "log", "normalize": "token"}}}, id="one reward"),
        pytest.param({"trainer": {"learning_rate": 1e-7, "report_to": "none", "bf16": None}}, id="trainer"),
        pytest.param({"model": {"path": "x", "prompt_style": {"template": "[{instruction}]\n"}}}, id="a style"),
        pytest.param({"model": {"path": "é", "lora": {"r": 8, "rank_pattern": {"q.proj": 4}}}}, id="LoRA"),
    ],
)
def test_what_is_written_reads_back_equal(tmp_path: Path, changes: dict[str, Any]) -> None:
    config = config_from_mapping(small(**changes))
    dump_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize("change", [("rounds", 1), ("model", None), ("rouds", 1)], ids=lambda change: str(change[0]))
def test_a_config_does_not_change(change: tuple[str, Any]) -> None:
    with pytest.raises(ValidationError):
        setattr(config_from_mapping(small()), *change)


def test_a_tilde_is_the_home_folder(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    config = load_config(file, ["output_dir=~/runs/x", "model.path=~/models/y"])
    assert (config.output_dir, config.model.path) == ("/home/me/runs/x", "/home/me/models/y")
    assert load_config(file, ["model.path=org/a~b"]).model.path == "org/a~b"


def test_models_can_be_built_in_code() -> None:
    config = Config(
        task="naming", model=ModelConfig(path="bundled:tiny"), data=DataConfig(molecules="x"), output_dir="runs/x"
    )
    assert config == config_from_mapping(small(data={"molecules": "x"}))


def test_formats_are_those_of_the_readers() -> None:
    assert set(DataConfig.model_json_schema()["properties"]["format"]["anyOf"][0]["enum"]) == set(FORMATS.values())
    assert set(FORMATS) == ENDINGS
