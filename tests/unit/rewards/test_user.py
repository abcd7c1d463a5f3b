"""Rewards of the user's own, and what is said when one fails."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rtrl_chem.errors import RewardError
from rtrl_chem.rewards import options as options_module
from rtrl_chem.rewards import user
from rtrl_chem.rewards.options import UserReward
from rtrl_chem.rewards.user import UserTerm, user_term

XS, YS = ["CCO", "CCO", "C"], ["ethanol", "bad", "methane"]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        pytest.param(lambda batch: [len(y) for y in batch.outputs], [7.0, 3.0, 7.0], id="whole numbers"),
        pytest.param(lambda batch: (y == "bad" for y in batch.outputs), [0.0, 1.0, 0.0], id="flags, one by one"),
        pytest.param(lambda batch: np.arange(len(batch)) / 2, [0.0, 0.5, 1.0], id="an array"),
        pytest.param(lambda batch: torch.arange(len(batch)), [0.0, 1.0, 2.0], id="a tensor"),
        pytest.param(lambda batch: [None if x == "C" else 1 for x in batch.sources], [1.0, 1.0, None], id="left out"),
    ],
)
def test_whatever_is_a_number_for_each_sample_is_taken(
    make_batch: Any, function: Callable[..., Any], expected: list[float | None]
) -> None:
    assert UserTerm("mine", function)(make_batch(XS, YS)) == expected


def raises(batch: Any) -> list[float]:
    if "bad" in batch.outputs:
        raise KeyError("no such thing\nas this")
    return [0.0] * len(batch)


def raises_together(batch: Any) -> list[float]:
    if len(batch) > 1:
        raise ValueError
    return [0.0]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        pytest.param(raises, "failed on x='CCO', y='bad': KeyError: 'no such thing", id="raises on a sample"),
        pytest.param(
            raises_together, "on 3 samples together, though on none alone; the first is x='CCO'", id="together"
        ),
        pytest.param(lambda batch: None, "failed on x='CCO', y='ethanol': TypeError", id="gives nothing"),
        pytest.param(lambda batch: [1.0], "gave 1 values for 3 samples", id="too few"),
        pytest.param(lambda batch: [1.0] * 4, "gave 4 values for 3 samples", id="too many"),
        pytest.param(lambda batch: [0, float("nan"), 0], "gave nan for x='CCO', y='bad'", id="NaN"),
        pytest.param(lambda batch: [0, 0, float("inf")], "gave inf for x='C', y='methane'", id="infinite"),
        pytest.param(lambda batch: ["1"] * 3, "gave '1' for x='CCO', y='ethanol'; must be a finite number", id="text"),
        pytest.param(lambda batch: [[1]] * 3, "gave [1] for", id="lists"),
        pytest.param(lambda batch: [0, -2, 0], "less than its floor 0, which an empty", id="below the floor"),
        pytest.param(lambda batch: [1, None, 1], "leaves out some outputs of one source", id="leaves out a bad y"),
    ],
)
def test_a_failure_names_the_reward_and_the_sample_on_one_line(
    make_batch: Any, function: Callable[..., Any], said: str
) -> None:
    with pytest.raises(RewardError) as caught:
        UserTerm("mine", function)(make_batch(XS, YS))
    assert str(caught.value).startswith("reward 'mine' ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 1


def test_a_long_sample_is_shown_in_part(make_batch: Any) -> None:
    with pytest.raises(RewardError) as caught:
        UserTerm("mine", raises)(make_batch(["C" * 5_000], ["bad"]))
    assert len(str(caught.value)) < 300


# ---- where they come from -------------------------------------------------------------------------------------------

FILE = """
def short(batch, limit=50, *, scale=1.0):
    return [scale * (len(y) <= limit) for y in batch.outputs]

class counts:
    needs_target = True
    def __init__(self, letter):
        self.letter = letter
    def __call__(self, batch):
        return [y.count(self.letter) for y in batch.outputs]

number = 3

def fails_to_be_made(batch): ...

class broken:
    def __init__(self):
        raise OSError("no model here")
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(FILE)
    return str(tmp_path / "mine.py")


def test_a_function_from_a_file_gets_its_options(make_batch: Any, file: str) -> None:
    term = user_term("short", UserReward(file=file, limit=3, scale=2.0))  # type: ignore[call-arg]
    assert (term(make_batch(XS, YS)), term.floor, term.needs_target) == ([0.0, 2.0, 0.0], 0.0, False)


def test_a_class_from_a_file_is_made_from_its_options(make_batch: Any, file: str) -> None:
    term = user_term("counts", UserReward(file=file, floor=-1, letter="a"))  # type: ignore[call-arg]
    assert (term(make_batch(XS, YS)), term.floor, term.needs_target) == ([1.0, 1.0, 1.0], -1.0, True)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        pytest.param("shrt", {}, "defines no shrt; did you mean 'short'?", id="misspelt"),
        pytest.param("short", {"limt": 3}, "its options do not fit short(batch, limit=50, *, scale=1.0)", id="option"),
        pytest.param("counts", {}, "its options do not fit counts(letter)", id="option missing"),
        pytest.param("number", {}, "3 is neither a function nor a class", id="not callable"),
        pytest.param("broken", {}, "cannot be made from its options (OSError: no model here)", id="raises when made"),
    ],
)
def test_a_file_that_does_not_fit_is_one_line(file: str, name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(RewardError) as caught:
        user_term(name, UserReward(file=file, **options))
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"rewards.{name}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "is no Python file", id="missing"),
        pytest.param("import no_such_package", "cannot be run (ModuleNotFoundError: No module", id="import"),
        pytest.param("def broken(:", "cannot be run (SyntaxError", id="syntax"),
    ],
)
def test_a_file_that_cannot_be_run_is_one_line(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "mine.py"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RewardError) as caught:
        user_term("mine", UserReward(file=str(path)))
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


class Point:
    """An installed entry point."""

    value = "their_package:short"

    def __init__(self, found: Any) -> None:
        self.found = found

    def load(self) -> Any:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def test_an_installed_reward_is_found_by_its_name(make_batch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {"short": Point(lambda batch, limit: [float(len(y) < limit) for y in batch.outputs])}
    monkeypatch.setattr(user, "installed_rewards", lambda: points)
    assert user_term("short", UserReward(limit=5))(make_batch(XS, YS)) == [0.0, 1.0, 0.0]  # type: ignore[call-arg]


def test_an_installed_reward_that_cannot_be_imported_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user, "installed_rewards", lambda: {"short": Point(ImportError("no torch\nat all"))})
    with pytest.raises(RewardError, match=r"their_package:short cannot be loaded \(ImportError: no torch\)$"):
        user_term("short", UserReward())


def test_entry_points_are_those_of_the_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As `pip install` of a package with `[project.entry-points."rtrl_chem.rewards"]` leaves them."""
    info = tmp_path / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rtrl_chem.rewards]\nshort = their_package:short\n")
    (tmp_path / "their_package.py").write_text(FILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert options_module.installed_rewards()["short"].value == "their_package:short"
    assert "short" in options_module.reward_names()
    assert user_term("short", UserReward()).name == "short"


def test_the_example_of_the_documentation_works(make_batch: Any, tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "rewards.md").read_text(encoding="utf8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "my_rewards.py").write_text(code)
    term = user_term("short", UserReward(file=str(tmp_path / "my_rewards.py"), limit=4))  # type: ignore[call-arg]
    assert term(make_batch(["C", "CC"], ["abcd", "abcdefgh"])) == [1.0, 0.5]
