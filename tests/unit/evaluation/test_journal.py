from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtrl_chem.evaluation.journal import Journal
from rtrl_chem.models.codec import Answer
from rtrl_chem.models.generate import generate
from rtrl_chem.tasks import Direction

MOLECULES = ["CCO", "CC(=O)Oc1ccccc1C(=O)O", "C", "CC(C)CCO", "CCN(CC)CC", "O=C(O)c1ccccc1", "C1CCCCC1"]
ANSWERS = [[Answer("methanol", " methanol", 3, truncated=False)], [Answer("\ud800", "", 0, truncated=True)]]


def test_batches_come_back_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    Journal(path, "key").stage("forward", ["C", "CO"]).put(0, ANSWERS)
    again = Journal(path, "key")
    assert again.stage("forward", ["C", "CO"]).get(0) == ANSWERS
    assert again.stage("forward", ["C", "CO"]).get(1) is None
    assert again.stage("forward", ["C", "CC"]).get(0) is None, "other sources"
    assert again.stage("reverse", ["C", "CO"]).get(0) is None, "another direction"
    again.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_journal_of_something_else_is_started_anew(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    Journal(path, "key").stage("forward", ["C"]).put(0, ANSWERS)
    assert Journal(path, "another").stage("forward", ["C"]).get(0) is None
    assert Journal(path, "key").stage("forward", ["C"]).get(0) is None


@pytest.mark.parametrize("cut", [1, 30])
def test_a_line_that_a_kill_cut_off_is_dropped_and_the_rest_kept(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "answers.jsonl"
    stage = Journal(path, "key").stage("forward", ["C"])
    stage.put(0, ANSWERS)
    stage.put(1, ANSWERS)
    path.write_bytes(path.read_bytes()[:-cut])
    again = Journal(path, "key").stage("forward", ["C"])
    assert again.get(0) == ANSWERS
    assert again.get(1) is None
    again.put(1, ANSWERS)
    assert Journal(path, "key").stage("forward", ["C"]).get(1) == ANSWERS


@pytest.mark.parametrize("sampling", [{}, {"num_samples": 3, "temperature": 1.0, "seed": 4}])
def test_an_interrupted_generation_ends_as_an_uninterrupted_one(
    make_policy: Callable[..., Any], tmp_path: Path, sampling: dict[str, Any]
) -> None:
    policy = make_policy()

    def write(memory: Any = None) -> list[list[Answer]]:
        options = {"max_new_tokens": 12, "max_batch_tokens": 90, "memory": memory} | sampling
        return generate(policy.model, policy.codec, Direction.FORWARD, MOLECULES, **options)

    class Killed(Exception):
        pass

    def stage(stop_at: int | None = None) -> Any:
        found = Journal(tmp_path / "answers.jsonl", "key").stage("forward", MOLECULES)
        put = found.put

        def counted(batch: int, groups: list[list[Answer]]) -> None:
            if batch == stop_at:
                raise Killed
            put(batch, groups)

        found.put = counted  # type: ignore[method-assign]
        return found

    with pytest.raises(Killed):
        write(stage(stop_at=2))
    remembered = stage()
    assert remembered.get(1) is not None and remembered.get(2) is None
    assert write(remembered) == write()
