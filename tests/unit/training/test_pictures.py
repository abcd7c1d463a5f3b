"""Images of what the policy writes: when, of which pairs, and never at the price of the run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from rtrl_chem.rewards.compose import Judged
from rtrl_chem.rewards.verdict import Verdict
from rtrl_chem.tasks import NAMING, Direction
from rtrl_chem.training import pictures
from rtrl_chem.training.pictures import Pictures
from rtrl_chem.training.run_folder import RunFolder


def judged(source: str, output: str) -> Judged:
    return Judged(Direction.FORWARD, source, output, output, None, 0.5, Verdict.OK, "", {})


def make_reward(*samples: Judged) -> Any:
    return SimpleNamespace(latest=list(samples), direction=Direction.FORWARD, codec=SimpleNamespace(task=NAMING))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def test_a_few_pairs_are_drawn_every_so_many_steps(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, told = [], []
    real = pictures.draw_pairs
    monkeypatch.setattr(pictures, "draw_pairs", lambda pairs: seen.append(pairs) or real(pairs))
    folder.watchers.append(SimpleNamespace(image=lambda *given: told.append(given)))  # type: ignore[arg-type]
    sources = ["C" * n for n in range(1, 9)]
    reward = make_reward(*(judged(x, y) for x in sources for y in ("first", "second")))
    drawing = Pictures(folder, [reward], 3, pytest.fail)
    for step in range(1, 7):
        drawing.draw(step, "forward")
    assert [(step, way, png.name) for step, way, png in told] == [
        (3, "forward", "step-3.png"),
        (6, "forward", "step-6.png"),
    ]
    assert [(one.source, one.output, one.caption) for one in seen[0]] == [
        (x, "first", "OK, reward 0.500") for x in sources[: pictures.PAIRS]
    ]
    assert Image.open(folder.path / "images" / "step-3.png").size[0] > 500


@pytest.mark.parametrize("rewards", [[], [make_reward()]], ids=["sft", "nothing judged yet"])
def test_without_samples_there_is_no_image(folder: RunFolder, rewards: list[Any]) -> None:
    Pictures(folder, rewards, 1, pytest.fail).draw(1, "forward")
    Pictures(folder, [make_reward(judged("C", "x"))], 0, pytest.fail).draw(1, "forward")
    assert not (folder.path / "images").exists()


def test_what_fails_is_said_once(folder: RunFolder) -> None:
    (folder.path / "images").touch()  # a file where the folder should be
    warnings: list[str] = []
    drawing = Pictures(folder, [make_reward(judged("C", "x"))], 1, warnings.append)
    drawing.draw(1, "forward")
    drawing.draw(2, "forward")
    assert len(warnings) == 1
