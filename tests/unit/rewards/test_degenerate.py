"""Outputs that say nothing, counted."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.rewards.degenerate import REPEATED, Degenerate, measure_degenerate, repetition
from rtrl_chem.rewards.verdict import Verdict


@dataclass(frozen=True)
class One:
    source: str
    output: str
    verdict: Verdict = Verdict.OK


@pytest.mark.parametrize(
    ("text", "structure", "expected"),
    [
        pytest.param("", False, 0.0, id="empty"),
        pytest.param("ethanol", False, 0.0, id="shorter than a window"),
        pytest.param("2-acetyloxybenzoic acid", False, 0.0, id="a name"),
        pytest.param("a" * 12, False, 4 / 5, id="one letter: one of five windows is new"),
        pytest.param("abcdefgh" * 2, False, 1 / 9, id="once again: the last window is the first"),
        pytest.param("C" * 20, True, 0.0, id="an alkane"),
        pytest.param("C" * 20, False, 12 / 13, id="the same letters as a text"),
        pytest.param("C" * 12 + "O", True, 0.0, id="an alcohol"),
        pytest.param("C(O)" * 6, True, 13 / 17, id="a unit over and over: four of seventeen windows are new"),
    ],
)
def test_repetition_by_hand(text: str, structure: bool, expected: float) -> None:
    assert repetition(text, structure) == pytest.approx(expected)


@given(st.text(max_size=60), st.booleans())
def test_it_is_a_share(text: str, structure: bool) -> None:
    assert 0.0 <= repetition(text, structure) <= 1.0


@given(st.text(min_size=1, max_size=20))
def test_anything_forty_times_goes_in_circles(unit: str) -> None:
    assert repetition(unit * 40) > REPEATED


def test_phases_are_measured_by_hand() -> None:
    samples = [
        One("CCO", "ethanol"),
        One("CCO", "ethanol"),
        One("CCC", "ethanol"),
        One("C", "methane"),
        One("C", "la" * 20),
        One("N", "", Verdict.EMPTY),
        One("N", "ammo", Verdict.TRUNCATED),
        One("O", "ethanol"),
    ]
    # ethanol for three of five sources; four distinct outputs in six distinct pairs
    assert measure_degenerate(samples, structures=False) == Degenerate(1 / 8, 1 / 8, 1 / 8, 3 / 5, 4 / 6)


@pytest.mark.parametrize(
    ("outputs", "same", "distinct"),
    [
        pytest.param("aaaa", 1.0, 0.25, id="collapse: one output for all"),
        pytest.param("abcd", 0.25, 1.0, id="an output for each"),
        pytest.param("aabb", 0.5, 0.5, id="two"),
    ],
)
def test_collapse(outputs: str, same: float, distinct: float) -> None:
    found = measure_degenerate([One(x, y) for x, y in zip("CNOF", outputs, strict=True)], structures=False)
    assert (found.same_output, found.distinct_outputs) == (same, distinct)


def test_samples_that_repeat_for_their_own_source_are_no_collapse() -> None:
    samples = [One(x, x.lower()) for x in "CNOF" for _ in range(8)]
    assert measure_degenerate(samples, structures=False).distinct_outputs == 1.0


def test_nothing_but_empty_outputs() -> None:
    found = measure_degenerate([One("C", "", Verdict.EMPTY)], structures=True)
    assert found == Degenerate(1.0, 0.0, 0.0, 0.0, 0.0)


def test_no_samples_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="no samples"):
        measure_degenerate([], structures=True)
