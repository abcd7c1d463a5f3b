"""The run folder: who may have it, and what is kept of a killed run."""

from __future__ import annotations

import errno
import fcntl
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rtrl_chem.config import Config, config_from_mapping
from rtrl_chem.errors import ResumeError, RunFolderError
from rtrl_chem.rewards.compose import Judged
from rtrl_chem.rewards.options import TAKEN
from rtrl_chem.rewards.verdict import Verdict
from rtrl_chem.tasks import Direction
from rtrl_chem.training.run_folder import RunFolder, State, write_completions


def make_config(folder: Path, **changes: Any) -> Config:
    return config_from_mapping(
        {
            "task": "naming",
            "model": {"path": "unused"},
            "data": {"molecules": "unused.smi"},
            "steps_per_phase": 2,
            "output_dir": str(folder),
        }
        | changes
    )


@pytest.fixture
def used(tmp_path: Path) -> RunFolder:
    """The folder of a run with one phase done."""
    folder = RunFolder(tmp_path / "run")
    folder.create(make_config(folder.path), State())
    folder.save_state(State(phases_done=1, checkpoint="rounds/00-forward/checkpoint-2", phases=[{"steps": 2}]))
    return folder


def test_a_new_folder_may_be_used(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "new"):
        RunFolder(path).check(resume=False, overwrite=False)


@pytest.mark.parametrize(
    ("resume", "overwrite"), [pytest.param(True, False, id="resume"), pytest.param(False, True, id="overwrite")]
)
def test_a_used_folder_may_be_resumed_or_overwritten(used: RunFolder, resume: bool, overwrite: bool) -> None:
    used.check(resume=resume, overwrite=overwrite)
    assert used.state().phases_done == 1, "checking changes nothing"


def test_a_used_folder_is_refused_otherwise(used: RunFolder) -> None:
    with pytest.raises(RunFolderError, match="--resume"):
        used.check(resume=False, overwrite=False)


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_run_is_refused_even_to_overwrite(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunFolderError, match="left alone"):
        RunFolder(tmp_path).check(resume=False, overwrite=overwrite)


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(RunFolderError):
        RunFolder(tmp_path / "run").check(resume=False, overwrite=True)


def test_a_run_killed_while_it_was_begun_can_be_replaced(used: RunFolder) -> None:
    (used.path / "config.yaml").unlink()
    used.check(resume=False, overwrite=True)
    with pytest.raises(ResumeError, match="holds no run that had begun; replace it with --overwrite"):
        used.check(resume=True, overwrite=False)


def test_what_a_run_leaves_that_was_killed_in_its_first_moment_is_in_nobodys_way(tmp_path: Path) -> None:
    for name in (".lock", "state.json.77.partial"):
        (tmp_path / name).touch()
    RunFolder(tmp_path).check(resume=False, overwrite=False)
    (tmp_path / "thesis.tex.partial").touch()
    with pytest.raises(RunFolderError, match="left alone"):
        RunFolder(tmp_path).check(resume=False, overwrite=False)


def in_another_process(folder: Path) -> subprocess.CompletedProcess[str]:
    """What a process says that wants the same folder."""
    script = """
        import sys
        from pathlib import Path
        from rtrl_chem.errors import RunFolderError
        from rtrl_chem.training.run_folder import RunFolder
        try:
            with RunFolder(Path(sys.argv[1])).held():
                print("mine")
        except RunFolderError as error:
            print(error)
    """
    call = [sys.executable, "-c", textwrap.dedent(script), str(folder)]
    return subprocess.run(call, capture_output=True, text=True, check=True)


def test_two_runs_in_one_folder_are_one_too_many(tmp_path: Path) -> None:
    folder = tmp_path / "mein Lauf ü"
    with RunFolder(folder).held():
        said = in_another_process(folder).stdout
        RunFolder(folder).create(make_config(folder), State())
    assert said.startswith(f"output_dir {str(folder)!r} is in use")
    assert len(said.splitlines()) == 1
    assert in_another_process(folder).stdout == "mine\n"
    assert not (folder / ".lock").exists()


@pytest.mark.parametrize("there", [False, True], ids=["a new folder", "a folder that was there"])
def test_a_run_that_does_not_get_to_begin_leaves_no_folder(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "run"
    if there:
        folder.mkdir()
    with pytest.raises(KeyError), RunFolder(folder).held():
        raise KeyError
    assert [path.name for path in tmp_path.rglob("*")] == (["run"] if there else [])


def test_a_folder_that_cannot_be_had_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="cannot be written"), RunFolder(tmp_path / "file" / "run").held():
        pass


def test_where_there_are_no_locks_nobody_is_kept_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with RunFolder(tmp_path / "run").held():
        assert (tmp_path / "run").is_dir()


def test_a_line_that_stands_there_is_not_written_again(used: RunFolder) -> None:
    for value in (float("nan"), float("nan"), 1.0):
        used.append_once({"step": 1, "measured": "before", "value": value})
    assert metrics_steps(used) == [1, 1]


def test_going_on_removes_what_was_half_written(used: RunFolder) -> None:
    for name in ("evaluation/after/metrics.json.7.partial", "model.partial/config.json"):
        (used.path / name).parent.mkdir(parents=True, exist_ok=True)
        (used.path / name).touch()
    used.go_on(make_config(used.path), used.state(), 2)
    assert not list(used.path.rglob("*.partial"))


def test_nothing_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match="holds no run"):
        RunFolder(tmp_path).check(resume=True, overwrite=False)


def metrics_steps(folder: RunFolder) -> list[int]:
    return [json.loads(line)["step"] for line in (folder.path / "metrics.jsonl").read_text().splitlines()]


def test_going_on_forgets_what_a_killed_phase_logged(used: RunFolder) -> None:
    for step in (1, 2, 3):
        used.append_metrics({"step": step})
    with open(used.path / "metrics.jsonl", "a") as lines:
        lines.write('{"step": 4, "lo')  # cut off by the kill
    used.go_on(make_config(used.path), used.state(), 2)
    assert metrics_steps(used) == [1, 2]


def test_every_line_of_the_log_is_json_for_any_program(used: RunFolder) -> None:
    used.append_metrics({"step": 1, "kl": float("nan"), "grad_norm": float("inf"), "loss": 0.5})
    [line] = (used.path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line, parse_constant=pytest.fail) == {"step": 1, "kl": None, "grad_norm": None, "loss": 0.5}


def test_going_on_keeps_every_phase_that_is_done(used: RunFolder) -> None:
    """Expert iteration may take fewer steps than planned; the next phase starts on the planned step all the same."""
    for step in (1, 3, 4, 5):
        used.append_metrics({"step": step})
    used.go_on(make_config(used.path), State(phases_done=2, phases=[{"steps": 1}, {"steps": 2}]), 4)
    assert metrics_steps(used) == [1, 3, 4]


def test_a_new_run_empties_the_folder(used: RunFolder) -> None:
    (used.path / "old").touch()
    (used.path / "rounds").mkdir()
    used.create(make_config(used.path), State())
    assert not (used.path / "rounds").exists()
    assert not (used.path / "old").exists()
    assert used.state() == State()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="cannot be written"):
        RunFolder(tmp_path / "file" / "run").create(make_config(tmp_path), State())


def test_completions_keep_every_part_of_a_sample(tmp_path: Path) -> None:
    parts = {"likelihood": 0.25, "supervised": None}
    scored = Judged(Direction.FORWARD, "CCO", "ethanol", " ethanol", "alcohol", 0.45, Verdict.OK, "", parts, -1.4, 4)
    gated = Judged(
        Direction.FORWARD, "CCO", "", "", None, 0.0, Verdict.EMPTY, "", {"likelihood": 0.0, "supervised": None}
    )
    write_completions(tmp_path / "rounds" / "c.parquet", [(1, scored), (2, gated)])
    rows = pq.read_table(tmp_path / "rounds" / "c.parquet").to_pylist()
    assert [(row["step"], row["verdict"], row["nats"]) for row in rows] == [(1, "OK", -1.4), (2, "EMPTY", None)]
    assert [(row["likelihood"], row["supervised"], row["target"]) for row in rows] == [
        (0.25, None, "alcohol"),
        (0.0, None, None),
    ]
    assert set(rows[0]) - set(parts) == set(TAKEN) == {"step", *Judged.__dataclass_fields__} - {"components"}
