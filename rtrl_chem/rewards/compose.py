"""The round-trip reward: verdicts gate, terms add up, every sample keeps the reason for its score.

R(x, y) = sum over terms of weight * value(x, y)   (arXiv 2510.01527, Eq. 10: likelihood, and format with weight alpha)

for an output with the verdict OK. With any other verdict each term gives its floor, the least it can give: an empty,
cut-off, invalid, copied or leaking output must never be worth more than an honest wrong one. A term that has no word on
a source (no label, say) is left out of the sum for all of its outputs.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rtrl_chem.config import Rewards
from rtrl_chem.models.codec import Answer, Codec
from rtrl_chem.models.reverse import ReverseModel, Score
from rtrl_chem.rewards.degenerate import measure_degenerate
from rtrl_chem.rewards.registry import WeightedTerm, build_terms
from rtrl_chem.rewards.share import judge_by_source
from rtrl_chem.rewards.terms import Batch, Term
from rtrl_chem.rewards.verdict import Judgement, Verdict, judge_batch
from rtrl_chem.tasks.base import Direction

__all__ = ["Judged", "RoundTripReward", "Stopwatch", "summary"]

Column = list[float | None]


@dataclass
class Stopwatch:
    """Seconds spent in each part of a phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, part: str, since: float) -> None:
        """Book the time from `since` (time.perf_counter) until now."""
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - since


@dataclass(frozen=True)
class Judged:
    """One sample and all its reward is made of.

    `evidence` is the text a verdict rests on, such as a leak. `components` are the terms' values before weights, None
    where a term was left out. `nats` and `tokens` are log p(x | y) and what it runs over, None where no term asked for
    it or the output failed a gate; likewise `x_hat`, the reconstructions that a term had sampled from the output.
    """

    direction: Direction
    source: str
    output: str
    completion: str
    target: str | None
    reward: float
    verdict: Verdict
    evidence: str
    components: dict[str, float | None]
    nats: float | None = None
    tokens: int | None = None
    x_hat: list[str] | None = None

    def to_json(self) -> dict[str, Any]:
        """For JSON, without loss."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Judged:
        """The other way round."""
        return cls(**content | {"direction": Direction(content["direction"]), "verdict": Verdict(content["verdict"])})

    @property
    def counted(self) -> bool:
        """Whether any term had a word on the sample; if none had, the reward of 0 says nothing."""
        return any(value is not None for value in self.components.values())


class RoundTripReward:
    """The callable TRL asks for rewards. Batched: one pass through RDKit, then each term on what passed the gates."""

    __name__ = "round_trip"

    def __init__(
        self,
        codec: Codec,
        direction: Direction,
        reverse: ReverseModel,
        rewards: Rewards,
        ungated: Collection[str] = (),
    ) -> None:
        self.codec = codec
        self.direction = direction
        self.reverse = reverse
        self.terms = build_terms(rewards)
        self.passing = {Verdict.OK, *map(Verdict, ungated)}
        self.stopwatch = Stopwatch()
        self.latest: list[Judged] = []  # the samples judged last for the trainer
        self._undrained: list[Judged] = []

    def whole(self) -> AbstractContextManager[None]:
        """The reverse model with all its weights; to be entered by every process where they are cut up."""
        return self.reverse.whole()

    def drain(self) -> list[Judged]:
        """The samples judged for the trainer since the last call."""
        judged, self._undrained = self._undrained, []
        return judged

    def judge(
        self, sources: list[str], answers: list[Answer], targets: Sequence[str | None] | None = None
    ) -> list[Judged]:
        """Reward, verdict and components of each (source, answer); `targets` are the labels, None where there is none.

        RewardError where a user's term fails.
        """
        start = time.perf_counter()
        judgements = judge_batch(self.codec.task, self.direction, sources, answers)
        self.stopwatch.add("verdicts", start)
        outputs = tuple(answer.text for answer in answers)
        labels = tuple(targets) if targets is not None else (None,) * len(sources)
        samples = Batch(self.codec.task, self.direction, tuple(sources), outputs, labels, self.reverse)
        passed = [i for i, one in enumerate(judgements) if one.verdict in self.passing]
        batch = samples.take(passed)
        columns = {one.name: self._timed(one, samples, batch, passed) for one in self.terms}
        scores = dict(zip(passed, batch.scores, strict=True)) if batch.was_scored else {}
        judged = [
            self._judged(samples, i, answers[i].completion, judgements[i], columns, scores.get(i))
            for i in range(len(samples))
        ]
        for i in passed if batch.read_back else ():
            judged[i] = replace(judged[i], x_hat=batch.read_back.get(outputs[i]))
        return judged

    def _timed(self, one: WeightedTerm, samples: Batch, batch: Batch, passed: list[int]) -> Column:
        start = time.perf_counter()
        values = _values(one.term, samples, batch, passed)
        self.stopwatch.add(f"reward {one.name}", start)
        return values

    def _judged(
        self,
        samples: Batch,
        row: int,
        completion: str,
        judgement: Judgement,
        columns: dict[str, Column],
        score: Score | None,
    ) -> Judged:
        components = {name: column[row] for name, column in columns.items()}
        return Judged(
            direction=self.direction,
            source=samples.sources[row],
            output=samples.outputs[row],
            completion=completion,
            target=samples.targets[row],
            reward=sum(one.weight * (components[one.name] or 0.0) for one in self.terms),
            verdict=judgement.verdict,
            evidence=judgement.evidence,
            components=components,
            nats=score.nats if score else None,
            tokens=score.tokens if score else None,
        )

    def _degenerate(self, judged: list[Judged]) -> dict[str, float]:
        """What the rates of the verdicts do not say."""
        found = asdict(measure_degenerate(judged, self.codec.task.output(self.direction).is_structure))
        return {f"degenerate/{name}": value for name, value in found.items() if name not in ("empty", "truncated")}

    def __call__(
        self,
        *,
        completion_ids: list[list[int]],
        source: list[str],
        target: list[str | None] | None = None,
        **trl: Any,
    ) -> list[float | None]:
        """TRL's interface: one reward per completion, None where no term has a word on the source (a 0 would say that
        the answer is bad); components and verdicts of all processes go to TRL's log."""
        answers = [self.codec.read(self.direction, ids) for ids in completion_ids]
        mine, everyones = judge_by_source(self.judge, source, answers, target or [None] * len(source))
        self.latest = mine
        self._undrained += mine
        log_metric = trl.get("log_metric")
        if log_metric:
            for name, value in (summary(everyones) | self._degenerate(everyones)).items():
                log_metric(name, value)
        return [one.reward if one.counted else None for one in mine]


def _values(term: Term, samples: Batch, batch: Batch, passed: list[int]) -> Column:
    """The term's value of every sample: what it says of those that passed the gates (`batch`; `passed` are their
    numbers), of the others its floor; None for all samples of a source that it leaves out."""
    asked = [i for i, target in enumerate(batch.targets) if target is not None or not term.needs_target]
    said = term(batch.take(asked)) if asked else []
    values = {passed[i]: value for i, value in zip(asked, said, strict=True)}
    left_out = {samples.sources[row] for row, value in values.items() if value is None}

    def gated(row: int) -> float | None:
        unlabelled = term.needs_target and samples.targets[row] is None
        return None if unlabelled or samples.sources[row] in left_out else term.floor

    return [values[row] if row in values else gated(row) for row in range(len(samples))]


def summary(judged: list[Judged]) -> dict[str, float]:
    """Means over a batch: each component where it was not left out, the rate of each verdict, distinct outputs per
    source."""
    n = len(judged)
    found = {f"verdict/{v.value}": sum(one.verdict is v for one in judged) / n for v in Verdict}
    for name in judged[0].components if judged else ():
        values = [value for one in judged if (value := one.components[name]) is not None]
        if values:
            found[f"reward/{name}"] = sum(values) / len(values)
    groups = len({one.source for one in judged})
    return found | {"distinct_outputs": len({(one.source, one.output) for one in judged}) / groups}
