"""One on-policy phase of any algorithm on a tiny model, with a reward that is a plain function of token ids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtrl_chem.config import Config, config_from_mapping
from rtrl_chem.rewards.compose import RoundTripReward, Stopwatch
from rtrl_chem.tasks import Direction
from rtrl_chem.training.arguments import grpo_arguments, sources_per_phase
from rtrl_chem.training.grpo import run_grpo
from rtrl_chem.training.phase import plan

SMALL = {"max_completion_length": 6, "per_device_train_batch_size": 8, "num_generations": 4, "learning_rate": 1e-3}
SOURCES = ["CCO", "CCC", "CCN", "CC", "C", "CCCO", "c1ccccc1", "CC(=O)O"]

Of = Callable[[list[int], str], "float | None"]


class Reward(RoundTripReward):
    """A reward without models: `of(ids, source)` for each completion, None for one that cannot be judged."""

    def __init__(self, of: Of) -> None:
        self.of = of
        self.direction = Direction.FORWARD
        self.stopwatch = Stopwatch()

    def drain(self) -> list[Any]:
        return []

    def __call__(self, *, completion_ids: list[list[int]], source: list[str], **trl: Any) -> list[float | None]:
        return [self.of(ids, x) for ids, x in zip(completion_ids, source, strict=True)]


def make_config(algorithm: str, steps: int = 1, ppo: dict[str, Any] | None = None, **trainer: Any) -> Config:
    raw = {
        "task": "naming",
        "model": {"path": "unused"},
        "data": {"molecules": "unused.smi"},
        "algorithm": algorithm,
        "trainer": SMALL | trainer,
        "steps_per_phase": steps,
        "output_dir": "unused",
    }
    return config_from_mapping(raw | ({"ppo": ppo} if ppo is not None else {}))


@pytest.fixture
def run_phase(tmp_path: Path, light_collections: None) -> Callable[..., Any]:
    """`run_phase(policy, of, "ppo", steps=2, ppo={...}, start=..., callbacks=[...], **trainer)`: trains in place."""

    def run(
        policy: Any,
        of: Of,
        algorithm: str = "grpo",
        *,
        steps: int = 1,
        ppo: dict[str, Any] | None = None,
        callbacks: Any = (),
        options: dict[str, Any] | None = None,
        **trainer: Any,
    ) -> Any:
        config = make_config(algorithm, steps, ppo, **trainer)
        arguments = grpo_arguments(config, plan(config)[0], tmp_path)
        count = sources_per_phase(arguments)
        sources = (SOURCES * count)[:count]
        return run_grpo(policy, Reward(of), arguments, sources, list(callbacks), **(options or {}))

    return run


@pytest.fixture
def logs() -> Any:
    """A callback that keeps what a trainer logs, in `rows`."""
    from transformers import TrainerCallback

    class Logs(TrainerCallback):
        def __init__(self) -> None:
            self.rows: list[dict[str, float]] = []

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if "loss" in logs:
                self.rows.append(dict(logs))

    return Logs()
