"""What `runs` reads from run folders, whole, half-written and broken ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rtrl_chem.cli import main
from rtrl_chem.config import config_from_mapping, dump_config
from rtrl_chem.errors import RunFolderError
from rtrl_chem.reporting.runs import config_differences, read_run


def make_run(path: Path, *, finished: bool = True, step: int = 40, rtc: float | None = 0.5, **changes: Any) -> Path:
    """A run folder with the files that `runs` reads."""
    (path / "evaluation").mkdir(parents=True)
    given = {
        "task": "naming",
        "model": {"path": "bundled:tiny"},
        "data": {"molecules": "bundled:naming/unlabelled"},
        "rounds": 2,
        "output_dir": str(path),
    }
    dump_config(config_from_mapping(given | changes), path / "config.yaml")
    (path / "state.json").write_text(json.dumps({"finished": finished, "phases_done": 4 if finished else 1}))
    (path / "metrics.jsonl").write_text(json.dumps({"step": step}) + '\n{"step": 4')
    if rtc is not None:
        metrics = {"rtc": {"label": "round trip [exact]", "value": rtc}, "validity": None}
        (path / "evaluation" / "after" / "forward").mkdir(parents=True)
        (path / "evaluation" / "after" / "forward" / "metrics.json").write_text(json.dumps({"metrics": metrics}))
    if finished and rtc is not None:
        change = {"difference": 0.1, "low": 0.05, "high": 0.15}
        summary = {"directions": {"forward": {"metrics": {"rtc": change, "validity": None}}}}
        (path / "evaluation" / "summary.json").write_text(json.dumps(summary))
    return path


def test_a_run_is_what_its_files_say(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "a"))
    assert (run.status, run.step, run.best) == ("finished", 40, ("round trip [exact]", 0.5))
    assert run.gains == {"forward rtc": (0.1, 0.05, 0.15)}
    half = read_run(make_run(tmp_path / "b", finished=False, rtc=None))
    assert (half.status, half.best, half.gains) == ("phase 1/4", None, {})


def change_state(run: Path, **changes: Any) -> Path:
    state = json.loads((run / "state.json").read_text())
    (run / "state.json").write_text(json.dumps(state | changes))
    return run


def test_the_state_says_how_many_phases_there_are_and_that_guards_ended_it(tmp_path: Path) -> None:
    joint = change_state(make_run(tmp_path / "a", finished=False, schedule="joint"), planned=2)
    assert read_run(joint).status == "phase 1/2"
    stopped = change_state(make_run(tmp_path / "b"), stopped="round-01: a plateau")
    assert (read_run(stopped).status, read_run(stopped).to_json()["stopped"]) == ("stopped early", "round-01: a plateau")


def test_numbers_that_are_none_are_null(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "a", rtc=float("nan"))
    assert main(["runs", "--in", str(tmp_path), "--json"]) == 0
    [listed] = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert listed["metrics"] == {"forward rtc": None}


def test_metrics_of_two_tasks_stand_in_rows_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = make_run(tmp_path / "a"), make_run(tmp_path / "b", task="reaction", rtc=0.25)
    file = b / "evaluation" / "after" / "forward" / "metrics.json"
    file.write_text(file.read_text().replace("[exact]", "of reactions"))
    assert main(["runs", "compare", str(a), str(b)]) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if "round trip" in line]
    assert rows == [
        "forward: round trip [exact] 50.0% +10.0 [+5.0, +15.0] - -",
        "forward: round trip of reactions - - 25.0% +10.0 [+5.0, +15.0]",
    ]


def test_runs_are_listed_with_the_newest_last_and_broken_ones_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for age, name in ((100, "new"), (200, "old")):
        for file in make_run(tmp_path / "group" / name).glob("*.json*"):
            os.utime(file, (file.stat().st_mtime - age,) * 2)
    (make_run(tmp_path / "broken") / "state.json").write_text("{")
    assert main(["runs", "--in", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert out.index("group/old") < out.index("group/new")
    assert "50.0% (+10.0)" in out
    assert "broken" in err and "broken" not in out
    assert main(["runs", "--in", str(tmp_path), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [Path(run["path"]).name for run in listed] == ["old", "new"]
    assert listed[0]["metrics"] == {"forward rtc": 0.5}


def test_compare_shows_where_configs_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = make_run(tmp_path / "a", rewards={"likelihood": 1.0})
    b = make_run(tmp_path / "b", rewards={"likelihood": {"weight": 1.0, "form": "log"}}, rtc=0.625, finished=False)
    assert main(["runs", "compare", str(a), str(b)]) == 0
    out = capsys.readouterr().out
    assert "rewards.likelihood.form" in out and "rewards.likelihood.weight" not in out
    assert "50.0%" in out and "62.5%" in out and "round trip [exact]" in " ".join(out.split())
    assert main(["runs", "compare", str(a), str(b), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"] == {"rewards.likelihood.form": ["probability", "log"]}


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param({"x": {"y": 1}}, {"x": {"y": 1}}, {}, id="equal"),
        pytest.param({"x": {"y": 1}}, {"x": {"y": 2}}, {"x.y": (1, 2)}, id="another value"),
        pytest.param({"x": None}, {"x": {"y": 2}}, {"x.y": (None, 2)}, id="a section more"),
        pytest.param({"output_dir": "a"}, {"output_dir": "b"}, {}, id="where it was written does not count"),
    ],
)
def test_config_differences(a: Any, b: Any, expected: Any) -> None:
    assert config_differences(a, b) == expected


@pytest.mark.parametrize(
    ("file", "content"),
    [
        pytest.param("state.json", None, id="no state"),
        pytest.param("state.json", "[]", id="a state of another kind"),
        pytest.param("config.yaml", "task: naming", id="half a config"),
        pytest.param("evaluation/after/forward/metrics.json", "{}", id="metrics without metrics"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(
    tmp_path: Path, file: str, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_run(tmp_path / "a")
    if content is None:
        (path / file).unlink()
    else:
        (path / file).write_text(content)
    with pytest.raises(RunFolderError, match="run"):
        read_run(path)
    assert main(["runs", "compare", str(path), str(path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    ("call", "status", "message"),
    [
        pytest.param(["runs", "--in", "nowhere"], 2, "no folder 'nowhere'", id="no folder"),
        pytest.param(["runs", "compare", "a", "b"], 2, "'a' is no run folder", id="no run"),
        pytest.param(["runs", "compare", "a"], 2, "Missing argument", id="one run"),
    ],
)
def test_wrong_calls(call: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(call) == status
    assert message in capsys.readouterr().err


def test_an_empty_folder_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--in", str(tmp_path)]) == 0
    assert "no runs" in capsys.readouterr().err
