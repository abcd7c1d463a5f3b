"""A model without weights: two dictionaries of answers."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from rtrl_chem.config import Config, config_from_mapping
from rtrl_chem.models.codec import Answer
from rtrl_chem.models.reverse import Score
from rtrl_chem.tasks import TASKS, Direction, Task


class FakeModel:
    """Answers from two dictionaries, "" for what it does not know; remembers what it was asked."""

    def __init__(self, forward: dict[str, str], reverse: dict[str, str], truncated: frozenset[str] = frozenset()):
        self.known = {Direction.FORWARD: forward, Direction.REVERSE: reverse}
        self.truncated = truncated
        self.asked: list[tuple[Direction, list[str]]] = []

    def __call__(self, direction: Direction, sources: list[str], advance: Callable[[int], None]) -> list[Answer]:
        self.asked.append((direction, sources))
        advance(len(sources))
        texts = [self.known[direction].get(source, "") for source in sources]
        return [Answer(text, text, len(text), text in self.truncated) for text in texts]


class FakeLikelihood:
    """-1 nat for each character of x, twice as much where y is empty; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Direction, list[str], list[str]]] = []

    def __call__(
        self, direction: Direction, sources: list[str], outputs: list[str], advance: Callable[[int], None]
    ) -> list[Score]:
        self.asked.append((direction, sources, outputs))
        advance(len(set(zip(sources, outputs, strict=True))))
        return [Score(-len(x) * (1.0 if y else 2.0), len(x)) for x, y in zip(sources, outputs, strict=True)]


def make_policy(task: Task) -> Any:
    return SimpleNamespace(codec=SimpleNamespace(task=task))


def make_config(seed: int = 0, **sections: dict[str, Any]) -> Config:
    return config_from_mapping(
        {
            "task": "naming",
            "model": sections.get("model", {"path": "unused"}),
            "data": {"molecules": "unused.smi"} | sections.get("data", {}),
            "evaluation": {"referee": False, "resamples": 500} | sections.get("evaluation", {}),
            "output_dir": "unused",
            "seed": seed,
        }
    )


@pytest.fixture
def naming() -> Task:
    return TASKS["naming"]


@pytest.fixture
def reaction() -> Task:
    return TASKS["reaction"]
