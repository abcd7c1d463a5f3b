"""What a phase is, and what comes out of one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from rtrl_chem.config import Config
from rtrl_chem.tasks.base import Direction

__all__ = ["Phase", "PhaseResult", "derive_seed", "next_sources", "plan"]


@dataclass(frozen=True)
class Phase:
    """One direction trained for `steps` optimizer steps against one snapshot.

    `turn` counts the earlier phases of this direction; `first_step` is where the phase begins on the run's step axis.
    """

    index: int
    round: int
    direction: Direction
    turn: int
    steps: int
    first_step: int
    seed: int

    def folder(self, run: Path) -> Path:
        """rounds/00-forward, ..."""
        return run / "rounds" / f"{self.round:02d}-{self.direction}"


@dataclass(frozen=True)
class PhaseResult:
    """What a phase did: steps, samples, seconds in all and by part, mean reward of its first and last tenth (None where
    nothing was logged)."""

    steps: int
    samples: int
    seconds: float
    parts: dict[str, float]
    reward_first: float | None
    reward_last: float | None


def derive_seed(base: int, *words: object) -> int:
    """A seed of its own for each purpose. Trainers reseed everything, so equal seeds would draw equal samples."""
    digest = hashlib.sha256("/".join(map(str, (base, *words))).encode()).digest()
    return int.from_bytes(digest[:4], "big") % 2**31


def plan(config: Config) -> list[Phase]:
    """Every phase of a run in order: round by round, each direction in the order the config gives."""
    phases: list[Phase] = []
    for number in range(config.rounds):
        for direction in map(Direction, config.directions):
            index = len(phases)
            seed = derive_seed(config.seed, number, direction)
            phases.append(
                Phase(index, number, direction, number, config.steps_per_phase, index * config.steps_per_phase, seed)
            )
    return phases


Item = TypeVar("Item")


def next_sources(pool: Sequence[Item], count: int, turn: int, seed: int) -> list[Item]:
    """`count` sources for the `turn`-th phase of a direction: the run walks through one shuffle of the pool after
    another, so no source comes twice before all have come once."""
    if not pool:
        raise ValueError("the pool of sources is empty")
    start = turn * count
    wanted: list[Item] = []
    lap, position = divmod(start, len(pool))
    while len(wanted) < count:
        order = np.random.default_rng([seed, lap]).permutation(len(pool))
        taken = order[position : position + count - len(wanted)]
        wanted += [pool[i] for i in taken]
        lap, position = lap + 1, 0
    return wanted
