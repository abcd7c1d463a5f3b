"""A run killed or stopped inside a phase goes on to the same bits: weights, log, samples, measurements."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from kill_and_resume import differences

from rtrl_chem.cli import main
from rtrl_chem.config import load_config
from rtrl_chem.evaluation import round_trip
from rtrl_chem.training.interrupts import Interrupts
from rtrl_chem.training.resumable import Resumable, _Saving
from rtrl_chem.training.rollouts import RoundTripRollouts

LORA = {"r": 4, "target_modules": ["q_proj", "v_proj"]}
PAIRS = "smiles\tname\nCCO\tethanol\nCCC\tpropane\nC\tmethane\nCC\tethane\nCCN\tethanamine\nCCCC\tbutane\nCCCO\tx\n"
WriteIn = Callable[..., str]


@pytest.fixture
def write_pair(write_config_in: WriteIn, tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """The same config twice: for a run that nothing happens to, and for one that is killed."""

    def write(**changes: Any) -> tuple[str, str]:
        paths = []
        for name in ("whole", "killed"):
            folder = tmp_path / name
            folder.mkdir()
            (folder / "pairs.tsv").write_text(PAIRS)
            data = {"pairs": str(tmp_path / "whole" / "pairs.tsv")} if changes.get("pairs") else {}
            data |= {"molecules": str(tmp_path / "whole" / "my.smi")}
            given = {key: value for key, value in changes.items() if key != "pairs"}
            trainer = {"save_steps": 2} | given.pop("trainer", {})
            paths.append(
                write_config_in(folder, data=data, trainer=trainer, **({"rounds": 1, "steps_per_phase": 5} | given))
            )
        return paths[0], paths[1]

    return write


def at_step(number: int, do: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something at the end of the run's `number`-th step, before it is saved."""
    real, steps = _Saving.on_step_end, iter(range(1, 1000))

    def on_step_end(self: Any, *args: Any, **kwargs: Any) -> Any:
        if next(steps) == number:
            do()
        return real(self, *args, **kwargs)

    monkeypatch.setattr(_Saving, "on_step_end", on_step_end)


def die() -> None:
    raise KeyboardInterrupt


def logged_steps(run: Path) -> list[int]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row["step"] for row in rows if "loss" in row]


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        pytest.param({}, 4, id="grpo"),
        pytest.param({"model": {"lora": LORA}, "trainer": {"beta": 0.1}}, 8, id="lora with a reference"),
        pytest.param({"algorithm": "ppo", "model": {"lora": LORA}}, 9, id="ppo, whose head is beside the adapter"),
        pytest.param({"algorithm": "rloo", "trainer": {"logging_steps": 3}}, 5, id="between two lines of the log"),
        pytest.param(
            {"trainer": {"num_iterations": 2, "steps_per_generation": 2, "gradient_accumulation_steps": 2}},
            5,
            id="samples used twice",
        ),
        pytest.param(
            {"rewards": {"likelihood": 0.0, "reconstruction": {"weight": 1.0, "n": 2}}}, 4, id="reconstruction"
        ),
        pytest.param({"algorithm": "expert_iteration"}, 3, id="expert iteration"),
        pytest.param(
            {
                "pairs": True,
                "regime": ["supervised", "synthetic"],
                "supervised": {"warm_up_steps": 5},
                "synthetic": {"steps": 3, "samples": 2, "min_probability": 0.0},
                "directions": ["reverse"],
            },
            11,
            id="pairs made by the policy",
        ),
        pytest.param({"models": "adapters", "model": {"lora": LORA}}, 9, id="an adapter for each direction"),
        pytest.param({"schedule": "joint", "trainer": {"gradient_accumulation_steps": 2}}, 4, id="joint"),
    ],
)
def test_a_run_killed_in_a_phase_goes_on_to_the_same_bits(
    write_pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], step: int
) -> None:
    whole, killed = write_pair(**changes)
    assert main(["train", whole, "--quiet"]) == 0
    torch.manual_seed(77)  # another process has drawn other random numbers
    with monkeypatch.context() as patch:
        at_step(step, die, patch)
        assert main(["train", killed, "--quiet"]) == 130
    assert list((tmp_path / "killed" / "run").glob("rounds/*/unfinished-*/checkpoint-*"))
    torch.manual_seed(78)
    assert main(["train", killed, "--resume", "--quiet"]) == 0
    assert differences(tmp_path / "whole" / "run", tmp_path / "killed" / "run") == []
    assert not list((tmp_path / "killed" / "run").rglob("*unfinished*"))


def test_only_the_steps_after_the_checkpoint_are_done_again(
    write_pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, killed = write_pair(steps_per_phase=6)
    with monkeypatch.context() as patch:
        at_step(5, die, patch)
        assert main(["train", killed, "--quiet"]) == 130
    done = []
    at_step(1, lambda: done.append(logged_steps(tmp_path / "killed" / "run")), monkeypatch)
    measured = []
    real = round_trip.evaluate
    monkeypatch.setattr(
        round_trip, "evaluate", lambda *args, **kwargs: (measured.append(args[3].name), real(*args, **kwargs))[1]
    )
    assert main(["train", killed, "--resume", "--quiet"]) == 0
    assert done == [[1, 2, 3, 4]], "step 5 was logged and lost; the next one done is 5"
    assert measured == ["after"], "what was measured before training is not measured again"


def test_a_checkpoint_that_is_half_written_is_not_used(
    write_pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = write_pair()
    assert main(["train", whole, "--quiet"]) == 0
    real, saved = Resumable._save_checkpoint, iter(range(10))

    def dies(self: Any, *args: Any) -> None:
        if next(saved) == 1:  # the weights are there, the rest is not
            self.save_model(str(self.keeping.unfinished.partial / "checkpoint-4"), _internal_call=True)
            self.keeping.unfinished.write_part(4, 0, {})
            raise KeyboardInterrupt
        real(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Resumable, "_save_checkpoint", dies)
        assert main(["train", killed, "--quiet"]) == 130
    [unfinished] = (tmp_path / "killed" / "run").glob("rounds/*/unfinished-*")
    assert {path.name for path in unfinished.glob("[!p]*")} == {"checkpoint-000002", "inputs.json.gz", "saving.partial"}
    assert main(["train", killed, "--resume", "--quiet"]) == 0
    assert differences(tmp_path / "whole" / "run", tmp_path / "killed" / "run") == []


# ---- signals --------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_ctrl_c() -> Iterator[None]:
    """Where these tests run in the background of a script, SIGINT is ignored, and a run leaves it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("name", "status"),
    [pytest.param("SIGTERM", 143), pytest.param("SIGINT", 130), pytest.param("SIGUSR1", 0)],
)
@pytest.mark.usefixtures("with_ctrl_c")
def test_a_signal_ends_a_run_after_its_step(
    write_pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, name: str, status: int
) -> None:
    whole, killed = write_pair(steps_per_phase=4, trainer={"save_steps": 3})
    assert main(["train", whole, "--quiet"]) == 0
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        # SLURM's may come twice, from itself and from the script that hands it on.
        times = 2 if name == "SIGUSR1" else 1
        at_step(5, lambda: [os.kill(os.getpid(), getattr(signal, name)) for _ in range(times)], patch)
        assert main(["train", killed, "--quiet"]) == status
    assert capsys.readouterr().err == f"stopped by {name}; what was done is saved, go on with --resume\n"
    assert logged_steps(tmp_path / "killed" / "run") == [1, 2, 3, 4, 5]
    assert signal.getsignal(signal.SIGTERM) == before, "the process's own handlers are put back"
    assert main(["train", killed, "--resume", "--quiet"]) == 0
    assert differences(tmp_path / "whole" / "run", tmp_path / "killed" / "run") == []


@pytest.mark.parametrize("at_once", [pytest.param(True, id="one process"), pytest.param(False, id="of several")])
def test_a_signal_in_a_measurement_ends_the_run_which_goes_on_there(
    write_pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    whole, killed = write_pair(steps_per_phase=2)
    assert main(["train", whole, "--quiet"]) == 0
    real, signals = round_trip.evaluate, iter([True])  # a second one would end the process

    def evaluate(policy: Any, config: Any, held_out: Any, out: Path, on_progress: Any, **kwargs: Any) -> Any:
        def progress(what: str, done: int, total: int) -> None:
            if out.name == "after" and done and next(signals, None):
                os.kill(os.getpid(), signal.SIGTERM)
            on_progress(what, done, total)

        return real(policy, config, held_out, out, progress, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(round_trip, "evaluate", evaluate)
        if not at_once:  # several processes finish a measurement together
            patch.setattr(Interrupts, "check_alone", lambda self: None)
        assert main(["train", killed, "--quiet"]) == 143
    assert list((tmp_path / "killed" / "run" / "evaluation" / "after").glob("answers-*")), "what was answered is kept"
    assert main(["train", killed, "--resume", "--quiet"]) == 0
    assert differences(tmp_path / "whole" / "run", tmp_path / "killed" / "run") == []
    assert not list((tmp_path / "killed" / "run").rglob("answers-*"))


# ---- refusals -------------------------------------------------------------------------------------------------------


def test_a_run_is_not_resumed_on_another_corpus_unless_it_may(
    write_pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    _, killed = write_pair()
    with monkeypatch.context() as patch:
        at_step(4, die, patch)
        assert main(["train", killed, "--quiet"]) == 130
    with (tmp_path / "whole" / "my.smi").open("a") as corpus:
        corpus.write("CCCCCCCO\n")
    capsys.readouterr()
    assert main(["train", killed, "--resume"]) == 1
    assert "data.molecules with other contents (now changed)" in capsys.readouterr().err
    assert main(["train", killed, "--resume", "--quiet", "--allow-changed", "data.molecules"]) == 0
    [resumed] = json.loads((tmp_path / "killed" / "run" / "state.json").read_text())["resumed"]
    assert resumed == {"phases_done": 0, "changed": ["data.molecules with other contents (now changed)"]}


def test_a_finished_run_is_left_as_it_is(write_pair: Any, tmp_path: Path, capsys: Any) -> None:
    whole, _ = write_pair(steps_per_phase=2)
    assert main(["train", whole, "--quiet"]) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "whole" / "run").rglob("*")}
    assert main(["train", whole, "--resume"]) == 0
    assert "is finished already" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "whole" / "run").rglob("*")} == before


def test_a_finished_run_can_be_given_more_rounds(write_pair: Any, tmp_path: Path) -> None:
    whole, longer = write_pair(steps_per_phase=2)
    assert main(["train", whole, "--quiet", "--set", "rounds=2"]) == 0
    assert main(["train", longer, "--quiet"]) == 0
    more = ["--resume", "--set", "rounds=2", "--allow-changed", "rounds"]
    assert main(["train", longer, "--quiet", *more]) == 0
    assert differences(tmp_path / "whole" / "run", tmp_path / "killed" / "run") == ["differs: metrics.jsonl"]
    assert logged_steps(tmp_path / "killed" / "run") == logged_steps(tmp_path / "whole" / "run") == list(range(1, 9))
    rows = [json.loads(line) for line in (tmp_path / "killed" / "run" / "metrics.jsonl").read_text().splitlines()]
    measured = [(row["measured"], row["step"]) for row in rows if "measured" in row]
    assert measured == [("before", 0), ("after", 4), ("after", 8)], "its first end was measured too"


# ---- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_gradient_that_is_no_number_stops_the_run_before_the_weights_have_it(
    write_pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    _, killed = write_pair(steps_per_phase=4)
    real, calls = torch.nn.utils.clip_grad_norm_, iter(range(100))

    def ruined(parameters: Any, *args: Any, **kwargs: Any) -> Any:
        parameters = list(parameters)
        if next(calls) == 2:
            parameters[0].grad.fill_(float("nan"))
        return real(parameters, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.utils, "clip_grad_norm_", ruined)
        assert main(["train", killed, "--quiet"]) == 1
    error = capsys.readouterr().err
    assert "the gradient is nan at step 3 of the phase" in error
    assert len(error.splitlines()) == 1
    assert main(["train", killed, "--resume", "--quiet"]) == 0


def test_a_full_disk_is_one_line_and_what_was_saved_is_good(
    write_pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    whole, killed = write_pair()
    assert main(["train", whole, "--quiet"]) == 0
    real, calls = Resumable._save, iter(range(100))

    def full(self: Any, *args: Any, **kwargs: Any) -> None:
        if next(calls) == 1:
            raise RuntimeError("I/O error: No space left on device (os error 28)")
        real(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Resumable, "_save", full)
        assert main(["train", killed, "--quiet"]) == 1
    assert "step 4 of the phase cannot be saved" in (error := capsys.readouterr().err)
    assert "the disk is full, free some space" in error
    assert not list((tmp_path / "killed" / "run").rglob("*.partial")), "it would fill the disk of who comes to free it"
    assert main(["train", killed, "--resume", "--quiet"]) == 0
    assert differences(tmp_path / "whole" / "run", tmp_path / "killed" / "run") == []


class TooLarge:
    """Stands for a GPU on which micro-batches above a size do not fit."""

    def __init__(self, limit: int, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
        real, calls = RoundTripRollouts._compute_loss, iter(range(10_000))

        def compute_loss(trainer: Any, model: Any, inputs: Any) -> Any:
            if next(calls) >= after and trainer.args.per_device_train_batch_size > limit:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has 8 GiB in all.")
            return real(trainer, model, inputs)

        monkeypatch.setattr(RoundTripRollouts, "_compute_loss", compute_loss)


def test_out_of_memory_names_what_to_lower(
    write_pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    _, killed = write_pair()
    with monkeypatch.context() as patch:
        TooLarge(2, 3, patch)
        assert main(["train", killed, "--quiet"]) == 1
    assert capsys.readouterr().err.startswith(
        "error: out of memory while the policy was updated (CUDA out of memory): halve "
        "trainer.per_device_train_batch_size and double trainer.gradient_accumulation_steps"
    )
    assert main(["train", killed, "--resume", "--quiet"]) == 0, "on a larger GPU"


def test_batches_are_halved_until_they_fit_and_the_run_goes_on(
    write_pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    _, killed = write_pair(trainer={"auto_find_batch_size": True})
    with monkeypatch.context() as patch:
        TooLarge(1, 3, patch)
        at_step(9, die, patch)
        assert main(["train", killed]) == 130
    said = capsys.readouterr().err
    assert "Going on with trainer.per_device_train_batch_size: 2" in said
    assert "Going on with trainer.per_device_train_batch_size: 1" in said
    assert "going on after step 2 of 10" in said
    run = tmp_path / "killed" / "run"
    assert load_config(run / "config.yaml").trainer["gradient_accumulation_steps"] == 4
    assert main(["train", killed, "--resume", "--quiet"]) == 0, "with the pieces that were found to fit"
    assert load_config(run / "config.yaml").trainer["per_device_train_batch_size"] == 1
    assert logged_steps(run) == list(range(1, 11))
