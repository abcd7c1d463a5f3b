"""Where the sources of a phase come from: a corpus, or the policy itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rtrl_chem.chem.molecule import canonical
from rtrl_chem.config import Config
from rtrl_chem.data.pool import Mixture, PairColumns, Pool, change, parts_of
from rtrl_chem.data.stream import Stream
from rtrl_chem.errors import CorpusError
from rtrl_chem.evaluation.held_out import TrainingItems
from rtrl_chem.models.generate import generate
from rtrl_chem.models.policy import Policy
from rtrl_chem.models.processes import in_shares
from rtrl_chem.models.reverse import ReverseModel
from rtrl_chem.rewards.verdict import Verdict, judge_batch
from rtrl_chem.tasks.base import Direction
from rtrl_chem.training.phase import Phase, derive_seed, next_sources

__all__ = ["NothingWritten", "Sources", "answers_for", "next_pairs", "pairs_for", "sources_for"]

Pairs = list[tuple[str, str]]


class NothingWritten(CorpusError):
    """The policy was to write the sources of a phase and wrote none that can be used."""


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
    turns = _turns(config, phase)
    pool = _pool(items, phase.direction)
    if pool:
        found = next_sources(pool, count, phase.turn, seed, turns)
        return Sources(found, _describe(pool), _targets(items, phase.direction, found))
    pool = _pool(items, phase.direction.opposite)
    if not pool:
        raise CorpusError(f"no sources for the {phase.direction} direction: give data.molecules, outputs or pairs")
    wanted = -(-count // config.data.keep_written)
    origins = list(dict.fromkeys(next_sources(pool, int(wanted), phase.turn, seed, turns)))
    return _written(policy, config, origins, phase, count, reverse)


def answers_for(config: Config, items: TrainingItems, phase: Phase, count: int) -> list[str]:
    """`count` real answers of a phase's direction that have no source yet, for the policy to write one."""
    pool = items.molecules if phase.direction is Direction.REVERSE else items.outputs
    seed = derive_seed(config.seed, "answers", phase.direction)
    return next_sources(pool, count, phase.turn, seed, _turns(config, phase))


def pairs_for(config: Config, items: TrainingItems, phase: Phase, count: int) -> Pairs:
    """The (source, answer) pairs that a supervised phase may learn from: all those in memory, which TRL shuffles; from
    disk, from a mixture or under a curriculum, the `count` whose turn it is."""
    if isinstance(items.pairs, tuple) and not config.data.curriculum:
        return _along(phase.direction, items.pairs)
    return next_pairs(config, items, phase, count, "order")


def next_pairs(config: Config, items: TrainingItems, phase: Phase, count: int, word: str = "pairs") -> Pairs:
    """The `count` (source, answer) pairs of the data whose turn it is; each `word` has an order of its own."""
    seed = derive_seed(config.seed, word, phase.direction)
    return _along(phase.direction, next_sources(items.pairs, count, phase.turn, seed, _turns(config, phase)))


def _along(direction: Direction, pairs: Iterable[tuple[str, str]]) -> Pairs:
    return list(pairs) if direction is Direction.FORWARD else [(right, left) for left, right in pairs]


def _turns(config: Config, phase: Phase) -> int | None:
    """Under a curriculum, how many phases share what they take between them."""
    if not config.data.curriculum:
        return None
    return 1 if phase.round is None else config.rounds


def _pool(items: TrainingItems, direction: Direction) -> Pool[str]:
    """Every distinct item of the direction's source domain, labelled or not.

    Labelled ones join a plain file's. A corpus on disk, a mixture or a stream is what its owner made it, and so are
    pairs on disk, where a source comes as often as it has labels.
    """
    side = 0 if direction is Direction.FORWARD else 1
    corpus = (items.molecules, items.outputs)[side]
    labelled = change(items.pairs, lambda part: _one_side(part, side))
    if isinstance(corpus, tuple) and isinstance(labelled, tuple):
        return list(dict.fromkeys([*corpus, *labelled]))
    return corpus or labelled


def _one_side(pairs: Any, side: int) -> Any:
    if isinstance(pairs, PairColumns):
        return (pairs.left, pairs.right)[side]
    return tuple(pair[side] for pair in pairs)


def _describe(pool: Pool[str]) -> str:
    """For the log: `corpus of 1,584,663`, or what a mixture or a stream is made of."""
    if isinstance(pool, Stream):
        return "stream of " + pool.summary()
    if not isinstance(pool, Mixture):
        return f"corpus of {len(pool):,}"
    shares = [weight / sum(pool.weights) for weight in pool.weights]
    return "mixture of " + "; ".join(
        f"{share:.1%} {part.summary() if isinstance(part, Stream) else f'{name} ({len(part):,})'}"
        for share, name, part in zip(shares, pool.names, pool.parts, strict=True)
    )


def _targets(items: TrainingItems, direction: Direction, sources: list[str]) -> list[str | None]:
    """The label of each source."""
    side = 0 if direction is Direction.FORWARD else 1
    labels: dict[str, str] = {}
    for part in parts_of(items.pairs):
        pairs = part.having(side, sources) if isinstance(part, PairColumns) else part
        for pair in pairs:
            labels.setdefault(pair[side], pair[1 - side])
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
        raise NothingWritten(
            f"the policy wrote no usable {noun} for {len(origins):,} sources, so the {phase.direction} direction has "
            "nothing to start from; give a corpus of them, or a better start model"
        )
    with reverse.whole():
        scores = in_shares(usable, lambda some: reverse.log_likelihood([y for y, _ in some], [x for _, x in some]))
    best = sorted(range(len(usable)), key=lambda i: -scores[i].nats)
    kept = {usable[i][0] for i in best[: max(1, round(config.data.keep_written * len(usable)))]}
    pool = [y for y in dict.fromkeys(y for y, _ in usable) if y in kept]  # in the order of the origins, not by score
    items = [pool[i % len(pool)] for i in range(count)]
    nouns = noun if noun.endswith("s") else noun + "s"
    origin = f"{len(pool):,} of {len(usable):,} {nouns} written by the policy from {len(origins):,} items"
    return Sources(items, origin, [None] * count)
