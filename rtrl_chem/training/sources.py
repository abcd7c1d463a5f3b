"""Where the sources of a phase come from: a corpus, or the policy itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rtrl_chem.config import Config
from rtrl_chem.errors import CorpusError
from rtrl_chem.evaluation.held_out import TrainingItems
from rtrl_chem.models.generate import generate
from rtrl_chem.models.policy import Policy
from rtrl_chem.rewards.verdict import Verdict, judge_batch
from rtrl_chem.tasks.base import Direction
from rtrl_chem.training.phase import Phase, derive_seed, next_sources

__all__ = ["Sources", "sources_for"]


@dataclass(frozen=True)
class Sources:
    """The sources of a phase and one line for the log about where they come from."""

    items: list[str]
    origin: str


def sources_for(
    policy: Policy, config: Config, items: TrainingItems, phase: Phase, count: int, on_progress: Callable[[int], None]
) -> Sources:
    """`count` sources for a phase: of the user's corpus of that domain if there is one, else written by the policy in
    the opposite direction from the corpus of the other domain."""
    seed = derive_seed(config.seed, "order", phase.direction)
    pool = _pool(items, phase.direction)
    if pool:
        return Sources(next_sources(pool, count, phase.turn, seed), f"corpus of {len(pool):,}")
    pool = _pool(items, phase.direction.opposite)
    if not pool:
        raise CorpusError(
            f"no sources for the {phase.direction} direction: give data.molecules, data.outputs or data.pairs"
        )
    return _written(policy, config, next_sources(pool, count, phase.turn, seed), phase, on_progress)


def _pool(items: TrainingItems, direction: Direction) -> list[str]:
    """Every distinct item of the direction's source domain, labelled or not."""
    if direction is Direction.FORWARD:
        return list(dict.fromkeys([*items.molecules, *(left for left, _ in items.pairs)]))
    return list(dict.fromkeys([*items.outputs, *(right for _, right in items.pairs)]))


def _written(
    policy: Policy, config: Config, origins: list[str], phase: Phase, on_progress: Callable[[int], None]
) -> Sources:
    """What the policy writes greedily for each origin; what no honest reader could use (a verdict other than OK) is
    left out, and the rest is repeated to the full count."""
    back = phase.direction.opposite
    groups = generate(
        policy.model,
        policy.codec,
        back,
        origins,
        max_new_tokens=config.max_new_tokens,
        max_batch_tokens=config.evaluation.max_batch_tokens,
        on_progress=on_progress,
    )
    answers = [group[0] for group in groups]
    verdicts = judge_batch(policy.codec.task, back, origins, answers)
    usable = [a.text for a, verdict in zip(answers, verdicts, strict=True) if verdict is Verdict.OK]
    if not usable:
        raise CorpusError(
            f"the policy wrote no usable {policy.codec.task.output(back).name} for {len(origins):,} sources, so the "
            f"{phase.direction} direction has nothing to start from; give a corpus of them, or a better start model"
        )
    items = [usable[i % len(usable)] for i in range(len(origins))]
    noun = policy.codec.task.source(phase.direction).name
    return Sources(items, f"{noun}s written by the policy for {len(origins):,} items, {len(usable):,} usable")
