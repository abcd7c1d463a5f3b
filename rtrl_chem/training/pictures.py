"""Every so many steps, what the policy writes as an image: OUTPUT_DIR/images/step-N.png."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import islice
from typing import TYPE_CHECKING

from rtrl_chem.reporting.pair_images import DrawnPair, draw_pairs
from rtrl_chem.rewards.compose import Judged, RoundTripReward

if TYPE_CHECKING:
    from rtrl_chem.training.run_folder import RunFolder

__all__ = ["PAIRS", "Pictures"]

PAIRS = 6


class Pictures:
    """Draws a few of the pairs that the rewards judged last, every `every` steps (0: never), and tells those who watch
    the folder. Of each of the first sources one sample: as random as the policy's own choice.

    What models write is not to be trusted, and an image is not worth a run: where drawing fails, `warn` gets a line,
    and no more images are drawn.
    """

    def __init__(
        self, folder: RunFolder, rewards: Collection[RoundTripReward], every: int, warn: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._rewards = rewards
        self._every = every
        self._warn = warn

    def draw(self, step: int, way: str) -> None:
        """Draw if it is time to; `step` counts over the whole run."""
        if not self._every or step % self._every:
            return
        pairs = [pair for reward in self._rewards for pair in self._pairs(reward)]
        if not pairs:
            return
        path = self._folder.path / "images" / f"step-{step}.png"
        try:
            path.parent.mkdir(exist_ok=True)
            draw_pairs(pairs).save(path, compress_level=1)
        except Exception as error:
            self._every = 0
            self._warn(f"no images are drawn any more ({type(error).__name__}: {error})")
            return
        for watcher in self._folder.watchers:
            watcher.image(step, way, path)

    def _pairs(self, reward: RoundTripReward) -> list[DrawnPair]:
        firsts: dict[str, Judged] = {}
        for one in reward.latest:
            firsts.setdefault(one.source, one)
        task, way = reward.codec.task, reward.direction
        structures = (task.source(way).is_structure, task.output(way).is_structure)
        few = islice(firsts.values(), max(1, PAIRS // len(self._rewards)))
        return [
            DrawnPair(one.source, one.output, *structures, f"{one.verdict}, reward {one.reward:.3f}") for one in few
        ]
