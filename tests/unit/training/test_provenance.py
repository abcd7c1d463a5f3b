"""What a run depends on, and when one that is resumed is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rtrl_chem.config import Config, config_from_mapping
from rtrl_chem.errors import ResumeError
from rtrl_chem.training.provenance import Change, changes, environment, fingerprints, refuse

EXAMPLE = Path(__file__).parents[3] / "configs" / "tasks" / "example_task.yaml"


def make_config(**changes: Any) -> Config:
    raw = {
        "task": "naming",
        "model": {"path": "unused"},
        "data": {"molecules": "unused.smi"},
        "steps_per_phase": 2,
        "output_dir": "runs/one",
    }
    return config_from_mapping(raw | changes)


def found(before: Config, now: Config, **other: Any) -> list[str]:
    contents = other.get("contents", ({}, {}))
    environments = other.get("environments", ({}, {}))
    return [str(one) for one in changes((before, now), contents, environments)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"seed": 1}, ["seed 0 (now 1)"], id="top level"),
        pytest.param({"trainer": {"beta": 0.1}}, ["trainer.beta None (now 0.1)"], id="a key that was not there"),
        pytest.param({"output_dir": "runs/two"}, [], id="a folder that was moved"),
    ],
)
def test_a_changed_config_is_shown_with_both_values(changed: dict[str, Any], said: list[str]) -> None:
    assert found(make_config(), make_config(**changed)) == said


def test_other_contents_versions_and_processes_are_changes(tmp_path: Path) -> None:
    config = make_config(data={"molecules": str(tmp_path / "my.smi")}, model={"path": str(tmp_path / "model")})
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"a")
    (tmp_path / "my.smi").write_text("CCO\n")
    before = fingerprints(config)
    assert before.keys() == {"data.molecules", "model.path"}
    (tmp_path / "my.smi").write_text("CCN\n")
    environments = (
        {"packages": {"torch": "1.0", "trl": "2"}, "processes": 2},
        {"packages": {"torch": "1.1", "trl": "2"}},
    )
    assert found(config, config, contents=(before, fingerprints(config)), environments=environments) == [
        "data.molecules with other contents (now changed)",
        "packages.torch 1.0 (now 1.1)",
        "processes 2 (now 1)",
    ]


def test_a_task_and_a_reward_of_the_users_own_are_told_apart_by_their_contents(tmp_path: Path) -> None:
    task = tmp_path / "my.yaml"
    task.write_text(EXAMPLE.read_text())
    (tmp_path / "shorter.py").write_text("def shorter(outputs): return [0.0] * len(outputs)\n")
    rewards = {"likelihood": 1.0, "shorter": {"weight": 1.0, "file": str(tmp_path / "shorter.py")}}
    config = make_config(task=str(task), rewards=rewards)
    before = fingerprints(config)
    assert before.keys() == {"task", "rewards.shorter.file"}
    for path in (task, tmp_path / "shorter.py"):
        path.write_text(path.read_text() + "# other\n")
    assert found(config, config, contents=(before, fingerprints(config))) == [
        "rewards.shorter.file with other contents (now changed)",
        "task with other contents (now changed)",
    ]


def test_a_large_file_is_told_apart_by_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtrl_chem.training.provenance.WHOLE", 10)
    monkeypatch.setattr("rtrl_chem.training.provenance.PIECE", 4)
    monkeypatch.setattr("rtrl_chem.training.provenance.PIECES", 5)
    config = make_config(data={"molecules": str(tmp_path / "my.smi")})
    prints = []
    for last in ("a", "b"):
        (tmp_path / "my.smi").write_text("C" * 99 + last)
        prints.append(fingerprints(config)["data.molecules"])
    assert prints[0] != prints[1]


def test_nothing_changed_when_nothing_did() -> None:
    assert changes((make_config(), make_config()), ({}, {}), (environment(), environment())) == []


def test_a_change_is_refused_with_the_flag_that_allows_it() -> None:
    change = Change("rewards.format.weight", "0.0", "0.2")
    with pytest.raises(
        ResumeError, match=r"rewards.format.weight 0.0 \(now 0.2\).*--allow-changed rewards.format.weight$"
    ):
        refuse([change], ["rewards.likelihood"], begun=True)
    for allowed in ("rewards", "rewards.format.weight"):
        assert not refuse([change], [allowed], begun=True), "the phase begins anew"


def test_what_finished_steps_were_made_of_cannot_change() -> None:
    change = Change("steps_per_phase", "2", "4")
    with pytest.raises(ResumeError, match="restore it or start a new run"):
        refuse([change], ["steps_per_phase"], begun=True)
    assert not refuse([change], ["steps_per_phase"], begun=False)


@pytest.mark.parametrize("key", ["packages.torch", "evaluation.size", "rounds"])
def test_a_phase_goes_on_where_it_was_after_a_change_beside_it(key: str) -> None:
    assert refuse([Change(key, "a", "b")], [key.split(".")[0]], begun=True)
