from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem, rdBase

from rtrl_chem.chem.functional_groups import _WORDS, GROUPS, IMPLIES, groups_named, groups_of


def of(smiles: str) -> set[str]:
    return set(groups_of(Chem.MolFromSmiles(smiles)))


@pytest.mark.parametrize(
    ("smiles", "groups"),
    [
        pytest.param("CCO", {"alcohol", "hydroxy"}, id="alcohol"),
        pytest.param("Oc1ccccc1", {"phenol", "hydroxy", "benzene ring"}, id="a phenol is no alcohol"),
        pytest.param("CC(=O)O", {"carboxylic acid"}, id="the OH of an acid is no hydroxy group"),
        pytest.param("CC(=O)[O-]", {"carboxylate"}, id="carboxylate"),
        pytest.param("CC(=O)OC", {"ester"}, id="the O of an ester is no ether"),
        pytest.param("O=C1CCCO1", {"ester", "lactone"}, id="lactone"),
        pytest.param("O=c1ccc2ccccc2o1", {"ester", "lactone", "benzene ring"}, id="coumarin"),
        pytest.param("CC(N)=O", {"amide"}, id="the N of an amide is no amine"),
        pytest.param("O=C1CCCN1", {"amide", "lactam"}, id="lactam"),
        pytest.param("O=C1CCC(=O)N1", {"amide", "lactam", "imide"}, id="imide"),
        pytest.param("NC(N)=O", {"urea"}, id="urea"),
        pytest.param("COC(=O)NC", {"carbamate"}, id="carbamate"),
        pytest.param("CC(=O)OC(C)=O", {"anhydride"}, id="anhydride is no ester"),
        pytest.param("CC(=O)Cl", {"acyl chloride"}, id="acyl chloride is no chloro"),
        pytest.param("CC(C)=O", {"ketone"}, id="ketone"),
        pytest.param("CC=O", {"aldehyde"}, id="aldehyde"),
        pytest.param("CN", {"amine", "primary amine"}, id="primary amine"),
        pytest.param("CNC", {"amine", "secondary amine"}, id="secondary amine"),
        pytest.param("CN(C)C", {"amine", "tertiary amine"}, id="tertiary amine"),
        pytest.param("C[N+](C)(C)C", {"ammonium"}, id="ammonium"),
        pytest.param("NC(=N)N", {"guanidine"}, id="guanidine is no amidine"),
        pytest.param("CC(N)=N", {"amidine"}, id="amidine"),
        pytest.param("C1CO1", {"epoxide", "ether"}, id="epoxide"),
        pytest.param("COCC", {"ether", "methoxy"}, id="methoxy"),
        pytest.param("CC#N", {"nitrile"}, id="nitrile"),
        pytest.param("C[N+](=O)[O-]", {"nitro"}, id="nitro"),
        pytest.param("CO[N+](=O)[O-]", set(), id="a nitrate is no nitro compound"),
        pytest.param("CC=NC", {"imine"}, id="imine"),
        pytest.param("CC=NO", {"oxime"}, id="oxime is no imine"),
        pytest.param("CC=NNC", {"hydrazone"}, id="hydrazone"),
        pytest.param("CNNC", {"hydrazine"}, id="hydrazine"),
        pytest.param("CC(=O)NN", {"amide", "hydrazide"}, id="hydrazide"),
        pytest.param("CN=[N+]=[N-]", {"azide"}, id="azide"),
        pytest.param("CS", {"thiol"}, id="thiol"),
        pytest.param("CSC", {"sulfide"}, id="sulfide"),
        pytest.param("CSSC", {"disulfide"}, id="disulfide is no sulfide"),
        pytest.param("CS(C)=O", {"sulfoxide"}, id="sulfoxide"),
        pytest.param("CS(C)(=O)=O", {"sulfone"}, id="sulfone"),
        pytest.param("CS(N)(=O)=O", {"sulfonamide"}, id="the N of a sulfonamide is no amine"),
        pytest.param("CS(=O)(=O)O", {"sulfonic acid"}, id="sulfonic acid"),
        pytest.param("COP(=O)(O)O", {"phosphate"}, id="phosphate"),
        pytest.param("FC(Cl)(Br)I", {"fluoro", "chloro", "bromo", "iodo"}, id="halides"),
        pytest.param("C=CC#C", {"alkene", "alkyne"}, id="unsaturated"),
        pytest.param("c1ccc2ncccc2c1", {"benzene ring", "pyridine ring"}, id="quinoline, fused"),
        pytest.param("O=c1cccc[nH]1", set(), id="pyridone is neither"),
    ],
)
def test_groups_of(smiles: str, groups: set[str]) -> None:
    found = of(smiles)
    assert found == groups
    assert all(found.issuperset(general) for special, general in IMPLIES.items() if special in found)


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        pytest.param("It is a primary alcohol.", {"alcohol", "hydroxy"}, id="one"),
        pytest.param("It has two hydroxy groups and a nitro substituent.", {"hydroxy", "nitro"}, id="substituents"),
        pytest.param("a tertiary amine and a ketone", {"amine", "tertiary amine", "ketone"}, id="amines"),
        pytest.param("It is a member of phenols and ketones", {"phenol", "hydroxy", "ketone"}, id="plural"),
        pytest.param("a monocarboxylic acid amide", {"amide"}, id="acid amide is no acid"),
        pytest.param("It is a dicarboxylic acid.", {"carboxylic acid"}, id="counted"),
        pytest.param("a carbamate ester", {"carbamate"}, id="carbamate ester is no ester"),
        pytest.param("an organochlorine compound", {"chloro"}, id="adjective"),
        pytest.param("4-hydroxybenzoic acid with 2-(methylamino)ethyl", set(), id="inside a name"),
        pytest.param("It derives from an alcohol.", set(), id="another molecule"),
        pytest.param("an ester obtained from the carboxy group of A and an alcohol", {"ester"}, id="origin"),
        pytest.param("ethane in which the hydroxy group is replaced by a chloro group", {"chloro"}, id="replaced"),
        pytest.param("It has no nitro group, but a nitrile", {"nitrile"}, id="denied"),
        pytest.param("", set(), id="empty"),
        pytest.param("ethereal alcoholism, estery", set(), id="whole words"),
    ],
)  # fmt: skip
def test_groups_named(text: str, groups: set[str]) -> None:
    assert groups_named(text) == groups


def test_every_group_has_words_and_is_found_by_its_own_name() -> None:
    assert list(_WORDS) == list(GROUPS)
    assert [name for name in GROUPS if name not in groups_named(f"It has a {name}.")] == []


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    assert groups_named(text) <= set(GROUPS)


def test_what_captions_by_chemists_claim_is_there(shared_data: Path) -> None:
    """Every tenth of ChEBI-20's validation captions: at least 19 of 20 groups that are read from them are right."""
    claims = right = 0
    with rdBase.BlockLogs(), open(shared_data / "chebi20" / "validation.txt", encoding="utf8") as lines:
        for row in islice(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE), 0, None, 10):
            mol = Chem.MolFromSmiles(row["SMILES"])
            named = groups_named(row["description"]) if mol else frozenset()
            claims += len(named)
            right += len(named & groups_of(mol)) if mol else 0
    assert claims > 200 and right / claims >= 0.95
