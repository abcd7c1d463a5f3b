"""The two lines that a terminal shows while a phase is trained: how far it is, and what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, variance

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

__all__ = ["Panel", "sparkline", "trend"]

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 16
# A rise counts from this many standard errors of the difference between a phase's first and last third.
SIGNIFICANT = 2.0


@dataclass
class Panel:
    """What is known of the phase that is running; `trips` is the round trip measured last, by direction."""

    title: str
    steps: int
    first_step: int
    total: int
    step: int = 0
    eta: str = ""
    rewards: list[float] = field(default_factory=list)
    trips: dict[str, float] = field(default_factory=dict)

    def worth(self, plain: bool = False) -> str:
        """The second line; `plain` for terminals without Unicode."""
        parts = []
        if self.rewards:
            shape = "" if plain else f" {sparkline(self.rewards)}"
            parts.append(f"reward {self.rewards[-1]:.3f} {_ARROWS[trend(self.rewards)][plain]}{shape}")
        if self.trips:
            parts.append("round trip " + ", ".join(f"{way} {value:.1%}" for way, value in self.trips.items()))
        return "   ".join(parts)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(self.steps, 1), completed=self.step, width=max(10, min(30, options.max_width - 60)))
        of_run = f"run {self.first_step + self.step}/{self.total}"
        words = (f"step {self.step}/{self.steps}", of_run, f"ETA {self.eta or '-:--'}")
        title, *rest = (Text(word, no_wrap=True, overflow="crop") for word in (self.title, *words))
        line.add_row(title, bar, *rest)
        yield line
        yield Text("  " + self.worth(options.ascii_only), no_wrap=True, overflow="crop")


# Rising, level, falling; the second of each for terminals without Unicode.
_ARROWS = {1: ("↗", "+"), 0: ("→", "="), -1: ("↘", "-")}


def trend(values: Sequence[float]) -> int:
    """1 where the last third of the values lies above the first by more than chance would have it, -1 below, else 0.

    >>> trend([0.1, 0.2, 0.1, 0.5, 0.4, 0.6, 0.8, 0.9, 0.8])
    1
    >>> trend([0.5, 0.1, 0.9, 0.3, 0.6, 0.2, 0.7, 0.1, 0.8])
    0
    """
    n = len(values) // 3
    if n < 2:
        return 0
    first, last = values[:n], values[-n:]
    error = ((variance(first) + variance(last)) / n) ** 0.5
    difference = fmean(last) - fmean(first)
    return 0 if abs(difference) <= SIGNIFICANT * error else 1 if difference > 0 else -1


def sparkline(values: Sequence[float], width: int = WIDTH) -> str:
    """The course of the values in at most `width` blocks, from the least of their means to the greatest.

    >>> sparkline([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    '▁▂▃▄▅▆▇█'
    >>> sparkline([0.2] * 100, 4)
    '▁▁▁▁'
    """
    n = min(width, len(values))
    means = [fmean(values[i * len(values) // n : (i + 1) * len(values) // n]) for i in range(n)]
    low, span = min(means, default=0.0), max(means, default=0.0) - min(means, default=0.0)
    return "".join(BLOCKS[round((one - low) / span * (len(BLOCKS) - 1))] if span > 0 else BLOCKS[0] for one in means)
