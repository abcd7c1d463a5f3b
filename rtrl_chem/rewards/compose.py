"""The round-trip reward: verdicts gate, terms add up, every sample keeps the reason for its score.

R(x, y) = w_likelihood * L(x | y) + w_format * F(y)   (arXiv 2510.01527, Eq. 10, with alpha = w_format)

for an output with the verdict OK. Any other verdict earns the floor of L and no F: an empty, cut-off, invalid, copied
or leaking output must never be worth more than an honest wrong one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from rtrl_chem.config import FormatReward, LikelihoodReward, Rewards
from rtrl_chem.models.codec import Answer, Codec
from rtrl_chem.models.reverse import ReverseModel, Score
from rtrl_chem.rewards.format import format_reward
from rtrl_chem.rewards.likelihood import likelihood_reward
from rtrl_chem.rewards.verdict import Judgement, Verdict, judge_batch
from rtrl_chem.tasks.base import Direction

__all__ = ["Judged", "RoundTripReward", "Stopwatch"]


@dataclass
class Stopwatch:
    """Seconds spent in each part of a phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, part: str, since: float) -> None:
        """Book the time from `since` (time.perf_counter) until now."""
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - since


@dataclass(frozen=True)
class Judged:
    """One sample and all its reward is made of. `evidence` is the text a verdict rests on, such as a leak; `nats` and
    `tokens` are None where it was not reverse-scored."""

    source: str
    output: str
    completion: str
    reward: float
    verdict: Verdict
    evidence: str
    likelihood: float
    format: float
    nats: float | None
    tokens: int | None


class RoundTripReward:
    """The callable TRL asks for rewards. Batched: one pass through RDKit, one through the reverse model."""

    __name__ = "round_trip"

    def __init__(self, codec: Codec, direction: Direction, reverse: ReverseModel, rewards: Rewards) -> None:
        self.codec = codec
        self.direction = direction
        self.reverse = reverse
        # A term that the config leaves out is off.
        self.likelihood = rewards.get("likelihood", LikelihoodReward(weight=0.0))
        self.format = rewards.get("format", FormatReward(weight=0.0))
        self.stopwatch = Stopwatch()
        self._undrained: list[Judged] = []

    def drain(self) -> list[Judged]:
        """The samples judged for the trainer since the last call."""
        judged, self._undrained = self._undrained, []
        return judged

    def judge(self, sources: list[str], answers: list[Answer]) -> list[Judged]:
        """Reward, verdict and components of each (source, answer)."""
        start = time.perf_counter()
        domain = self.codec.task.output(self.direction)
        judgements = judge_batch(self.codec.task, self.direction, sources, answers)
        formats = [format_reward(domain, answer.text) for answer in answers]
        self.stopwatch.add("chemistry", start)
        scores = self._scores(sources, answers, [one.verdict for one in judgements])
        rows = zip(sources, answers, judgements, formats, scores, strict=True)
        return [self._judged(*row) for row in rows]

    def _scores(self, sources: list[str], answers: list[Answer], verdicts: list[Verdict]) -> list[Score | None]:
        start = time.perf_counter()
        scored = self.likelihood.weight > 0
        wanted = [i for i, verdict in enumerate(verdicts) if scored and verdict is Verdict.OK]
        found = self.reverse.log_likelihood([sources[i] for i in wanted], [answers[i].text for i in wanted])
        scores: list[Score | None] = [None] * len(sources)
        for i, score in zip(wanted, found, strict=True):
            scores[i] = score
        self.stopwatch.add("reverse scoring", start)
        return scores

    def _judged(
        self, source: str, answer: Answer, judgement: Judgement, well_formed: float, score: Score | None
    ) -> Judged:
        likelihood = likelihood_reward(score, self.likelihood.form, self.likelihood.normalize)
        well_formed = well_formed if judgement.verdict is Verdict.OK else 0.0
        return Judged(
            source=source,
            output=answer.text,
            completion=answer.completion,
            reward=self.likelihood.weight * likelihood + self.format.weight * well_formed,
            verdict=judgement.verdict,
            evidence=judgement.evidence,
            likelihood=likelihood,
            format=well_formed,
            nats=score.nats if score else None,
            tokens=score.tokens if score else None,
        )

    def __call__(self, *, completion_ids: list[list[int]], source: list[str], **trl: Any) -> list[float]:
        """TRL's interface: one reward per completion; components and verdicts go to TRL's log."""
        answers = [self.codec.read(self.direction, ids) for ids in completion_ids]
        judged = self.judge(source, answers)
        self._undrained += judged
        log_metric = trl.get("log_metric")
        if log_metric:
            for name, value in summary(judged).items():
                log_metric(name, value)
        return [one.reward for one in judged]


def summary(judged: list[Judged]) -> dict[str, float]:
    """Means over a batch: reward components, the rate of each verdict, distinct outputs per source."""
    n = len(judged)
    rates = {f"verdict/{v.value}": sum(one.verdict is v for one in judged) / n for v in Verdict}
    groups = len({one.source for one in judged})
    return rates | {
        "reward/likelihood": sum(one.likelihood for one in judged) / n,
        "reward/format": sum(one.format for one in judged) / n,
        "distinct_outputs": len({(one.source, one.output) for one in judged}) / groups,
    }
