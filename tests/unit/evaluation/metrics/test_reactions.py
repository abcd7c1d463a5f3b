"""Ranks, and Schwaller's round-trip metrics, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rtrl_chem.evaluation.metrics import reactions

# Right at rank 2, at 1 and 3, never.
CANDIDATES = [["C(", "O.CCO", "N"], ["CCO.O", "", "O.OCC"], ["CCO", "CCN"]]
WANTED = ["CCO.O"] * 3
RIGHT = np.array([[False, True, False], [True, False, True], [False, False, False]])


def means(scores: list[reactions.Score]) -> dict[str, float]:
    return {score.name: float(score.combine(score.statistics.sum(axis=0))) for score in scores}


def test_an_invalid_output_keeps_its_rank() -> None:
    assert np.array_equal(reactions.hits(CANDIDATES, WANTED, 3, "isomeric"), RIGHT)


def test_ranked_scores() -> None:
    found = means(reactions.ranked_scores(RIGHT))
    assert found == pytest.approx({"top1": 1 / 3, "top3": 2 / 3, "mrr": (1 / 2 + 1 + 0) / 3})


def test_maxfrag_compares_the_largest_fragments() -> None:
    largest = reactions.hits(CANDIDATES, WANTED, 3, "largest_fragment")
    assert means(reactions.ranked_scores(RIGHT, largest))["maxfrag_top1"] == pytest.approx(2 / 3)


def test_texts_are_compared_letter_by_letter() -> None:
    assert reactions.hits([["ethanol", "Ethanol"], [""]], ["Ethanol", ""], 2, None).tolist() == [
        [False, True],
        [False, False],
    ]


def test_round_trip_metrics_by_their_formulas() -> None:
    classes = reactions.class_counts(RIGHT, [["1.1", "2.1", "3"], ["1.2", "", "4.4.1"], ["5", "5"]])
    found = means(reactions.round_trip_scores(RIGHT, classes))
    assert found == pytest.approx(
        {
            "round_trip_accuracy_top1": 1 / 3,
            "coverage_top1": 1 / 3,
            "class_diversity_top1": 1 / 3,
            "round_trip_accuracy_top3": 3 / 9,
            "coverage_top3": 2 / 3,
            "class_diversity_top3": (1 + 2 + 0) / 3,
        }
    )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["1.1", "9", "1.2"], [1, 1, 1], id="one superclass twice"),
        pytest.param(["", "9", ""], [0, 0, 0], id="no class"),
        pytest.param(["1.1"], [1, 1, 1], id="fewer classes than outputs"),
    ],
)
def test_class_counts(names: list[str], expected: list[int]) -> None:
    assert reactions.class_counts(RIGHT[1:2], [names]).tolist() == [expected]
