"""The supervised term: the task's metric against the label, where the source has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from rapidfuzz.distance import Levenshtein

from rtrl_chem.errors import RewardError
from rtrl_chem.prose import bleu, rouge
from rtrl_chem.prose.words import words
from rtrl_chem.rewards.compare import structures_alike, texts_equal
from rtrl_chem.rewards.options import SupervisedReward
from rtrl_chem.rewards.terms import Batch

__all__ = ["Supervised"]


@dataclass(frozen=True)
class Supervised:
    """How good each output is against its label, from 0 to 1; sources without one are left out."""

    options: SupervisedReward
    floor: ClassVar[float] = 0.0
    needs_target: ClassVar[bool] = True

    def __call__(self, batch: Batch) -> list[float]:
        """Each output's own score; RewardError where ROUGE is wanted and not installed."""
        targets = [target or "" for target in batch.targets]
        family = batch.output_domain.metric_family
        if family == "structure":
            return structures_alike(batch.task, batch.outputs, targets, self.options.equality, self.options.similarity)
        if family == "prose":
            return _prose(batch.outputs, targets, self.options.prose)
        if self.options.phrase == "edit":
            pairs = zip(batch.outputs, targets, strict=True)
            return [Levenshtein.normalized_similarity(output, target) for output, target in pairs]
        return texts_equal(batch.outputs, targets)


def _prose(outputs: Sequence[str], targets: Sequence[str], measure: str) -> list[float]:
    """One score of each text, as the metrics of captions have it."""
    pairs = list(zip(outputs, targets, strict=True))
    if measure not in rouge.ROUGE:
        counts = np.array([bleu.counts(words(output), words(target)) for output, target in pairs], dtype=np.float64)
        found: list[float] = bleu.combine(counts, int(measure.removeprefix("bleu"))).tolist()
        return found
    if not rouge.available():
        raise RewardError(
            "rewards.supervised.prose: ROUGE needs rouge-score: pip install 'rtrl-chem[metrics]', or bleu4"
        )
    return [score for output, target in pairs for score in rouge.f_measures(output, target, (measure,))]
