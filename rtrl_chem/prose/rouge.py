"""ROUGE (Lin 2004) from the package rouge_score (extra `metrics`): its own tokens, no stemming."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from typing import Any

__all__ = ["ROUGE", "available", "f_measures"]

ROUGE: dict[str, str] = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}


def available() -> bool:
    """Whether rouge_score is installed."""
    return find_spec("rouge_score") is not None


def f_measures(output: str, target: str, names: tuple[str, ...] = tuple(ROUGE)) -> list[float]:
    """F-measure of a text against one reference, for each of `names`, from 0 to 1."""
    found = _scorer(names).score(target, output)
    return [found[name].fmeasure for name in names]


@lru_cache(maxsize=8)
def _scorer(names: tuple[str, ...]) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(names))
