"""Molecules that are the source in all but spelling, and those that only share its atoms."""

from __future__ import annotations

import csv
import gzip
import random
from pathlib import Path

import pytest
from cheating_ways import TRICKS
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrl_chem.chem import find_leak, find_leak_batch

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
IBUPROFEN = "CC(C)Cc1ccc([C@H](C)C(=O)O)cc1"


@pytest.mark.parametrize(
    ("x", "y", "way"),
    [
        pytest.param(ASPIRIN, "O=C(O)c1ccccc1OC(C)=O", "unchanged", id="respelt"),
        pytest.param(ASPIRIN, f"CCN.{ASPIRIN}.CCN", "unchanged", id="spectator"),
        pytest.param(IBUPROFEN, "CC(C)Cc1ccc([C@@H](C)C(=O)O)cc1", "other form", id="mirror-image"),
        pytest.param(IBUPROFEN, "CC(C)Cc1ccc(C(C)C(=O)O)cc1.O", "other form", id="no-stereo"),
        pytest.param(ASPIRIN, "CC(=O)Oc1ccccc1C(=O)[O-].[Na+]", "other form", id="salt"),
        pytest.param("CCN(CC)CCc1ccccc1", "CC[NH+](CC)CCc1ccccc1.[Cl-]", "other form", id="hydrochloride"),
        pytest.param(ASPIRIN, "[13CH3]C(=O)Oc1ccccc1C(=O)O", "other form", id="isotope"),
        pytest.param(ASPIRIN, "[2H]CC(=O)Oc1ccccc1C(=O)O", "other form", id="deuterium"),
        pytest.param(ASPIRIN, "[CH3:1]C(=O)Oc1ccccc1C(=O)O", "other form", id="atom-map"),
        pytest.param(ASPIRIN, "*CC(=O)Oc1ccccc1C(=O)O", "other form", id="dummy-atom"),
        pytest.param("CC(=O)CC(=O)OCC", "CC(O)=CC(=O)OCC", "other form", id="enol"),
        pytest.param(ASPIRIN, "CC=O.O=C(O)c1ccccc1O", "cut", id="cut"),
        pytest.param(ASPIRIN, "CC(=O)*.*Oc1ccccc1C(=O)O.CCN", "cut", id="cut-beside-a-reagent"),
        pytest.param(ASPIRIN, "CC=O.Oc1ccccc1.O=CO", "cut", id="cut-twice"),
        pytest.param("CCO", "CC.O", "cut", id="cut-a-small-one"),
        pytest.param(ASPIRIN, "CC(=O)OC(C)=O.O=C(O)c1ccccc1O", None, id="acetylation"),
        pytest.param(ASPIRIN, "CC(=O)Oc1ccccc1C(=O)OC", None, id="protected"),
        pytest.param(ASPIRIN, "CC(=O)Oc1ccccc1C=O", None, id="oxidation"),
        pytest.param("CC(O)c1ccccc1", "CC(=O)c1ccccc1", None, id="reduction"),
        pytest.param("CCc1ccccc1", "C=Cc1ccccc1", None, id="hydrogenation"),
        pytest.param("CC(=O)CC(O)c1ccccc1", "CC(C)=O.O=Cc1ccccc1", None, id="aldol"),
        pytest.param("O=C(Nc1ccccc1)NC1CCCCC1", "O=C=Nc1ccccc1.NC1CCCCC1", None, id="urea"),
        pytest.param("c1ccc(-c2ccccc2)cc1", "Brc1ccccc1.OB(O)c1ccccc1", None, id="coupling"),
        pytest.param("c1ccccc1", "[H+]", None, id="proton"),
    ],
)
def test_forms_of_the_source(x: str, y: str, way: str | None) -> None:
    leak = find_leak(x, y, True, True)
    assert (leak.way if leak else None) == way


@settings(deadline=None)
@given(st.sampled_from(TRICKS), st.sampled_from([ASPIRIN, IBUPROFEN, "OC1CCN(Cc2ccncc2)CC1"]), st.integers(0, 2**31))
def test_tricks_are_leaks_and_chemistry_is_none(trick: object, x: str, seed: int) -> None:
    y = trick.hide(x, random.Random(seed))  # type: ignore[attr-defined]
    assert y is None or (find_leak(x, y, True, True) is None) == trick.honest  # type: ignore[attr-defined]


def test_few_alarms_on_real_reactions(shared_data: Path) -> None:
    with gzip.open(shared_data / "uspto50k/uspto50k.tsv.gz", "rt") as file:
        rows = [row for row, _ in zip(csv.DictReader(file, delimiter="\t"), range(1_000), strict=False)]
    products, reactants = [row["product"] for row in rows], [row["reactants"] for row in rows]
    for x, y in ((products, reactants), (reactants, products)):
        assert sum(leak is not None for leak in find_leak_batch(x, y, True, True)) < 0.002 * len(rows)
