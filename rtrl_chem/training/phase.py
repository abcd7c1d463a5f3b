"""What a phase is, and what comes out of one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtrl_chem.config import Config
from rtrl_chem.data.order import draw
from rtrl_chem.data.pool import Pool
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


def next_sources(pool: Pool[Any], count: int, turn: int, seed: int, turns: int | None = None) -> list[Any]:
    """`count` sources for the `turn`-th phase of a direction: the run walks through one shuffle of the pool after
    another, so no source comes twice before all have come once. With `turns`, the number of such phases in the run,
    what they take together comes in order of length (`data.curriculum`)."""
    return draw(pool, turn * count, count, seed, None if turns is None else turns * count)
