"""Where the time of a step goes, and what the reverse model remembered: read between two lines of the log."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from rtrl_chem.rewards.compose import RoundTripReward

__all__ = ["Meter"]


class Meter:
    """Measures from one `read` to the next, in this process. `rewards` are those of the phase, none for SFT; `tokens`
    is their number so far, None where that is not known."""

    def __init__(self, rewards: Iterable[RoundTripReward] = (), tokens: float | None = 0.0) -> None:
        self._rewards = list(rewards)
        self._watches = list({id(one.stopwatch): one.stopwatch for one in self._rewards}.values())
        self._since = self._totals(tokens)

    def read(self, steps: int, tokens: float | None = None) -> dict[str, float]:
        """Seconds of each of the optimizer steps since the last call, on average: `time/step`, and of it
        `time/rollout`, `time/reverse` (the reverse model), `time/chemistry` (verdicts and the rest of the rewards) and
        `time/update` (all else).

        With `tokens`, the phase's sum of prompt and answer tokens so far: `time/tokens_per_second`. Where the reverse
        model was asked: `reverse_model/remembered`, the share of the questions that it had answered before.
        """
        now = self._totals(tokens)
        new = {key: value - self._since[key] for key, value in now.items()}  # NaN for what is not known
        self._since = now
        if not steps:
            return {}
        found = {"time/step": new["seconds"] / steps}
        if self._rewards:
            chemistry = new["judging"] - new["reverse"]
            parts = {"rollout": new["rollout"], "reverse": new["reverse"], "chemistry": chemistry}
            parts["update"] = new["seconds"] - new["rollout"] - new["judging"]
            found |= {f"time/{part}": seconds / steps for part, seconds in parts.items()}
        if new["tokens"] >= 0 and tokens is not None and new["seconds"] > 0:
            found["time/tokens_per_second"] = new["tokens"] / new["seconds"]
        counts = [one.reverse.counts() for one in self._rewards]
        if requests := sum(count for count, _ in counts):
            found["reverse_model/remembered"] = 1 - sum(scored for _, scored in counts) / requests
        return found

    def _totals(self, tokens: float | None = None) -> dict[str, float]:
        """What has been counted so far."""
        # The stopwatch books the reverse model's time under the terms that ask it: it is a part of `judging`.
        parts = [part for one in self._watches for part in one.seconds.items()]
        reverse = [one.reverse for one in self._rewards]
        return {
            "seconds": time.perf_counter(),
            "tokens": math.nan if tokens is None else tokens,
            "rollout": sum(seconds for part, seconds in parts if part == "rollout"),
            "judging": sum(seconds for part, seconds in parts if part != "rollout"),
            "reverse": sum(one.seconds for one in reverse),
        }
