"""BLEU against nltk's, and against what it is by hand."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrl_chem.evaluation.metrics.dialects.report import nltk_bleu
from rtrl_chem.prose import bleu

PAIRS = st.lists(st.tuples(st.text("CNO()=1", max_size=12), st.text("CNO()=1", max_size=12)), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def nltk_scores() -> Any:
    return pytest.importorskip("nltk.translate.bleu_score")


@settings(deadline=None)
@given(pairs=PAIRS)
def test_equals_nltk(nltk_scores: Any, pairs: list[tuple[str, str]]) -> None:
    counts = np.array([bleu.counts(hypothesis, reference) for hypothesis, reference in pairs], dtype=float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nltk's, about n-grams that never match
        for orders in (2, 4):
            wanted = nltk_scores.corpus_bleu(
                [[list(reference)] for _, reference in pairs],
                [list(hypothesis) for hypothesis, _ in pairs],
                weights=[1 / orders] * orders,
            )
            assert nltk_bleu(counts, orders) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    ("hypothesis", "reference", "expected"),
    [
        pytest.param("CCCCO", "CCCCO", 1.0, id="the same"),
        pytest.param("CCCC", "CCCCCCCC", float(np.exp(-1)), id="half as long: brevity alone"),
        pytest.param("", "CCCC", 0.0, id="empty"),
        pytest.param("NNNN", "CCCC", 0.0, id="no match"),
    ],
)
def test_by_hand(hypothesis: str, reference: str, expected: float) -> None:
    counts = np.array(bleu.counts(hypothesis, reference), dtype=float)
    assert float(bleu.combine(counts)) == pytest.approx(expected)


def test_rows_too_short_for_an_n_gram_do_not_lower_it() -> None:
    rows = [("CCCCO", "CCCCO"), ("CN", "CN")]
    counts = np.array([bleu.counts(a, b) for a, b in rows], dtype=float)
    assert float(bleu.combine(counts.sum(axis=0))) == pytest.approx(1.0)
    assert nltk_bleu(counts, 4) < 1.0
