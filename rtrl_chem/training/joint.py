"""Both directions in one batch: the reward of each row is that of its direction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from accelerate.utils import gather_object

from rtrl_chem.models.processes import processes
from rtrl_chem.rewards.compose import Judged, RoundTripReward, Stopwatch
from rtrl_chem.tasks.base import Direction

__all__ = ["JointReward", "dealt_out"]


class JointReward:
    """The callable TRL asks for rewards where the rows of a batch go different ways; the data set has a `direction`
    column. What is logged is the mean over the rows of the directions that log it, and the mean of each direction under
    its name."""

    __name__ = "round_trip"

    def __init__(self, rewards: Mapping[Direction, RoundTripReward]) -> None:
        self.rewards = dict(rewards)
        self.stopwatch = Stopwatch()
        for reward in self.rewards.values():
            reward.stopwatch = self.stopwatch

    @contextmanager
    def whole(self) -> Iterator[None]:
        """The reverse models with all their weights."""
        with ExitStack() as entered:
            for reward in self.rewards.values():
                entered.enter_context(reward.whole())
            yield

    def drain(self) -> list[Judged]:
        """The samples judged for the trainer since the last call, direction by direction."""
        return [one for reward in self.rewards.values() for one in reward.drain()]

    def __call__(
        self, *, completion_ids: list[list[int]], source: list[str], direction: list[str], **trl: Any
    ) -> list[float | None]:
        """TRL's interface: one reward per completion."""
        columns = {"completion_ids": completion_ids, "source": source, "direction": direction}
        others = {key: value for key, value in trl.items() if key not in _SINKS}
        log_metric: Callable[[str, float], None] | None = trl.get("log_metric")
        logged: dict[str, float] = {}
        summed: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        found: list[float | None] = [None] * len(source)
        everyones = direction if processes().num_processes == 1 else gather_object(direction)
        for way, reward in self.rewards.items():
            rows, share = [i for i, one in enumerate(direction) if one == way], everyones.count(way) / len(everyones)
            if not share:  # with other processes' rows a direction is judged everywhere
                continue
            own: dict[str, float] = {}
            for i, value in zip(rows, reward(**_rows(columns | others, rows), log_metric=own.__setitem__), strict=True):
                found[i] = value
            for name, value in own.items():
                logged[f"{way}/{name}"] = value
                summed[name][0] += value * share
                summed[name][1] += share
        if log_metric:
            for name, value in (logged | {name: total / n for name, (total, n) in summed.items()}).items():
                log_metric(name, value)
        return found


# What TRL hands over to be written to; a direction must not write to it as if its rows were all.
_SINKS = ("log_metric", "log_extra")


def _rows(columns: Mapping[str, Any], rows: list[int]) -> dict[str, Any]:
    """Some rows of each column; what is no column stays as it is."""
    n = len(columns["source"])
    return {
        name: [values[i] for i in rows] if isinstance(values, list) and len(values) == n else values
        for name, values in columns.items()
    }


def dealt_out(count: int, directions: tuple[Direction, ...]) -> list[Direction]:
    """The direction of each of `count` sources, in turns: every batch of two or more has both."""
    return [directions[i % len(directions)] for i in range(count)]
