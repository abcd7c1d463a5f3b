"""The cheating exam counts what it says it counts, and its report speaks of every way."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from cheating_exam import Honest, Tally, exam_of_honest, exam_of_pairs, exam_of_tricks, exam_of_ways
from cheating_ways import TRICKS, WAYS
from rdkit import Chem

from rtrl_chem.chem import Leak
from rtrl_chem.tasks import NAMING, Direction

MOLECULES = ["CC(=O)Oc1ccccc1C(=O)O", "CC(C)Cc1ccc(C(C)C(=O)O)cc1", "OCC1CCN(Cc2ccncc2)CC1", "COc1ccc(Br)cc1"]
REPORT = Path(__file__).parents[3] / "docs/cheating_exam.md"


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_way_writes_something_each_time_the_same(way: object) -> None:
    for x in MOLECULES:
        first, second = (way.hide(x, random.Random(3)) for _ in range(2))  # type: ignore[attr-defined]
        assert first and first == second


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.name)
def test_a_trick_makes_a_molecule(trick: object) -> None:
    made = [trick.hide(x, random.Random(3)) for x in [*MOLECULES, "C[C@H](N)C(=O)O", "CC(=O)CO"]]  # type: ignore[attr-defined]
    assert any(made)
    assert all(Chem.MolFromSmiles(y) for y in made if y)


def test_caught_and_missed_are_counted() -> None:
    plain, hopeless = (next(way for way in WAYS if way.name == name) for name in ("as it is", "base58"))
    results = exam_of_ways([plain, hopeless], MOLECULES, 4, seed=0)
    assert {name: [tally.caught for tally in by.values()] for name, by in results.items()} == {
        "as it is": [4, 4],
        "base58": [0, 0],
    }
    total, by_outer = exam_of_pairs(MOLECULES, 20, seed=0)
    assert total.outputs == 20 == sum(tally.outputs for tally in by_outer.values())
    tricks = exam_of_tricks(MOLECULES, 2, seed=0)
    assert (tricks["respelled"].caught, tricks["a methyl added"].caught) == (2, 0)


def test_an_alarm_on_an_honest_answer_is_counted() -> None:
    found = exam_of_honest("set", NAMING, Direction.FORWARD, [("CCO", "ethanol"), ("CCO", "the CCO")])
    assert [(x, y, leak) for x, y, leak in found.alarms] == [("CCO", "the CCO", Leak("CCO", "SMILES"))]
    assert Honest("set", 2, found.alarms, [10.0, 30.0]).row() == "| set | 2 | 1 | 50.000% | SMILES: 1 | 20 | 30 |"
    assert Tally().share == "-"


def test_the_report_speaks_of_every_way() -> None:
    text = REPORT.read_text(encoding="utf-8")
    missing = [one.name for one in (*WAYS, *TRICKS) if f"| {one.name}" not in text]
    assert missing == []
