from __future__ import annotations

import pytest
from rdkit import Chem

from rtrl_chem import chem
from rtrl_chem.chem.functional_groups import groups_named, groups_of
from rtrl_chem.data.bundled import bundled_path
from rtrl_chem.data.make_pairs.captions import PHRASINGS, caption, facts_of
from rtrl_chem.data.readers import open_lines


def captioned(smiles: str, key: str) -> str:
    facts = facts_of(Chem.MolFromSmiles(smiles))
    texts = (caption(smiles, facts, seed) for seed in range(200))
    return next(text for text, phrasing in texts if phrasing == key)


@pytest.mark.parametrize(
    ("smiles", "text"),
    [
        pytest.param("CC", "C2H6: none of the common functional groups; no rings.", id="nothing to tell"),
        pytest.param(
            "Oc1ccccc1", "C6H6O: a phenolic hydroxy group; one aromatic ring (a benzene ring).", id="one ring"
        ),
        pytest.param(
            "COC(=O)CCc1ccncc1-c1ccccc1F",
            "C15H14FNO2: an ester group and a fluoro substituent; two rings, all of them aromatic, "
            "including a benzene ring and a pyridine ring.",
            id="two rings",
        ),
        pytest.param("OCC(O)CO", "C3H8O3: three alcohol groups; no rings.", id="the special group alone"),
        pytest.param(
            "C[C@H](N)C(C)C(=O)[O-]",
            "C5H10NO2-: a carboxylate group and a primary amine group; no rings. Its net charge is -1. "
            "It has two stereocentres, one of them left open.",
            id="charge and stereo",
        ),
    ],
)
def test_what_a_caption_says(smiles: str, text: str) -> None:
    assert captioned(smiles, "brief") == text


def test_the_seed_and_the_molecule_choose_the_phrasing() -> None:
    facts = facts_of(Chem.MolFromSmiles("CCO"))
    assert caption("CCO", facts, 0) == caption("CCO", facts, 0)
    assert {caption("CCO", facts, seed)[1] for seed in range(100)} == set(PHRASINGS)
    assert caption("CCO", facts, 0, "ethanol")[0].endswith("Its IUPAC name is ethanol.")


def test_every_caption_is_true_complete_and_no_leak() -> None:
    """Of every sixtieth bundled molecule: what is read from the caption is there, what was to be told is read."""
    with open_lines(bundled_path("naming/test")) as lines:
        molecules = [line.split("\t")[0] for line in lines][1::60]
    for number, smiles in enumerate(molecules):
        facts = facts_of(Chem.MolFromSmiles(smiles))
        text, _ = caption(smiles, facts, number)
        named = groups_named(text)
        assert named <= groups_of(Chem.MolFromSmiles(smiles)), text
        assert {*facts.groups, *facts.ring_kinds} <= named, text
        assert chem.find_leak(smiles, text, source_is_molecule=True, output_is_molecule=False) is None
