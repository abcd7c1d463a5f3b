"""One model for both directions, one base with an adapter for each, or two models: which writes, which scores.

    with policy.along(direction) as one:      # a Policy whose model writes in that direction
        answers = generate(one.model, one.codec, direction, ...)

Who generates, trains or saves asks for a direction and need not know the arrangement.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtrl_chem.models.codec import Codec
from rtrl_chem.models.snapshot import (
    AdapterSlot,
    AdapterSnapshot,
    FrozenModel,
    ModuleSnapshot,
    Snapshot,
    take_snapshot,
)
from rtrl_chem.models.value_head import ValueHead
from rtrl_chem.tasks import Direction

__all__ = ["Current", "Judge", "Policy", "TwoAdapters", "TwoModels"]


@dataclass(frozen=True)
class Judge:
    """What scores a phase's answers: a frozen model and the codec that speaks its format."""

    snapshot: Snapshot
    codec: Codec


@dataclass
class Policy:
    """The model in training with the codec that speaks its format, and PPO's value heads by name.

    This one writes in both directions, and a frozen copy of it judges.
    """

    model: Any
    codec: Codec
    value_heads: dict[str, ValueHead] = field(default_factory=dict)
    _snapshot: ModuleSnapshot | AdapterSnapshot | None = field(default=None, repr=False)

    @property
    def tokenizer(self) -> Any:
        """The codec's tokenizer."""
        return self.codec.tokenizer

    @contextmanager
    def along(self, direction: Direction) -> Iterator[Policy]:
        """The policy that writes in a direction, ready to generate and to be trained inside."""
        yield self

    def codec_along(self, direction: Direction) -> Codec:
        """The codec of the model that writes in a direction."""
        return self.codec

    def judge(self, direction: Direction) -> Judge:
        """What scores the answers of a phase in this direction, frozen as it is now. To be asked for, and used, inside
        `along(direction)`; the next call may move an earlier judge on."""
        return Judge(self._copy(), self.codec)

    def start(self, direction: Direction, copy: bool) -> Snapshot | None:
        """The policy of a direction as it is now, to measure the distance from; None where that takes a copy of a whole
        model and `copy` is not asked for. To be used as `judge` is."""
        return self._copy()

    def folders(self, folder: Path) -> dict[Direction, Path]:
        """Where the model of each direction is saved in a folder; one direction stands for both here."""
        return {Direction.FORWARD: folder}

    def _copy(self) -> ModuleSnapshot | AdapterSnapshot:
        if self._snapshot is None:
            self._snapshot = take_snapshot(self.model)
        else:
            self._snapshot.refresh(self.model)
        return self._snapshot


class Current:
    """The policy of a direction as it is whenever it is asked, in the place of a snapshot."""

    def __init__(self, policy: Policy, direction: Direction) -> None:
        self.policy = policy
        self.direction = direction

    @contextmanager
    def active(self) -> Iterator[Any]:
        """The model that writes in the direction, in evaluation mode."""
        with self.policy.along(self.direction) as one, FrozenModel(one.model).active() as model:
            yield model


@dataclass
class TwoAdapters(Policy):
    """One base with an adapter for each direction. The one that is needed is live, the other beside it is frozen and
    judges; they change places."""

    live: Direction = Direction.FORWARD

    def __post_init__(self) -> None:
        self.other = AdapterSlot(self.model)

    @contextmanager
    def along(self, direction: Direction) -> Iterator[Policy]:
        """The model with the direction's adapter live; afterwards the one that was."""
        before = self.live
        self._bring(direction)
        try:
            yield self
        finally:
            self._bring(before)

    def judge(self, direction: Direction) -> Judge:
        """The other direction's adapter. No copy is made."""
        if direction is not self.live:
            raise ValueError(f"the {direction} adapter is not live: its judge is to be asked for inside along()")
        return Judge(self.other, self.codec)

    def start(self, direction: Direction, copy: bool) -> Snapshot | None:
        """A third adapter with a copy of the live one."""
        return AdapterSnapshot(self.model, "start")

    def folders(self, folder: Path) -> dict[Direction, Path]:
        """forward/ and reverse/."""
        return {direction: folder / str(direction) for direction in Direction}

    def _bring(self, direction: Direction) -> None:
        if direction is not self.live:
            self.other.swap()
            self.live = direction


class TwoModels(Policy):
    """A model for each direction, each with its own codec. The one that is not being trained judges."""

    def __init__(self, sides: dict[Direction, Policy], value_heads: dict[str, ValueHead] | None = None) -> None:
        forward = sides[Direction.FORWARD]
        super().__init__(forward.model, forward.codec, value_heads if value_heads is not None else {})
        self.sides = {way: Policy(side.model, side.codec, self.value_heads) for way, side in sides.items()}

    @contextmanager
    def along(self, direction: Direction) -> Iterator[Policy]:
        """The direction's own model."""
        yield self.sides[direction]

    def codec_along(self, direction: Direction) -> Codec:
        """The codec of the direction's own model."""
        return self.sides[direction].codec

    def judge(self, direction: Direction) -> Judge:
        """The other model, as it is. No copy is made."""
        other = self.sides[direction.opposite]
        return Judge(FrozenModel(other.model), other.codec)

    def start(self, direction: Direction, copy: bool) -> Snapshot | None:
        """A copy of the direction's model, where one is asked for or an adapter is all there is to copy."""
        side = self.sides[direction]
        return side.start(direction, copy) if copy or hasattr(side.model, "peft_config") else None

    def folders(self, folder: Path) -> dict[Direction, Path]:
        """forward/ and reverse/."""
        return {direction: folder / str(direction) for direction in Direction}
