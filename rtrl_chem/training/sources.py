"""Where the sources of a phase come from: a corpus, or the policy itself."""

from __future__ import annotations

from dataclasses import dataclass

from rtrl_chem.chem.molecule import canonical
from rtrl_chem.config import Config
from rtrl_chem.errors import CorpusError
from rtrl_chem.evaluation.held_out import TrainingItems
from rtrl_chem.models.generate import generate
from rtrl_chem.models.policy import Policy
from rtrl_chem.models.reverse import ReverseModel
from rtrl_chem.rewards.verdict import Verdict, judge_batch
from rtrl_chem.tasks.base import Direction
from rtrl_chem.training.phase import Phase, derive_seed, next_sources

__all__ = ["Sources", "answers_for", "pairs_for", "sources_for"]


@dataclass(frozen=True)
class Sources:
    """The sources of a phase, their labels (None where there is none; of several the first) and one line for the log
    about where they come from."""

    items: list[str]
    origin: str
    targets: list[str | None]


def sources_for(
    policy: Policy, config: Config, items: TrainingItems, phase: Phase, count: int, reverse: ReverseModel
) -> Sources:
    """`count` sources for a phase: of the user's corpus of that domain if there is one, else written by the policy in
    the opposite direction from the corpus of the other domain. `reverse` is the phase's own scorer."""
    seed = derive_seed(config.seed, "order", phase.direction)
    pool = _pool(items, phase.direction)
    if pool:
        found = next_sources(pool, count, phase.turn, seed)
        return Sources(found, f"corpus of {len(pool):,}", _targets(items, phase.direction, found))
    pool = _pool(items, phase.direction.opposite)
    if not pool:
        raise CorpusError(f"no sources for the {phase.direction} direction: give data.molecules, outputs or pairs")
    wanted = -(-count // config.data.keep_written)
    origins = list(dict.fromkeys(next_sources(pool, int(wanted), phase.turn, seed)))
    return _written(policy, config, origins, phase, count, reverse)


def answers_for(config: Config, items: TrainingItems, phase: Phase, count: int) -> list[str]:
    """`count` real answers of a phase's direction that have no source yet, for the policy to write one."""
    pool = items.molecules if phase.direction is Direction.REVERSE else items.outputs
    return next_sources(pool, count, phase.turn, derive_seed(config.seed, "answers", phase.direction))


def pairs_for(config: Config, items: TrainingItems, phase: Phase, count: int) -> list[tuple[str, str]]:
    """`count` (source, answer) pairs of the data, along a phase's direction."""
    chosen = next_sources(items.pairs, count, phase.turn, derive_seed(config.seed, "pairs", phase.direction))
    return chosen if phase.direction is Direction.FORWARD else [(right, left) for left, right in chosen]


def _pool(items: TrainingItems, direction: Direction) -> list[str]:
    """Every distinct item of the direction's source domain, labelled or not."""
    if direction is Direction.FORWARD:
        return list(dict.fromkeys([*items.molecules, *(left for left, _ in items.pairs)]))
    return list(dict.fromkeys([*items.outputs, *(right for _, right in items.pairs)]))


def _targets(items: TrainingItems, direction: Direction, sources: list[str]) -> list[str | None]:
    """The label of each source."""
    labels: dict[str, str] = {}
    for left, right in items.pairs:
        source, label = (left, right) if direction is Direction.FORWARD else (right, left)
        labels.setdefault(source, label)
    return [labels.get(source) for source in sources]


def _written(
    policy: Policy, config: Config, origins: list[str], phase: Phase, count: int, reverse: ReverseModel
) -> Sources:
    """What the policy writes greedily for each origin, repeated to the full count.

    What no honest reader could use (a verdict other than OK) is left out; of the rest those are kept whose origin would
    earn the highest reward, for a good answer to them is known to exist.
    """
    back = phase.direction.opposite
    with policy.along(back) as writer:
        groups = generate(
            writer.model,
            writer.codec,
            back,
            origins,
            max_new_tokens=config.max_new_tokens,
            max_batch_tokens=config.evaluation.max_batch_tokens,
        )
    answers = [group[0] for group in groups]
    verdicts = [one.verdict for one in judge_batch(policy.codec.task, back, origins, answers)]
    spell = canonical if policy.codec.task.source(phase.direction).is_structure else str  # as a corpus is spelt
    usable = [
        (spell(a.text) or a.text, x) for a, x, v in zip(answers, origins, verdicts, strict=True) if v is Verdict.OK
    ]
    noun = policy.codec.task.source(phase.direction).name
    if not usable:
        raise CorpusError(
            f"the policy wrote no usable {noun} for {len(origins):,} sources, so the {phase.direction} direction has "
            "nothing to start from; give a corpus of them, or a better start model"
        )
    scores = reverse.log_likelihood([y for y, _ in usable], [x for _, x in usable])
    best = sorted(range(len(usable)), key=lambda i: -scores[i].nats)
    kept = {usable[i][0] for i in best[: max(1, round(config.data.keep_written * len(usable)))]}
    pool = [y for y in dict.fromkeys(y for y, _ in usable) if y in kept]  # in the order of the origins, not by score
    items = [pool[i % len(pool)] for i in range(count)]
    nouns = noun if noun.endswith("s") else noun + "s"
    origin = f"{len(pool):,} of {len(usable):,} {nouns} written by the policy from {len(origins):,} items"
    return Sources(items, origin, [None] * count)
