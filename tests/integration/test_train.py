"""`rtrl-chem train` from config to run folder, on a model that knows eight molecules."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker
from safetensors.torch import load_file

from rtrl_chem import preflight
from rtrl_chem.cli import main
from rtrl_chem.config import load_config
from rtrl_chem.evaluation.files import read_predictions
from rtrl_chem.rewards.verdict import Verdict
from rtrl_chem.training import rounds

LORA = {"r": 4, "target_modules": ["q_proj", "v_proj"]}
PAIRS = "smiles\tname\nCCO\tethanol\nCCC\tpropane\nC\tmethane\nCC\tethane\nCCN\tethanamine\nCCCC\tbutane\nCCCO\tx\n"
Write = Callable[..., str]


def read_strictly(text: str) -> Any:
    """JSON as any other language reads it: without NaN."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The steps; what was measured between them has lines of its own."""
    rows = [read_strictly(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if "measured" not in row]


def read_state(run: Path) -> dict[str, Any]:
    return dict(read_strictly((run / "state.json").read_text()))


def weights(run: Path) -> dict[str, torch.Tensor]:
    [file] = (run / "model").glob("*.safetensors")
    return load_file(file)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Equal in every bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def finished(write_config_in: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of two rounds of GRPO in both directions."""
    folder = tmp_path_factory.mktemp("finished")
    assert main(["train", write_config_in(folder), "--quiet"]) == 0
    return folder / "run"


# ---- what a run leaves ----------------------------------------------------------------------------------------------


def test_the_run_folder_has_the_promised_shape(finished: Path) -> None:
    files = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    assert {
        "config.yaml",
        "environment.json",
        "state.json",
        "metrics.jsonl",
        "rejects.jsonl",
        "hack_report.json",
        "hack_report.md",
        "evaluation/before/forward/predictions.jsonl",
        "evaluation/before/forward/metrics.json",
        "evaluation/after/forward/predictions.jsonl",
        "evaluation/after/forward/metrics.json",
        "evaluation/summary.json",
        "model/config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "model/README.md",
        *(f"rounds/{phase}/completions.parquet" for phase in ("00-forward", "00-reverse", "01-forward", "01-reverse")),
    } <= files
    assert not [name for name in files if ".partial" in name]


def test_the_last_checkpoint_alone_is_kept_and_is_the_model(finished: Path) -> None:
    [checkpoint] = finished.glob("rounds/*/checkpoint-*")
    assert checkpoint == finished / "rounds" / "01-reverse" / "checkpoint-8"
    assert same(load_file(checkpoint / "model.safetensors"), weights(finished))


def test_training_changed_the_model(finished: Path, model_folder: Path) -> None:
    assert not same(weights(finished), load_file(model_folder / "model.safetensors"))


def test_every_sample_is_kept_with_its_verdict_and_the_parts_of_its_reward(finished: Path) -> None:
    table = pq.read_table(finished / "rounds" / "00-forward" / "completions.parquet").to_pylist()
    assert [row["step"] for row in table] == [1] * 4 + [2] * 4
    for row in table:
        assert row["verdict"] in {str(verdict) for verdict in Verdict}
        assert row["reward"] == pytest.approx(row["likelihood"] + 0.2 * row["format"])
        if row["verdict"] == "OK":
            assert row["likelihood"] == pytest.approx(max(row["nats"] / row["tokens"], -10.0))
        else:
            assert (row["likelihood"], row["format"], row["nats"], row["tokens"]) == (-10.0, 0.0, None, None)


def test_the_samples_of_a_source_stand_together(finished: Path) -> None:
    table = pq.read_table(finished / "rounds" / "00-forward" / "completions.parquet").to_pylist()
    sources = [row["source"] for row in table]
    assert sources[0::2] == sources[1::2]
    assert len(set(sources)) == 4


def test_the_metrics_have_one_step_axis(finished: Path) -> None:
    rows = read_metrics(finished)
    assert [row["step"] for row in rows] == list(range(1, 9))
    assert [(row["round"], row["direction"]) for row in rows[::2]] == [
        (0, "forward"),
        (0, "reverse"),
        (1, "forward"),
        (1, "reverse"),
    ]
    for row in rows:
        assert sum(row[f"verdict/{verdict}"] for verdict in Verdict) == pytest.approx(1)
        assert row["reward"] == pytest.approx(row["reward/likelihood"] + 0.2 * row["reward/format"], abs=1e-5)
        assert {"degenerate/repeated", "degenerate/same_output", "degenerate/distinct_outputs"} <= row.keys()
        assert {
            "kl",
            "entropy",
            "completions/mean_length",
            "distinct_outputs",
            "reverse_model/remembered",
        } <= row.keys()
        parts = [row[f"time/{part}"] for part in ("rollout", "reverse", "chemistry", "update")]
        assert row["time/step"] == pytest.approx(sum(parts))
        assert min(parts) >= 0


def test_the_metrics_agree_with_the_samples(finished: Path) -> None:
    table = pq.read_table(finished / "rounds" / "00-forward" / "completions.parquet").to_pylist()
    for row in read_metrics(finished)[:2]:
        samples = [sample for sample in table if sample["step"] == row["step"]]
        assert row["reward"] == pytest.approx(sum(s["reward"] for s in samples) / len(samples), abs=1e-5)
        assert row["verdict/OK"] == pytest.approx(sum(s["verdict"] == "OK" for s in samples) / len(samples))


def test_the_summary_is_what_the_predictions_say(finished: Path) -> None:
    summary = read_strictly((finished / "evaluation" / "summary.json").read_text())
    for when in ("before", "after"):
        predictions = read_predictions(finished / "evaluation" / when / "forward" / "predictions.jsonl")
        assert len(predictions) == 5
        leaks = sum(p.verdict is Verdict.LEAKED_SOURCE for p in predictions) / 5
        exact = sum(p.source == p.reconstruction for p in predictions) / 5
        metrics = summary["directions"]["forward"]["metrics"]
        assert metrics["leak_rate"][when] == leaks
        assert metrics["rtc"][when] == pytest.approx(exact, abs=0.2)  # string equality is stricter by a spelling


def test_nothing_held_out_is_trained_on(finished: Path) -> None:
    held_out = {p.source for p in read_predictions(finished / "evaluation/before/forward/predictions.jsonl")}
    for phase in ("00-forward", "01-forward"):
        table = pq.read_table(finished / "rounds" / phase / "completions.parquet")
        assert not held_out & set(table["source"].to_pylist())


def test_the_state_says_that_all_is_done(finished: Path) -> None:
    state = read_state(finished)
    assert (state["phases_done"], state["finished"]) == (4, True)
    for phase in state["phases"]:
        assert (phase["steps"], phase["samples"], phase["samples_kept"]) == (2, 8, 8)
        assert 0 <= phase["degenerate"][phase["direction"]]["same_output"] <= 1
        assert {"rollout", "verdicts", "reward likelihood", "reward format"} == phase["parts"].keys()
        assert sum(phase["parts"].values()) < phase["seconds"]


def test_the_saved_config_is_the_configs_equal(finished: Path) -> None:
    assert load_config(finished / "config.yaml") == load_config(finished.parent / "my.yaml")


def test_the_card_names_model_and_data(finished: Path, model_folder: Path) -> None:
    card = (finished / "model" / "README.md").read_text()
    assert str(model_folder) in card
    assert "my.smi" in card


def test_the_saved_model_can_be_evaluated(finished: Path, tmp_path: Path) -> None:
    config, model, out = str(finished.parent / "my.yaml"), str(finished / "model"), tmp_path / "out"
    assert main(["evaluate", config, "--model", model, "--out", str(out)]) == 0
    again, after = out / "forward" / "predictions.jsonl", finished / "evaluation/after/forward/predictions.jsonl"
    assert again.read_text() == after.read_text()


# ---- again and again ------------------------------------------------------------------------------------------------


def test_the_same_config_gives_the_same_weights(finished: Path, write_config: Write, tmp_path: Path) -> None:
    assert main(["train", write_config(), "--quiet"]) == 0
    assert same(weights(tmp_path / "run"), weights(finished))


@pytest.mark.parametrize("change", [{"seed": 4}, {"rounds": 1}], ids=["seed", "rounds"])
def test_another_config_gives_other_weights(
    finished: Path, write_config: Write, tmp_path: Path, change: dict[str, Any]
) -> None:
    assert main(["train", write_config(**change), "--quiet"]) == 0
    assert not same(weights(tmp_path / "run"), weights(finished))


def killed_in(phase: int, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the `phase`-th call of a phase's trainer end in Ctrl-C, after it has trained and logged."""
    real, calls = getattr(rounds, function), iter(range(100))

    def dies(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        if next(calls) == phase:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(rounds, function, dies)


@pytest.mark.parametrize(
    ("changes", "function", "phase"),
    [
        pytest.param({}, "run_grpo", 0, id="in the first phase"),
        pytest.param({}, "run_grpo", 1, id="in the second phase"),
        pytest.param({}, "run_grpo", 3, id="in the last phase"),
        pytest.param({"model": {"lora": LORA}}, "run_grpo", 2, id="lora"),
        pytest.param({"trainer": {"beta": 0.1}}, "run_grpo", 2, id="with a reference model"),
        pytest.param({"algorithm": "expert_iteration", "trainer": {"num_generations": 4}}, "run_sft", 2, id="expert"),
        pytest.param({"algorithm": "ppo"}, "run_grpo", 3, id="ppo with its heads"),
        pytest.param({"algorithm": "rloo"}, "run_grpo", 1, id="rloo"),
    ],
)
def test_a_killed_run_resumes_to_the_same_bits(
    write_config_in: Callable[..., str],
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    function: str,
    phase: int,
) -> None:
    whole, killed = tmp_path / "whole" / "run", tmp_path / "killed" / "run"
    for run in (whole, killed):
        run.parent.mkdir()
    if changes:
        assert main(["train", write_config_in(whole.parent, **changes), "--quiet"]) == 0
    else:
        whole = finished
    config = write_config_in(killed.parent, **changes)
    torch.manual_seed(77)  # another process has drawn other random numbers
    with monkeypatch.context() as patch:
        killed_in(phase, function, patch)
        assert main(["train", config, "--quiet"]) == 130
    assert read_state(killed)["phases_done"] == phase
    torch.manual_seed(78)
    assert main(["train", config, "--resume", "--quiet"]) == 0
    assert same(weights(killed), weights(whole))
    steps = [[(row["step"], row.get("reward"), row["loss"]) for row in read_metrics(run)] for run in (killed, whole)]
    assert steps[0] == steps[1]
    predictions = "evaluation/after/forward/predictions.jsonl"
    assert (killed / predictions).read_text() == (whole / predictions).read_text()


# ---- other ways to run ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"algorithm": "expert_iteration", "trainer": {"num_generations": 4}}, id="expert iteration"),
        pytest.param({"model": {"lora": LORA}}, id="lora"),
        pytest.param({"algorithm": "rloo"}, id="rloo"),
        pytest.param({"algorithm": "rloo", "model": {"lora": LORA}}, id="rloo, lora"),
        pytest.param({"algorithm": "ppo"}, id="ppo"),
        pytest.param(
            {"algorithm": "ppo", "model": {"lora": LORA}, "trainer": {"beta": 0.1}}, id="ppo, lora, both penalties"
        ),
        pytest.param(
            {
                "algorithm": "ppo",
                "ppo": {"whiten_rewards": True},
                "trainer": {"num_generations": 1, "num_iterations": 2, "gradient_accumulation_steps": 2},
            },
            id="ppo, one sample a source, two epochs",
        ),
        pytest.param({"trainer": {"beta": 0.1}}, id="reference model"),
        pytest.param({"model": {"lora": LORA}, "trainer": {"beta": 0.1}}, id="reference adapter"),
        pytest.param({"directions": ["forward"], "rounds": 1}, id="single direction"),
        pytest.param({"directions": ["reverse"], "rounds": 1}, id="reverse alone, from written names"),
        pytest.param({"trainer": {"gradient_accumulation_steps": 2}}, id="gradient accumulation"),
        pytest.param({"trainer": {"num_iterations": 2}}, id="two updates on each sample"),
        pytest.param({"trainer": {"logging_steps": 5}}, id="hardly any logging"),
        pytest.param({"evaluation": {"before": False}}, id="not measured before"),
        pytest.param({"rewards": {"likelihood": 1.0}, "rounds": 1}, id="probability without format"),
        pytest.param(
            {"rewards": {"reconstruction": {"n": 2}}, "model": {"lora": LORA}, "rounds": 1}, id="reconstruction, lora"
        ),
        pytest.param({"model": {"prompt_style": "plain"}, "rounds": 1, "directions": ["forward"]}, id="plain prompts"),
    ],
)
def test_it_runs(write_config: Write, tmp_path: Path, changes: dict[str, Any]) -> None:
    config = write_config(**changes)
    assert main(["train", config, "--quiet"]) == 0
    run, loaded = tmp_path / "run", load_config(config)
    assert read_state(run)["finished"]
    steps = [row["step"] for row in read_metrics(run)]
    assert steps == sorted(set(steps))
    assert all(step <= loaded.rounds * len(loaded.directions) * 2 for step in steps)
    assert (run / "evaluation" / "summary.json").is_file() is loaded.evaluation.before
    assert all(torch.isfinite(tensor).all() for tensor in weights(run).values())


def test_every_round_is_measured_where_wanted_and_all_is_told_in_json(
    write_config: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    class Down(GeneralTracker):
        def __init__(self, **arguments: Any) -> None: ...

        def log(self, values: dict[str, float], step: int) -> None:
            print("a library prints what it likes")
            if step:
                raise ConnectionError("the server is gone")

    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "wandb", Down)
    monkeypatch.setattr(preflight, "_is_installed", lambda name: True)
    changes = {"evaluation": {"every_round": True}, "directions": ["forward"], "logging": {"draw_every": 2}}
    config = write_config(**changes, trainer={"report_to": ["tensorboard", "wandb"]})
    assert main(["train", config, "--json", "--quiet"]) == 0
    run = tmp_path / "run"
    folders = {path.name for path in (run / "evaluation").iterdir() if path.is_dir()}
    assert folders == {"before", "round-00", "round-01", "after"}
    events = [read_strictly(line) for line in capsys.readouterr().out.splitlines()]
    round_of_events = ["step", "warning", "image", "step", "phase", "measured"]
    assert [one["event"] for one in events] == [
        *("measured", *round_of_events),
        *(name for name in round_of_events if name != "warning"),
        *("measured", "done"),
    ]
    assert [(one["step"], one["measured"]) for one in events if one["event"] == "measured"] == [
        *((0, "before"), (2, "round-00"), (4, "round-01"), (4, "after"))
    ]
    assert events[-1]["summary"] == read_strictly((run / "evaluation" / "summary.json").read_text())
    assert {path.name for path in (run / "images").iterdir()} == {"step-2.png", "step-4.png"}
    assert [path.name for path in (run / "logs").iterdir()] == ["forward"]


REWARD = """
def bad(batch, word="x"):
    if any(word in y for y in batch.outputs):
        raise ValueError(f"{word!r} is not allowed")
    return [0.0] * len(batch)

def even(batch):
    return [1.0 - len(y) % 2 for y in batch.outputs]
"""


def test_every_term_is_logged_kept_and_timed(write_config: Write, tmp_path: Path) -> None:
    """The labels of some sources among them: pairs and molecules are trained on together."""
    (tmp_path / "pairs.tsv").write_text(PAIRS)
    (tmp_path / "mine.py").write_text(REWARD)
    terms = ("likelihood", "information", "any_order", "reconstruction", "format", "supervised")
    rewards: dict[str, Any] = dict.fromkeys(terms, 0.5) | {"even": {"file": str(tmp_path / "mine.py")}}
    rewards["any_order"], rewards["reconstruction"] = {"k": 2}, {"n": 2, "similarity": "maccs"}
    data = {"pairs": str(tmp_path / "pairs.tsv")}
    assert main(["train", write_config(rewards=rewards, data=data, rounds=1, steps_per_phase=4), "--quiet"]) == 0
    weights = load_config(tmp_path / "my.yaml").reward_weights
    labelled = []
    for phase in ("00-forward", "00-reverse"):
        for row in pq.read_table(tmp_path / "run" / "rounds" / phase / "completions.parquet").to_pylist():
            labelled.append(row["target"] is not None)
            parts = {name: row[name] for name in weights}
            assert row["reward"] == pytest.approx(sum(weights[name] * (value or 0) for name, value in parts.items()))
            assert (parts.pop("supervised") is None) == (row["target"] is None)
            assert None not in parts.values()
    assert set(labelled) == {True, False}
    seconds = read_state(tmp_path / "run")["phases"][0]["parts"]
    assert {f"reward {name}" for name in weights} == seconds.keys() - {"rollout", "verdicts"}
    assert {f"reward/{name}" for name in weights} <= read_metrics(tmp_path / "run")[0].keys() | {"reward/supervised"}


def test_a_reward_that_raises_names_itself_and_the_sample_and_ends_the_run(
    write_config: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(REWARD)
    rewards = {"likelihood": 1.0, "bad": {"file": str(tmp_path / "mine.py"), "word": "e"}}
    assert main(["train", write_config(rewards=rewards)]) == 1
    line = error_line(capsys)
    assert line.startswith("error: reward 'bad' failed on x='")
    assert line.endswith("ValueError: 'e' is not allowed")
    assert read_state(tmp_path / "run")["phases_done"] == 0


def test_sft_learns_the_pairs(write_config: Write, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text(PAIRS)
    trainer = {"learning_rate": 1e-2, "per_device_train_batch_size": 4}
    config = write_config(
        algorithm="sft", data={"molecules": None, "pairs": str(tmp_path / "pairs.tsv")}, steps_per_phase=8
    )
    text = Path(config).read_text().replace("  num_generations: 2\n", "").replace("  max_completion_length: 8\n", "")
    Path(config).write_text(text)
    options = [word for key, value in trainer.items() for word in ("--set", f"trainer.{key}={value}")]
    assert main(["train", config, "--quiet", "--set", "evaluation.max_new_tokens=8", *options]) == 0
    losses = [row["loss"] for row in read_metrics(tmp_path / "run")]
    assert len(losses) == 32
    assert sum(losses[-4:]) < sum(losses[:4])


def test_reactions_are_learned_from_products_alone(write_config: Write, tmp_path: Path) -> None:
    config = write_config(
        task="reaction",
        data={"molecules": None, "outputs": str(tmp_path / "my.smi")},
        directions=["reverse"],
        rounds=1,
    )
    assert main(["train", config, "--quiet"]) == 0
    table = pq.read_table(tmp_path / "run" / "rounds" / "00-reverse" / "completions.parquet").to_pylist()
    assert len(table) == 8
    assert {row["source"] for row in table} <= set((tmp_path / "my.smi").read_text().split())


def test_expert_iteration_without_one_good_sample_goes_on(
    write_config: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One token is too few for any name here: all samples are truncated."""
    changes = {"algorithm": "expert_iteration", "directions": ["forward"], "rounds": 1}
    assert main(["train", write_config(**changes, trainer={"max_completion_length": 1})]) == 0
    assert "kept the best of 2 for 0 of" in capsys.readouterr().err
    assert read_state(tmp_path / "run")["phases"][0]["steps"] == 0


# ---- bad input ------------------------------------------------------------------------------------------------------


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of the error, the last thing said."""
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, captured.err
    assert captured.err.rstrip().splitlines()[-1] == lines[0]
    assert "Traceback" not in captured.err
    assert captured.out == ""
    return lines[0]


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        pytest.param(None, 2, "no file", id="missing file"),
        pytest.param("", 1, "is empty", id="empty corpus"),
        pytest.param("\n\n", 1, "", id="blank lines"),
        pytest.param("The quick brown fox\njumps over the dog.\n" * 20, 1, "none of its 40 rows", id="prose"),
        pytest.param("CCO\n", 1, "1", id="one molecule: nothing left to hold out"),
    ],
)
def test_a_bad_corpus_is_one_line(
    write_config: Write,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    status: int,
    said: str,
) -> None:
    bad = tmp_path / "bad.smi"
    if content is not None:
        bad.write_text(content)
    assert main(["train", write_config(data={"molecules": str(bad)})]) == status
    line = error_line(capsys)
    assert "bad.smi" in line or said == "1"
    assert said in line
    assert not (tmp_path / "run").exists()


def test_rows_of_garbage_are_counted_and_set_aside(
    write_config: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = ["C" * n + tail for n in range(1, 34) for tail in ("O", "N", "Cl")]
    (tmp_path / "dirty.smi").write_text("\n".join([*good[:50], "no molecule at all", *good[50:]]) + "\n")
    config = write_config(data={"molecules": str(tmp_path / "dirty.smi")}, rounds=1, directions=["forward"])
    assert main(["train", config]) == 0
    assert "99 of 100 rows kept, 1 rejected" in capsys.readouterr().err
    [reject] = [json.loads(line) for line in (tmp_path / "run" / "rejects.jsonl").read_text().splitlines()]
    assert (reject["row"], reject["text"]) == (51, "no molecule at all")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"stepsperphase": 3}, "did you mean 'steps_per_phase'?", id="misspelt key"),
        pytest.param({"trainer": {"learning_rat": 1e-3}}, "did you mean 'learning_rate'?", id="misspelt TRL field"),
        pytest.param({"rounds": "three"}, "rounds: got 'three'", id="wrong type"),
        pytest.param({"steps_per_phase": 0}, "steps_per_phase: got 0", id="no steps"),
        pytest.param({"trainer": {"num_generations": 3}}, "num_generations: got 3", id="groups that do not fit"),
        pytest.param({"trainer": {"lr_scheduler_type": "zigzag"}}, "zigzag", id="a value that TRL refuses"),
        pytest.param({"model": {"lora": LORA | {"bias": "all"}}}, "model.lora.bias", id="trained biases"),
    ],
)
def test_a_bad_config_is_one_line(
    write_config: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    assert main(["train", write_config(**changes)]) == 2
    assert said in error_line(capsys)
    assert not (tmp_path / "run" / "model").exists()


def test_a_model_folder_without_tokenizer_is_one_line(
    write_config: Write, model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = Path(shutil.copytree(model_folder, tmp_path / "bare", ignore=shutil.ignore_patterns("tokenizer*")))
    assert main(["train", write_config(model={"path": str(bare)})]) == 1
    assert "has no usable tokenizer" in error_line(capsys)
    assert not (tmp_path / "run").exists()


def test_an_encoder_decoder_is_one_line(
    write_config: Write, tiny_tokenizer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=724, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path / "t5")
    tiny_tokenizer.save_pretrained(tmp_path / "t5")
    assert main(["train", write_config(model={"path": str(tmp_path / "t5")})]) == 1
    assert "is an encoder-decoder (t5)" in error_line(capsys)


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> str:
    """The config of a copy of the finished run: the same data, another output folder."""
    shutil.copytree(finished, tmp_path / "run")
    config = (finished.parent / "my.yaml").read_text().replace(str(finished), str(tmp_path / "run"))
    (tmp_path / "my.yaml").write_text(config)
    return str(tmp_path / "my.yaml")


def test_an_existing_run_is_refused_and_left_alone(
    copied: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tmp_path / "run" / "state.json").stat().st_mtime_ns
    assert main(["train", copied]) == 2
    assert "--resume" in error_line(capsys)
    assert (tmp_path / "run" / "state.json").stat().st_mtime_ns == before


def test_overwrite_starts_anew(copied: str, tmp_path: Path) -> None:
    (tmp_path / "run" / "of the old run").touch()
    assert main(["train", copied, "--overwrite", "--quiet", "--set", "rounds=1"]) == 0
    assert read_state(tmp_path / "run")["phases_done"] == 2
    assert not (tmp_path / "run" / "of the old run").exists()


def test_a_mistake_in_the_data_does_not_cost_the_earlier_run(
    copied: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my.smi").write_text("prose\n" * 9)
    assert main(["train", copied, "--overwrite", "--set", f"data.molecules={tmp_path / 'my.smi'}"]) == 1
    assert "my.smi" in error_line(capsys)
    assert read_state(tmp_path / "run")["finished"]


def test_a_folder_that_is_no_run_is_never_deleted(
    write_config: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").touch()
    assert main(["train", write_config(), "--overwrite"]) == 2
    assert "is not a run of rtrl-chem" in error_line(capsys)
    assert (tmp_path / "run" / "thesis.tex").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(["--set", "seed=9"], "seed 3 (now 9)", id="another seed"),
        pytest.param(["--set", "trainer.learning_rate=1"], "trainer.learning_rate 0.001 (now 1)", id="another rate"),
    ],
)
def test_resuming_with_another_config_is_refused(
    copied: str, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert main(["train", copied, "--resume", *options]) == 1
    assert said in error_line(capsys)


def test_resuming_nothing_is_refused(write_config: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", write_config(), "--resume"]) == 1
    assert "holds no run" in error_line(capsys)


def test_resuming_a_finished_run_trains_no_further(copied: str, finished: Path, tmp_path: Path) -> None:
    assert main(["train", copied, "--resume", "--quiet"]) == 0
    assert same(weights(tmp_path / "run"), weights(finished))
    assert len(read_metrics(tmp_path / "run")) == 8


def test_a_corpus_smaller_than_a_phase_is_gone_through_again(write_config: Write, tmp_path: Path) -> None:
    (tmp_path / "few.smi").write_text("CCO\nCCC\nCCN\n")
    config = write_config(data={"molecules": str(tmp_path / "few.smi")}, directions=["forward"], rounds=1)
    assert main(["train", config, "--quiet"]) == 0
    table = pq.read_table(tmp_path / "run" / "rounds" / "00-forward" / "completions.parquet")
    assert len(set(table["source"].to_pylist())) == 2
    assert all(math.isfinite(value) for value in table["reward"].to_pylist())
