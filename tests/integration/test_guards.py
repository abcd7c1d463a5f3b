"""Guards through the command line: a round that ruins the model is taken back, or ends the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kill_and_resume import differences
from safetensors.torch import load_file

from rtrl_chem.cli import main
from rtrl_chem.evaluation.files import read_predictions
from rtrl_chem.training import guards, rounds
from rtrl_chem.training.sources import NothingWritten

# What the model was taught: right in both directions until it is ruined.
KNOWN = {"CCO": "ethanol", "CCC": "propane", "C": "methane", "CC": "ethane", "CCN": "ethanamine", "c1ccccc1": "benzene"}
RUINOUS = {"trainer": {"learning_rate": 1.0}}
LORA = {"r": 4, "target_modules": ["q_proj", "v_proj"], "init_lora_weights": "gaussian"}
WriteIn = Callable[..., str]


@pytest.fixture(scope="session")
def guarded_in(write_config_in: WriteIn) -> WriteIn:
    """A config whose validation pairs are what the model knows."""

    def write(folder: Path, guards: dict[str, Any] | None = None, **changes: Any) -> str:
        folder.mkdir(exist_ok=True)
        pairs = folder / "known.tsv"
        pairs.write_text("smiles\tname\n" + "".join(f"{x}\t{y}\n" for x, y in KNOWN.items()))
        return write_config_in(folder, guards={"pairs": str(pairs)} | (guards or {}), **changes)

    return write


def state_of(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "state.json").read_text()))


def events_of(run: Path) -> list[tuple[int, str, str]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], row["event"], row["stage"]) for row in rows if "event" in row]


def weights(run: Path) -> dict[str, torch.Tensor]:
    [file] = (run / "model").glob("*.safetensors")
    return load_file(file)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_ruined_rounds_are_rolled_back_to_the_start(
    guarded_in: WriteIn, model_folder: Path, tmp_path: Path, capsys: Any, lora: dict[str, Any] | None
) -> None:
    changes = RUINOUS | ({"model": {"lora": lora}, "trainer": {"learning_rate": 100.0}} if lora else {})
    assert main(["train", guarded_in(tmp_path, **changes)]) == 0
    run, said = tmp_path / "run", capsys.readouterr().err
    assert events_of(run) == [(4, "rolled back", "round-00"), (8, "rolled back", "round-01")]
    assert [(one["stage"], one["kept"]) for one in state_of(run)["stages"]] == [
        ("start", True),
        ("round-00", False),
        ("round-01", False),
    ]
    assert "round-00 is rolled back to the last good model" in said
    assert "guard: worse in forward: names exactly right 100.0% -> 0.0%" in said
    assert [path.name for path in run.glob("rounds/*/checkpoint-*")] == ["checkpoint-0"]
    if lora is None:
        assert same(weights(run), load_file(model_folder / "model.safetensors"))
    after = read_predictions(run / "evaluation/after/forward/predictions.jsonl")
    assert after == read_predictions(run / "evaluation/before/forward/predictions.jsonl")


def test_a_phase_that_cannot_begin_is_left_out_and_its_round_is_judged(
    guarded_in: WriteIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    found = rounds.sources_for

    def nothing_for_reverse(policy: Any, config: Any, items: Any, phase: Any, *rest: Any) -> Any:
        if phase.way == "reverse":
            raise NothingWritten("nothing usable was written")
        return found(policy, config, items, phase, *rest)

    monkeypatch.setattr(rounds, "sources_for", nothing_for_reverse)
    assert main(["train", guarded_in(tmp_path, rounds=1, trainer={"learning_rate": 1e-6})]) == 0
    assert "reverse is left out: nothing usable was written" in capsys.readouterr().err
    assert [one["stage"] for one in state_of(tmp_path / "run")["stages"]] == ["start", "round-00"]


def test_a_rolled_back_round_is_not_repeated(guarded_in: WriteIn, tmp_path: Path) -> None:
    assert main(["train", guarded_in(tmp_path, **RUINOUS), "--quiet"]) == 0
    samples = [
        (tmp_path / "run" / "rounds" / phase / "completions.parquet").read_bytes()
        for phase in ("00-forward", "01-forward")
    ]
    assert samples[0] != samples[1]


def test_stop_ends_the_run_with_the_best_model(
    guarded_in: WriteIn, model_folder: Path, tmp_path: Path, capsys: Any
) -> None:
    config = guarded_in(tmp_path, {"on_regression": "stop"}, **RUINOUS)
    assert main(["train", config]) == 0
    run, said = tmp_path / "run", capsys.readouterr().err
    state = state_of(run)
    assert (state["phases_done"], state["finished"]) == (2, True)
    assert state["stopped"].startswith("round-00 got worse in forward: ")
    assert "the run stops early with the last good model" in said
    assert same(weights(run), load_file(model_folder / "model.safetensors"))
    assert events_of(run) == [(4, "stopped", "rounds/start/checkpoint-0")]
    assert main(["train", config, "--resume", "--quiet"]) == 0
    assert state_of(run)["phases_done"] == 2


def test_ignore_says_so_and_goes_on(guarded_in: WriteIn, model_folder: Path, tmp_path: Path) -> None:
    config = guarded_in(
        tmp_path, {"on_regression": "ignore", "divergence": False}, **RUINOUS, rounds=1, directions=["forward"]
    )
    assert main(["train", config, "--quiet"]) == 0
    assert events_of(tmp_path / "run") == [(2, "regression ignored", "round-00")]
    assert not same(weights(tmp_path / "run"), load_file(model_folder / "model.safetensors"))


def test_a_harmless_run_is_the_one_without_guards(
    guarded_in: WriteIn, write_config_in: WriteIn, tmp_path: Path
) -> None:
    """Measuring in between draws no random numbers, and keeps the training items where the pairs are other ones."""
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    changes: dict[str, Any] = {"trainer": {"learning_rate": 1e-6}, "data": {"molecules": "free.smi"}}
    molecules = [f"{'C' * n}{tail}" for n in range(4, 14) for tail in ("O", "N", "Cl")]
    free = tmp_path / "free.smi"
    free.write_text("\n".join(molecules))
    changes["data"] = {"molecules": str(free)}
    assert main(["train", guarded_in(tmp_path / "with", {"metrics": ["exact_match"]}, **changes), "--quiet"]) == 0
    assert main(["train", write_config_in(tmp_path / "without", **changes), "--quiet"]) == 0
    assert [one["kept"] for one in state_of(tmp_path / "with" / "run")["stages"]] == [True] * 3
    assert same(weights(tmp_path / "with" / "run"), weights(tmp_path / "without" / "run"))
    assert [p.parent.name for p in (tmp_path / "with").glob("run/rounds/*/checkpoint-*")] == ["01-reverse"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({"min_entropy": 50.0}, "forward: entropy is", id="entropy"),
        pytest.param({"max_kl": 1e-9}, "forward: kl is", id="kl"),
        pytest.param({"plateau_rounds": 1, "plateau_gain": 1000.0}, "no reward rose by more than 1000", id="plateau"),
    ],
)
def test_an_early_stop_says_why(guarded_in: WriteIn, tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    changes = {"trainer": {"learning_rate": 1e-5}, "rounds": 3}
    assert main(["train", guarded_in(tmp_path, options | {"on_regression": "ignore"}, **changes), "--quiet"]) == 0
    state = state_of(tmp_path / "run")
    assert reason in state["stopped"]
    assert state["phases_done"] == (4 if "plateau" in " ".join(options) else 1)
    assert state["finished"]


@pytest.mark.parametrize(
    ("options", "function", "calls"),
    [
        pytest.param({}, "judge", 1, id="while judging"),
        pytest.param({}, "tidy", 2, id="when it had gone back"),  # tidy is called for the start model too
        pytest.param({"plateau_rounds": 1, "plateau_gain": 1e3, "on_regression": "ignore"}, "tidy", 3, id="plateau"),
        pytest.param({"on_regression": "stop"}, "tidy", 2, id="when it had stopped"),
    ],
)
def test_a_run_killed_by_its_guard_resumes_to_the_same_bits(
    guarded_in: WriteIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    function: str,
    calls: int,
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    changes = {"trainer": {"learning_rate": 1e-2}, "evaluation": {"every_round": True}, "rounds": 3}
    changes |= {"directions": ["forward"]}
    assert main(["train", guarded_in(whole, options, **changes), "--quiet"]) == 0
    config = guarded_in(killed, options, **changes)
    left = iter(range(1, calls))

    def dies(*args: Any, **kwargs: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(guards, function, dies)
        assert main(["train", config, "--quiet"]) == 130
    assert main(["train", config, "--resume", "--quiet"]) == 0
    assert same(weights(killed / "run"), weights(whole / "run"))
    for key in ("stages", "stopped", "measured"):
        assert state_of(killed / "run")[key] == state_of(whole / "run")[key]
    assert differences(whole / "run", killed / "run") == []


def test_nothing_of_the_final_table_decides_and_nothing_that_decides_is_trained_on(
    guarded_in: WriteIn, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    test = tmp_path / "test.tsv"
    test.write_text("smiles\tname\nCCO\tethanol\nCCCl\tx\n")
    config = guarded_in(tmp_path, evaluation={"pairs": str(test)}, rounds=1, trainer={"learning_rate": 1e-6})
    assert main(["train", config, "--quiet"]) == 0
    run = tmp_path / "run"
    decided = {p.source for p in read_predictions(run / "evaluation/validation/start/forward/predictions.jsonl")}
    reported = {p.source for p in read_predictions(run / "evaluation/after/forward/predictions.jsonl")}
    trained = set(pq.read_table(run / "rounds/00-forward/completions.parquet")["source"].to_pylist())
    assert decided == set(KNOWN) - {"CCO"}
    assert not decided & reported
    assert not trained & (decided | reported)


def test_a_metric_that_cannot_be_measured_is_one_line(guarded_in: WriteIn, tmp_path: Path, capsys: Any) -> None:
    config = guarded_in(tmp_path, {"pairs": None, "metrics": ["rtc", "exact_match"]})
    assert main(["train", config]) == 2
    assert "guards.metrics: exact_match cannot be measured on the validation items" in capsys.readouterr().err


def test_validation_pairs_that_are_the_test_pairs_are_refused(guarded_in: WriteIn, tmp_path: Path, capsys: Any) -> None:
    pairs = str(tmp_path / "known.tsv")
    assert main(["train", guarded_in(tmp_path, {"pairs": pairs}, evaluation={"pairs": pairs})]) == 2
    assert "is evaluation.pairs too" in capsys.readouterr().err


BEST = {"metric_for_best_model": "forward/exact_match", "load_best_model_at_end": True}


@pytest.mark.parametrize("models", ["shared", "adapters"])
def test_the_final_model_is_the_best_stage(
    guarded_in: WriteIn, model_folder: Path, tmp_path: Path, capsys: Any, models: str
) -> None:
    """The start knows all answers; both rounds ruin it, and nobody takes them back."""
    rate = {"learning_rate": 1.0 if models == "shared" else 100.0}
    changes = {"model": {"lora": LORA}, "models": models} if models == "adapters" else {}
    watching = {"on_regression": "ignore", "divergence": False}
    config = guarded_in(
        tmp_path, watching, trainer=rate | BEST | {"save_total_limit": 1}, directions=["forward"], **changes
    )
    assert main(["train", config]) == 0
    run, said = tmp_path / "run", capsys.readouterr().err
    best = state_of(run)["best"]
    assert (best["stage"], best["checkpoint"], best["value"]) == ("start", "rounds/start/checkpoint-0", 1.0)
    assert "the best model is that of start: forward/exact_match 1" in said
    after = read_predictions(run / "evaluation/after/forward/predictions.jsonl")
    assert after == read_predictions(run / "evaluation/before/forward/predictions.jsonl")
    if models == "shared":
        assert same(weights(run), load_file(model_folder / "model.safetensors"))
    folders = sorted(path.parent.name for path in run.glob("rounds/*/checkpoint-*"))
    assert folders == ["00-forward", "01-forward", "start"]


def test_the_best_so_far_survives_a_kill(
    guarded_in: WriteIn, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = {"on_regression": "ignore", "divergence": False}
    config = guarded_in(tmp_path, watching, trainer={"learning_rate": 1.0} | BEST, directions=["forward"])
    left = iter(range(1))

    def dies(*args: Any, **kwargs: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return guards.Judgement()

    with monkeypatch.context() as patch:
        patch.setattr(guards, "judge", dies)
        assert main(["train", config, "--quiet"]) == 130
    assert state_of(tmp_path / "run")["best"]["stage"] == "start"
    assert main(["train", config, "--resume", "--quiet"]) == 0
    assert same(weights(tmp_path / "run"), load_file(model_folder / "model.safetensors"))


def test_a_best_that_cannot_be_measured_is_one_line(guarded_in: WriteIn, tmp_path: Path, capsys: Any) -> None:
    trainer = {"metric_for_best_model": "forward/referee"}
    assert main(["train", guarded_in(tmp_path, trainer=trainer)]) == 2
    said = capsys.readouterr().err
    assert "trainer.metric_for_best_model: forward/referee cannot be measured on the validation items" in said
