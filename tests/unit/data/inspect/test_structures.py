from __future__ import annotations

from typing import Any

import pytest

from rtrl_chem.data.inspect.overlap import known_from
from rtrl_chem.data.inspect.structures import examine
from rtrl_chem.tasks import TASKS

MOLECULE, REACTANTS = TASKS["naming"].left, TASKS["reaction"].left


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        pytest.param("OCC", {"item": "CCO", "respelled": True, "groups": ("alcohol", "hydroxy")}, id="respelled"),
        pytest.param("CCO", {"respelled": False, "stereo": False, "open_stereo": False, "rings": 0}, id="plain"),
        pytest.param("C[C@H](N)O", {"stereo": True, "open_stereo": False}, id="stereo"),
        pytest.param("CC(N)O", {"stereo": False, "open_stereo": True}, id="stereo left open"),
        pytest.param("CC(=O)[O-].[Na+]", {"ions": True, "charge": 0, "fragments": 2}, id="salt"),
        pytest.param("C[N+](=O)[O-]", {"ions": False, "charge": 0}, id="nitro is no ion"),
        pytest.param("[13CH3]O", {"isotopes": True}, id="isotope"),
        pytest.param("C[CH2]", {"radicals": True}, id="radical"),
        pytest.param("*CC", {"wildcards": True, "block": "*CC"}, id="wildcard has no InChI"),
        pytest.param("[CH3:1]O", {"mapped": True}, id="atom map"),
        pytest.param("F/C=C\\\\F", {"repaired": True, "item": "F/C=C\\F"}, id="doubled backslash"),
        pytest.param("ClCBr", {"elements": (("Br", 1), ("C", 1), ("Cl", 1))}, id="elements"),
        pytest.param("ethanol", {"reason": "does not parse", "item": ""}, id="invalid"),
        pytest.param("CCO CC", {"reason": "white space"}, id="two words"),
    ],
)  # fmt: skip
def test_facts(smiles: str, expected: dict[str, Any]) -> None:
    facts = examine(smiles, MOLECULE)
    assert {key: getattr(facts, key) for key in expected} == expected


def test_the_block_forgets_stereo_charge_and_spelling() -> None:
    blocks = {examine(s, MOLECULE).block for s in ("C[C@H](N)C(=O)O", "OC(=O)[C@H](C)N", "CC([NH3+])C(=O)[O-]")}
    assert len(blocks) == 1 and len(blocks.pop()) == 14


def test_reactants_are_one_item() -> None:
    facts = examine("CCO.CC(=O)O", REACTANTS)
    assert (facts.fragments, facts.item, dict(facts.elements)) == (2, "CC(=O)O.CCO", {"C": 4, "O": 3})


def test_a_benchmark_knows_its_molecules_by_block_and_by_text() -> None:
    benchmark = known_from("mine", ["C[C@H](N)O", "[CH3:1][OH:2]", "no molecule", "*C"])
    assert len(benchmark.blocks) == 3
    assert {"C[C@H](N)O", "CC(N)O", "CO", "*C"} == set(benchmark.texts)
