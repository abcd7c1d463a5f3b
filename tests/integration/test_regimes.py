"""Regimes and schedules through the command line: which phases run, what they leave, and that they resume."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from rtrl_chem.cli import main
from rtrl_chem.config import ModelConfig
from rtrl_chem.tasks import NAMING, Direction
from rtrl_chem.training import rounds
from rtrl_chem.training.synthetic import KEPT

PAIRS = "smiles\tname\nCCO\tethanol\nCCC\tpropane\nC\tmethane\nCC\tethane\nCCN\tethanamine\nCCCC\tbutane\nCCCO\tx\n"
SYNTHETIC = {"steps": 1, "samples": 2, "min_probability": 0.0}
WriteIn = Callable[..., str]


@pytest.fixture(scope="session")
def write_in(write_config_in: WriteIn) -> WriteIn:
    """The smallest config with pairs: one round."""

    def write(folder: Path, **changes: Any) -> str:
        folder.mkdir(exist_ok=True)
        (folder / "pairs.tsv").write_text(PAIRS)
        data = {"pairs": str(folder / "pairs.tsv")} | changes.pop("data", {})
        return write_config_in(folder, data=data, **({"rounds": 1} | changes))

    return write


def rows_of(run: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if "measured" not in row]


def phases_of(run: Path) -> list[tuple[int | None, str, str]]:
    state = json.loads((run / "state.json").read_text())
    return [(phase["round"], phase["direction"], phase["kind"]) for phase in state["phases"]]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return {f"{file.parent.name}/{name}": t for file in sorted((run / "model").rglob("*.safetensors"))
            for name, t in load_file(file).items()}  # fmt: skip


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


ALL = {"regime": ["supervised", "synthetic"], "supervised": {"warm_up_steps": 2}, "synthetic": SYNTHETIC}
JOINT = {"schedule": "joint", "trainer": {"gradient_accumulation_steps": 2}}


@pytest.mark.parametrize(
    ("changes", "phases"),
    [
        pytest.param(
            {"regime": "supervised", "supervised": {"warm_up_steps": 2}},
            [(None, "joint", "sft"), (0, "forward", "rl"), (0, "reverse", "rl")],
            id="supervised",
        ),
        pytest.param(
            {"regime": "synthetic", "synthetic": SYNTHETIC},
            [(0, "forward", "rl"), (0, "reverse", "synthetic"), (0, "reverse", "rl")],
            id="synthetic",
        ),
        pytest.param(
            ALL | JOINT, [(None, "joint", "sft"), (0, "reverse", "synthetic"), (0, "joint", "rl")], id="joint"
        ),
        pytest.param(
            {"schedule": "joint", "algorithm": "expert_iteration"}, [(0, "joint", "rl")], id="joint expert iteration"
        ),
        pytest.param(JOINT | {"algorithm": "ppo"}, [(0, "joint", "rl")], id="joint ppo"),
    ],
)
def test_the_phases_of_a_regime_run_in_their_order(
    write_in: WriteIn, tmp_path: Path, changes: dict[str, Any], phases: list[Any]
) -> None:
    assert main(["train", write_in(tmp_path, **changes), "--quiet"]) == 0
    run = tmp_path / "run"
    assert phases_of(run) == phases
    rows = rows_of(run)
    assert [row["step"] for row in rows] == sorted({row["step"] for row in rows})
    assert {(row["round"], row["direction"], row["phase"]) for row in rows} <= set(phases)
    assert len(list(run.glob("rounds/*/checkpoint-*"))) == 1
    assert all(torch.isfinite(tensor).all() for tensor in weights(run).values())


def test_both_directions_are_in_each_batch_of_a_joint_schedule(write_in: WriteIn, tmp_path: Path) -> None:
    assert main(["train", write_in(tmp_path, **JOINT, rounds=2), "--quiet"]) == 0
    for number in range(2):
        samples = pq.read_table(tmp_path / "run" / "rounds" / f"0{number}-joint" / "completions.parquet").to_pylist()
        for step in (1, 2):
            ways = [row["direction"] for row in samples if row["step"] == step]
            assert sorted(ways) == ["forward"] * 4 + ["reverse"] * 4
        names = {line.split("\t")[1] for line in PAIRS.splitlines()}
        assert all((row["source"] in names) == (row["direction"] == "reverse") for row in samples)
    for row in rows_of(tmp_path / "run"):
        both = row["forward/verdict/OK"] + row["reverse/verdict/OK"]
        assert row["verdict/OK"] == pytest.approx(both / 2)


def test_a_joint_batch_of_one_group_is_refused(write_in: WriteIn, tmp_path: Path, capsys: Any) -> None:
    trainer = {"per_device_train_batch_size": 2}
    assert main(["train", write_in(tmp_path, schedule="joint", trainer=trainer)]) == 2
    assert "at most half of the 2 samples of a generation" in capsys.readouterr().err


def test_made_pairs_are_kept_with_how_they_were_made(write_in: WriteIn, tmp_path: Path) -> None:
    changes = {"regime": "synthetic", "synthetic": SYNTHETIC | {"pairs_weight": 1.0}, "algorithm": "sft"}
    config = write_in(tmp_path, **changes, directions=["reverse"], trainer={"per_device_train_batch_size": 8})
    text = Path(config).read_text()
    for field in ("num_generations: 2", "max_completion_length: 8"):  # of sampling: not SFT's
        text = text.replace(f"  {field}\n", "")
    Path(config).write_text(text)
    assert main(["train", config, "--quiet", "--set", "evaluation.max_new_tokens=8"]) == 0
    rows = pq.read_table(tmp_path / "run" / "rounds" / "00-reverse" / "synthetic.parquet").to_pylist()
    made = [row for row in rows if row["made_by"] == "policy, temperature 1"]
    assert len(made) == len(rows) - len(made) == 4
    molecules = set((tmp_path / "my.smi").read_text().split())
    assert {row["answer"] for row in made} <= molecules
    assert all((row["reason"] == KEPT) == (row["verdict"] == "OK") or row["reason"] == "written before" for row in made)
    by_rule = {(row["answer"], row["source"]) for row in rows if row["made_by"] == "data.pairs"}
    assert by_rule <= {tuple(line.split("\t")) for line in PAIRS.splitlines()}


def test_a_phase_without_one_usable_pair_goes_on(write_in: WriteIn, tmp_path: Path) -> None:
    changes = {"regime": "synthetic", "synthetic": SYNTHETIC | {"min_probability": 1.0}, "directions": ["reverse"]}
    assert main(["train", write_in(tmp_path, **changes), "--quiet"]) == 0
    assert phases_of(tmp_path / "run") == [(0, "reverse", "synthetic"), (0, "reverse", "rl")]
    assert json.loads((tmp_path / "run" / "state.json").read_text())["phases"][0]["steps"] == 0


@pytest.fixture(scope="session")
def whole(write_in: WriteIn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of all three regimes, never killed."""
    folder = tmp_path_factory.mktemp("whole")
    assert main(["train", write_in(folder, **ALL), "--quiet"]) == 0
    return folder / "run"


@pytest.mark.parametrize(
    ("function", "call", "done"),
    [
        pytest.param("run_sft", 0, 0, id="in the warm-up"),
        pytest.param("run_grpo", 0, 1, id="in a forward phase"),
        pytest.param("run_sft", 1, 2, id="in a phase of made pairs"),
        pytest.param("run_grpo", 1, 3, id="in the last phase"),
    ],
)
def test_a_run_killed_in_any_phase_resumes_to_the_same_bits(
    write_in: WriteIn, whole: Path, tmp_path: Path, monkeypatch: Any, function: str, call: int, done: int
) -> None:
    config = write_in(tmp_path, **ALL)
    real, calls = getattr(rounds, function), iter(range(100))

    def dies(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        if next(calls) == call:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch:
        patch.setattr(rounds, function, dies)
        assert main(["train", config, "--quiet"]) == 130
    assert len(phases_of(tmp_path / "run")) == done
    torch.manual_seed(78)
    assert main(["train", config, "--resume", "--quiet"]) == 0
    assert same(weights(tmp_path / "run"), weights(whole))
    steps = [[(row["step"], row["phase"], row["loss"]) for row in rows_of(run)] for run in (tmp_path / "run", whole)]
    assert steps[0] == steps[1]


# ---- a model for each direction -------------------------------------------------------------------------------------

LORA = {"r": 4, "target_modules": ["q_proj", "v_proj"], "init_lora_weights": "gaussian"}
ARRANGEMENTS = [
    pytest.param({"models": "adapters", "model": {"lora": LORA}}, "adapter_model.safetensors", id="adapters"),
    pytest.param({"models": "separate"}, "model.safetensors", id="separate"),
    pytest.param({"models": "separate", "model": {"lora": LORA}}, "adapter_model.safetensors", id="separate adapters"),
]


@pytest.mark.parametrize(("changes", "file"), ARRANGEMENTS)
def test_each_direction_has_a_model_that_evaluate_reads_back(
    write_in: WriteIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], file: str
) -> None:
    config = write_in(tmp_path, **changes)
    run = tmp_path / "run"
    assert main(["train", config, "--quiet"]) == 0
    sides = [load_file(run / "model" / side / file) for side in ("forward", "reverse")]
    assert not same(*sides)
    [checkpoint] = run.glob("rounds/*/checkpoint-*")
    for side, saved in zip(("forward", "reverse"), sides, strict=True):
        assert same(saved, load_file(checkpoint / side / file))
        assert (run / "model" / side / "tokenizer.json").is_file()
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", config, "--model", str(run / "model"), "--out", "again"]) == 0
    for side in ("forward", "reverse"):
        after = (run / "evaluation" / "after" / side / "predictions.jsonl").read_text()
        assert (tmp_path / "again" / side / "predictions.jsonl").read_text() == after


@pytest.mark.parametrize(("changes", "file"), ARRANGEMENTS)
def test_a_phase_trains_one_model_and_leaves_the_other(
    write_in: WriteIn, tmp_path: Path, changes: dict[str, Any], file: str
) -> None:
    for name in ("forward", "both"):
        directions = ["forward"] if name == "forward" else ["forward", "reverse"]
        config = write_in(tmp_path / name, **changes, directions=directions, steps_per_phase=6)
        assert main(["train", config, "--quiet"]) == 0
    one, two = (tmp_path / name / "run" / "model" for name in ("forward", "both"))
    assert same(load_file(one / "forward" / file), load_file(two / "forward" / file))
    assert not same(load_file(one / "reverse" / file), load_file(two / "reverse" / file))


@pytest.mark.parametrize(("changes", "file"), ARRANGEMENTS)
def test_two_models_resume_and_go_back(
    write_in: WriteIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], file: str
) -> None:
    """Killed in the second round; its guard takes every round back."""
    changes = changes | {"rounds": 2, "trainer": {"learning_rate": 100.0}, "directions": ["reverse"], "seed": 5}
    changes |= {"guards": {"pairs": str(tmp_path / "known.tsv"), "size": 6}}
    (tmp_path / "known.tsv").write_text("smiles\tname\nCCO\tethanol\nCCC\tpropane\nc1ccccc1\tbenzene\nC\tmethane\n")
    config = write_in(tmp_path, **changes)
    real, calls = rounds.run_grpo, iter(range(9))

    def dies(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(rounds, "run_grpo", dies)
        assert main(["train", config, "--quiet"]) == 130
    assert main(["train", config, "--resume", "--quiet"]) == 0
    run = tmp_path / "run"
    assert [one["kept"] for one in json.loads((run / "state.json").read_text())["stages"]] == [True, False, False]
    for side in ("forward", "reverse"):
        start = load_file(run / "rounds" / "start" / "checkpoint-0" / side / file)
        assert same(load_file(run / "model" / side / file), start)


def test_a_warm_up_trains_each_model_in_its_direction(write_in: WriteIn, tmp_path: Path) -> None:
    changes = {"models": "separate", "regime": "supervised", "supervised": {"warm_up_steps": 1}}
    assert main(["train", write_in(tmp_path, **changes), "--quiet"]) == 0
    assert phases_of(tmp_path / "run")[:2] == [(None, "forward", "sft"), (None, "reverse", "sft")]


def test_made_pairs_come_from_the_other_model(write_in: WriteIn, tmp_path: Path) -> None:
    changes = ALL | {"models": "adapters", "model": {"lora": LORA}}
    assert main(["train", write_in(tmp_path, **changes), "--quiet"]) == 0
    assert (0, "reverse", "synthetic") in phases_of(tmp_path / "run")


@pytest.mark.parametrize(
    ("models", "message"),
    [
        pytest.param("adapters", None, id="two adapters go on as two adapters"),
        pytest.param("separate", None, id="two adapters go on as two models"),
        pytest.param("shared", "holds a model for each direction; set models: adapters or separate", id="not as one"),
    ],
)
def test_a_runs_model_is_where_the_next_run_starts(
    write_in: WriteIn, tmp_path: Path, capsys: Any, models: str, message: str | None
) -> None:
    first = {"models": "adapters", "model": {"lora": LORA}, "directions": ["reverse"]}
    assert main(["train", write_in(tmp_path / "first", **first), "--quiet"]) == 0
    model = {"path": str(tmp_path / "first" / "run" / "model"), "prompt_style": None, "lora": {}}
    config = write_in(tmp_path / "next", models=models, model=model, trainer={"learning_rate": 1e-9})
    assert main(["train", config, "--quiet"]) == (0 if message is None else 1)
    if message is not None:
        assert message in capsys.readouterr().err
        return
    after = (tmp_path / "first/run/evaluation/after/reverse/predictions.jsonl").read_text()
    assert (tmp_path / "next/run/evaluation/before/reverse/predictions.jsonl").read_text() == after


@pytest.mark.parametrize("lora", [{}, None], ids=["trained on", "merged"])
def test_an_adapter_is_where_the_next_run_starts(
    write_in: WriteIn, tmp_path: Path, lora: dict[str, Any] | None
) -> None:
    assert main(["train", write_in(tmp_path / "first", model={"lora": LORA}), "--quiet"]) == 0
    model = {"path": str(tmp_path / "first" / "run" / "model"), "prompt_style": None, "lora": lora}
    config = write_in(tmp_path / "next", model=model, trainer={"learning_rate": 1e-9})
    assert main(["train", config, "--quiet"]) == 0
    after = (tmp_path / "first/run/evaluation/after/forward/predictions.jsonl").read_text()
    assert (tmp_path / "next/run/evaluation/before/forward/predictions.jsonl").read_text() == after
    [file] = (tmp_path / "next" / "run" / "model").glob("*.safetensors")
    assert file.name == ("model.safetensors" if lora is None else "adapter_model.safetensors")


def test_a_kl_term_is_measured_against_each_phases_start(write_in: WriteIn, tmp_path: Path) -> None:
    """TRL's reference of an adapter is a copy of the live one, whichever direction's that is."""
    changes = {"models": "adapters", "model": {"lora": LORA}, "trainer": {"beta": 0.1}}
    assert main(["train", write_in(tmp_path, **changes), "--quiet"]) == 0
    first = [row["kl"] for row in rows_of(tmp_path / "run")[::2]]
    assert first == pytest.approx([0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("models", ["adapters", "separate"])
def test_ppo_knows_the_start_of_each_model(write_in: WriteIn, tmp_path: Path, models: str) -> None:
    changes = {"models": models, "algorithm": "ppo"} | ({"model": {"lora": LORA}} if models == "adapters" else {})
    assert main(["train", write_in(tmp_path, **changes), "--quiet"]) == 0
    assert all("kl" in row for row in rows_of(tmp_path / "run"))


def test_an_sft_loss_beside_the_reward(write_in: WriteIn, tmp_path: Path) -> None:
    changes = {"regime": "supervised", "supervised": {"warm_up_steps": 0, "sft_weight": 0.5}}
    assert main(["train", write_in(tmp_path, **changes), "--quiet"]) == 0
    assert all(row["sft_loss"] > 0 for row in rows_of(tmp_path / "run"))


def test_the_model_of_the_way_back_may_be_of_another_family(
    write_in: WriteIn, make_policy: Callable[..., Any], tmp_path: Path
) -> None:
    """Another architecture, tokenizer and prompt style: each is asked in its own words, also when it is read back."""
    from rtrl_chem.evaluation.run import model_for_evaluation
    from rtrl_chem.models.policy import save_policy

    save_policy(make_policy("chat", architecture="gpt2"), tmp_path / "other")
    other = {"path": str(tmp_path / "other")}
    config = write_in(tmp_path, models="separate", reverse_model=other, regime="synthetic", synthetic=SYNTHETIC)
    assert main(["train", config, "--quiet"]) == 0
    run = tmp_path / "run"
    model = str(run / "model")
    assert main(["evaluate", config, "--model", model, "--out", str(tmp_path / "again")]) == 0
    for way in Direction:
        after = (run / "evaluation" / "after" / way / "predictions.jsonl").read_text()
        assert (tmp_path / "again" / way / "predictions.jsonl").read_text() == after
    policy = model_for_evaluation(ModelConfig(path=model), NAMING)
    assert [policy.codec_along(way).style.name for way in Direction] == ["compact", "chat"]
