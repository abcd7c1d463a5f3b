"""Pairs that the policy makes: it writes y for a real x, and the other direction learns to answer y with x.

This is back-translation: the answer is real, only what it answers is made up. Every pair, and what became of it, is
kept in rounds/NN-DIRECTION/synthetic.parquet.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rtrl_chem.chem.molecule import canonical
from rtrl_chem.config import Config
from rtrl_chem.evaluation.metrics.round_trip import consistent
from rtrl_chem.models.generate import generate
from rtrl_chem.models.policy import Policy
from rtrl_chem.models.processes import in_shares
from rtrl_chem.models.reverse import ReverseModel
from rtrl_chem.rewards.compose import Stopwatch
from rtrl_chem.rewards.verdict import Verdict, judge_batch
from rtrl_chem.tasks.base import Direction
from rtrl_chem.training.run_folder import write_table

__all__ = ["KEPT", "Made", "describe", "make_pairs", "write_made"]

KEPT = "kept"


@dataclass(frozen=True)
class Made:
    """A pair for one direction: a source and the answer to learn, who made the pair, and why it is learned or not.

    `reason` is "kept" or what speaks against it. `nats` is the policy's own log p(answer | source) and `reconstruction`
    its greedy answer to the source, None where it was not asked.
    """

    direction: Direction
    source: str
    answer: str
    made_by: str
    verdict: Verdict | None = None
    evidence: str = ""
    nats: float | None = None
    reconstruction: str | None = None
    reason: str = KEPT


def make_pairs(
    policy: Policy, config: Config, direction: Direction, answers: Sequence[str], seed: int, stopwatch: Stopwatch
) -> list[Made]:
    """Pairs for a direction, made from real answers: `synthetic.samples` sources for each, written by the policy in the
    opposite direction, with what each filter said. Every process must call this; all get the same."""
    start = time.perf_counter()
    made = _written(policy, config, direction, answers, seed)
    stopwatch.add("rollout", start)
    start = time.perf_counter()
    if config.synthetic.min_probability > 0:
        made = _judged_by_probability(policy, config, direction, made)
    if config.synthetic.round_trip:
        made = _judged_by_round_trip(policy, config, direction, made)
    stopwatch.add("filters", start)
    return made


def describe(made: Sequence[Made]) -> str:
    """One line for the log: how many pairs are kept, and how many are not, by reason."""
    counts = Counter(one.reason for one in made)
    kept = counts.pop(KEPT, 0)
    left_out = ", ".join(f"{n:,} {reason}" for reason, n in counts.most_common())
    return f"{kept:,} of {len(made):,} made pairs kept" + (f" (left out: {left_out})" if left_out else "")


def write_made(path: Path, made: Sequence[Made]) -> None:
    """synthetic.parquet: one row a pair, kept or not."""
    columns = {name: [getattr(one, name) for one in made] for name in Made.__dataclass_fields__}
    columns["direction"] = [str(one.direction) for one in made]
    columns["verdict"] = [None if one.verdict is None else str(one.verdict) for one in made]
    write_table(path, columns)


def _written(policy: Policy, config: Config, direction: Direction, answers: Sequence[str], seed: int) -> list[Made]:
    """What the policy writes for each answer, in the opposite direction; with any verdict but OK it is out."""
    own, task, back = config.synthetic, policy.codec.task, direction.opposite
    with policy.along(back) as writer:
        groups = generate(
            writer.model,
            writer.codec,
            back,
            list(answers),
            max_new_tokens=config.writing_max_new_tokens,
            max_batch_tokens=config.evaluation.max_batch_tokens,
            num_samples=own.samples,
            temperature=own.temperature,
            seed=seed,
        )
    flat = [(x, written) for x, group in zip(answers, groups, strict=True) for written in group]
    judgements = judge_batch(task, back, [x for x, _ in flat], [written for _, written in flat])
    spell = canonical if task.source(direction).is_structure else str  # as a corpus is spelt
    how = f"policy, temperature {own.temperature:g}"
    found: list[Made] = []
    seen: set[tuple[str, str]] = set()
    for (x, written), judgement in zip(flat, judgements, strict=True):
        y = spell(written.text) or written.text
        reason = KEPT if judgement.verdict is Verdict.OK else str(judgement.verdict)
        if reason == KEPT and (y, x) in seen:
            reason = "written before"
        seen.add((y, x))
        found.append(Made(direction, y, x, how, judgement.verdict, judgement.evidence, reason=reason))
    return found


def _judged_by_probability(policy: Policy, config: Config, direction: Direction, made: list[Made]) -> list[Made]:
    back, least = direction.opposite, config.synthetic.min_probability

    def judged(kept: list[Made]) -> list[Made]:
        """Those with too small a probability told apart."""
        with policy.along(back):
            judge = policy.judge(back)  # it writes along `direction`
            reverse = ReverseModel(judge.snapshot, judge.codec, back, config.evaluation.max_batch_tokens)
            # Every process must keep the same pairs.
            with reverse.whole():
                scores = in_shares(kept, lambda some: reverse.log_likelihood(*_answers_and_sources(some)))
        reasons = [KEPT if math.exp(score.nats) >= least else f"p(x | y) below {least:g}" for score in scores]
        rows = zip(kept, scores, reasons, strict=True)
        return [replace(one, nats=score.nats, reason=reason) for one, score, reason in rows]

    return _among_kept(made, judged)


def _answers_and_sources(made: Sequence[Made]) -> tuple[list[str], list[str]]:
    return [one.answer for one in made], [one.source for one in made]


def _judged_by_round_trip(policy: Policy, config: Config, direction: Direction, made: list[Made]) -> list[Made]:
    task = policy.codec.task

    def judged(kept: list[Made]) -> list[Made]:
        """Those that do not come back told apart."""
        distinct = list(dict.fromkeys(one.source for one in kept))
        with policy.along(direction) as reader:
            groups = generate(
                reader.model,
                reader.codec,
                direction,
                distinct,
                max_new_tokens=config.writing_max_new_tokens,
                max_batch_tokens=config.evaluation.max_batch_tokens,
            )
        read = {y: group[0].text for y, group in zip(distinct, groups, strict=True)}
        back = [read[one.source] for one in kept]
        right = consistent([one.answer for one in kept], back, task.output(direction), task.equality)
        reasons = [KEPT if ok else "does not come back" for ok in right]
        rows = zip(kept, back, reasons, strict=True)
        return [replace(one, reconstruction=text, reason=reason) for one, text, reason in rows]

    return _among_kept(made, judged)


def _among_kept(made: list[Made], judged: Callable[[list[Made]], list[Made]]) -> list[Made]:
    """`judged` those that are still kept, the others as they are, in their order."""
    fresh = iter(judged([one for one in made if one.reason == KEPT]))
    return [next(fresh) if one.reason == KEPT else one for one in made]
