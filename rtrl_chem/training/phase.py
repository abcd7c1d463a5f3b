"""What a phase is, which phases a config asks for, and what comes out of one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from rtrl_chem.config import Config
from rtrl_chem.data.order import draw
from rtrl_chem.data.pool import Pool
from rtrl_chem.tasks.base import Direction

__all__ = ["Kind", "Phase", "PhaseResult", "derive_seed", "next_sources", "plan"]

BOTH = (Direction.FORWARD, Direction.REVERSE)


class Kind(str, Enum):
    """How a phase learns."""

    RL = "rl"  # from rewards, by the config's algorithm
    SFT = "sft"  # from labelled pairs
    SYNTHETIC = "synthetic"  # from pairs that the policy or a rule made

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Phase:
    """One or both directions trained for `steps` optimizer steps against one snapshot.

    `round` is None before the first round (a warm-up). `turn` counts the earlier phases of this kind and direction;
    `first_step` is where the phase begins on the run's step axis.
    """

    index: int
    round: int | None
    directions: tuple[Direction, ...]
    turn: int
    steps: int
    first_step: int
    seed: int
    kind: Kind = Kind.RL

    @property
    def direction(self) -> Direction:
        """The direction of a phase that has one; of both, see `along`. ValueError if it has two."""
        (only,) = self.directions
        return only

    @property
    def way(self) -> str:
        """forward, reverse, or joint where both are trained at once."""
        return str(self.directions[0]) if len(self.directions) == 1 else "joint"

    @property
    def stage(self) -> str:
        """What is measured as a whole when its last phase is done: round-00, ...; warm-up before them."""
        return "warm-up" if self.round is None else f"round-{self.round:02d}"

    @property
    def round_name(self) -> str:
        """The number of the round as a user counts, from 1; "warm-up" before the first."""
        return "warm-up" if self.round is None else str(self.round + 1)

    def along(self, direction: Direction) -> Phase:
        """One direction of this phase."""
        seed = self.seed if self.directions == (direction,) else derive_seed(self.seed, direction)
        return replace(self, directions=(direction,), seed=seed)

    def folder(self, run: Path) -> Path:
        """rounds/00-forward, ..., rounds/warm-up."""
        if self.round is not None:
            return run / "rounds" / f"{self.round:02d}-{self.way}"
        return run / "rounds" / ("warm-up" if len(self.directions) == 2 else f"warm-up-{self.way}")


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
    """Every phase of a run in order: a warm-up where the config asks for one, then round by round."""
    phases: list[Phase] = []
    first_step = 0
    for phase in _phases(config):
        phases.append(replace(phase, index=len(phases), first_step=first_step))
        first_step += phase.steps
    return phases


def _phases(config: Config) -> Iterator[Phase]:
    """The phases in order, without their places on the run's axes."""
    together = config.models == "shared"
    if steps := config.warm_up_steps:
        for way in [BOTH] if together else [(direction,) for direction in BOTH]:
            words = ("warm-up",) if together else ("warm-up", *way)
            yield Phase(0, None, way, 0, steps, 0, derive_seed(config.seed, *words), Kind.SFT)
    for number in range(config.rounds):
        if config.schedule == "joint":
            yield from _turns(config, number, config.directions)
        else:
            for direction in config.directions:
                yield from _turns(config, number, (direction,))


def _turns(config: Config, number: int, directions: tuple[Direction, ...]) -> Iterator[Phase]:
    """What one or both directions do in a round: learn from pairs that the policy makes, then what all runs do."""
    steps = config.steps_per_phase
    for direction in directions:
        if direction in config.synthetic_directions:
            seed = derive_seed(config.seed, number, direction, Kind.SYNTHETIC)
            own = config.synthetic.steps or steps
            yield Phase(0, number, (direction,), number, own, 0, seed, Kind.SYNTHETIC)
    if config.trains_by_algorithm:
        seed = derive_seed(config.seed, number, directions[0] if len(directions) == 1 else "joint")
        kind = Kind.SFT if config.algorithm == "sft" else Kind.RL
        yield Phase(0, number, directions, number, steps, 0, seed, kind)


def next_sources(pool: Pool[Any], count: int, turn: int, seed: int, turns: int | None = None) -> list[Any]:
    """`count` sources for the `turn`-th phase of a direction: the run walks through one shuffle of the pool after
    another, so no source comes twice before all have come once. With `turns`, the number of such phases in the run,
    what they take together comes in order of length (`data.curriculum`)."""
    return draw(pool, turn * count, count, seed, None if turns is None else turns * count)
