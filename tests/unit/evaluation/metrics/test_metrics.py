"""Scores of single items: every row gets one, whatever is in it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rtrl_chem.evaluation.metrics import cheating, names, round_trip, structures
from rtrl_chem.tasks import TASKS

NAMING, REACTION = TASKS["naming"], TASKS["reaction"]
NASTY = ["", "CCO and prose", "*", "[H][H]", "c1ccccc", "C" * 10_000, "β", "C\nO", "[CH3:1]O", "\ud800"]


def test_validity() -> None:
    assert structures.valid(["CCO", "", "C(", "CCO and prose", "[H][H]"]) == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("output", "target", "equality", "expected"),
    [
        pytest.param("OCC", "CCO", "isomeric", True, id="another spelling"),
        pytest.param("C[C@H](N)O", "CC(N)O", "isomeric", False, id="stereo counts"),
        pytest.param("C[C@H](N)O", "CC(N)O", "stereo_free", True, id="stereo set aside"),
        pytest.param("O.CCO", "OCC.O", "fragment_set", True, id="order of fragments"),
        pytest.param("CCO", "OCC.O", "fragment_set", False, id="a fragment missing"),
        pytest.param("C(", "C(", "isomeric", False, id="invalid is never right"),
    ],
)
def test_exact_structures(output: str, target: str, equality: str, expected: bool) -> None:
    assert structures.exact_matches([output], [target], equality) == [expected]


def test_similarity_counts_invalid_as_zero() -> None:
    same, near, invalid = structures.similarities(["CCO", "CCO", "CCO"], ["OCC", "CCCO", "C("])
    assert (same, invalid) == (1.0, 0.0)
    assert 0 < near < 1


def test_names_letter_by_letter() -> None:
    assert names.exact_matches(["ethanol", "Ethanol", ""], ["ethanol", "ethanol", "ethanol"]) == [True, False, False]


def test_referee_reads_the_name_as_the_molecule() -> None:
    assert names.read_back(["OCC", "CCC", None], ["CCO", "CCO", "CCO"]) == [True, False, False]


@pytest.mark.parametrize(
    ("side", "x", "x_hat", "expected"),
    [
        pytest.param("left", "CCO", "OCC", True, id="structures by equality"),
        pytest.param("left", "CCO", "", False, id="no reconstruction"),
        pytest.param("right", "ethanol", "ethanol", True, id="texts letter by letter"),
        pytest.param("right", "CCO", "OCC", False, id="texts are no structures"),
        pytest.param("right", "", "", False, id="nothing is not consistent"),
    ],
)
def test_consistency(side: str, x: str, x_hat: str, expected: bool) -> None:
    assert round_trip.consistent([x], [x_hat], getattr(NAMING, side)) == [expected]


def test_consistency_of_reactants_follows_the_task() -> None:
    assert round_trip.consistent(["O.CCO"], ["OCC.O"], REACTION.left, REACTION.equality) == [True]


def test_copies_leak_and_leaks_need_not_be_copies() -> None:
    x = ["CC(=O)Oc1ccccc1C(=O)O"] * 3
    y = ["OC(=O)c1ccccc1OC(C)=O", "the acid CC(=O)Oc1ccccc1C(=O)O", "2-acetyloxybenzoic acid"]
    assert cheating.copies(x, y) == [True, False, False]
    assert cheating.leaks(x, y, NAMING.left, NAMING.right) == [True, True, False]


def test_every_row_is_answered_whatever_it_holds() -> None:
    x = ["CC(=O)Oc1ccccc1C(=O)O"] * len(NASTY)
    answers = [
        structures.valid(NASTY),
        structures.exact_matches(NASTY, x),
        structures.similarities(NASTY, x),
        round_trip.consistent(x, NASTY, NAMING.left),
        cheating.copies(x, NASTY),
        cheating.leaks(x, NASTY, NAMING.left, NAMING.right),
        cheating.leaks(x, NASTY, REACTION.left, REACTION.right),
    ]
    assert [len(answer) for answer in answers] == [len(NASTY)] * len(answers)


def test_metrics_need_no_torch() -> None:
    code = "import sys, rtrl_chem.evaluation.summary, rtrl_chem.evaluation.run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
