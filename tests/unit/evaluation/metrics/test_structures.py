"""Structures against targets: four equalities, similarity with both denominators, strings."""

from __future__ import annotations

import numpy as np
import pytest

from rtrl_chem.evaluation.metrics import structures
from rtrl_chem.evaluation.metrics.score import estimate

TARGETS = ["C[C@H](N)C(=O)O", "Oc1ccccn1", "CCO.CCO", "CCO", "CCO"]
OUTPUTS = ["C[C@@H](N)C(=O)O", "O=c1cccc[nH]1", "CCO", "", "CCO and prose"]


def values(outputs: list[str], targets: list[str]) -> dict[str, float]:
    found = estimate(structures.scores(structures.statistics(outputs, targets)), resamples=50)
    return {name: one.value for name, one in found.items()}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        pytest.param("exact_isomeric", 0 / 5, id="isomeric"),
        pytest.param("exact_stereo_free", 1 / 5, id="stereo forgiven"),
        pytest.param("exact_inchi", 1 / 5, id="tautomer forgiven"),
        pytest.param("exact_inchi_set", 2 / 5, id="tautomer and stoichiometry forgiven"),
        pytest.param("validity", 3 / 5, id="empty and prose are invalid"),
    ],
)
def test_shares_are_of_all_rows(column: str, expected: float) -> None:
    assert values(OUTPUTS, TARGETS)[column] == pytest.approx(expected)


def test_similarity_states_both_denominators() -> None:
    found = estimate(structures.scores(structures.statistics(OUTPUTS, TARGETS)), resamples=50)
    everywhere, valid = found["similarity_morgan"], found["similarity_morgan_valid"]
    assert (everywhere.n, valid.n) == (5, 3)
    assert everywhere.value * 5 == pytest.approx(valid.value * 3)


def test_strings_are_compared_as_written() -> None:
    found = values(["OCCCCC", "CCCCCO"], ["CCCCCO", "CCCCCO"])
    assert found["exact_isomeric"] == 1.0
    assert found["levenshtein"] == 1.0  # two edits in the first row
    assert 0 < found["bleu"] < 1


def test_without_a_valid_output_there_is_no_similarity_of_valid_ones() -> None:
    found = values(["", "C("], ["CCO", "CCO"])
    assert found["similarity_maccs"] == 0.0
    assert np.isnan(found["similarity_maccs_valid"])
