"""The reaction templates, the generator that applies them, and the corpus it has written."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from functools import lru_cache
from itertools import permutations
from pathlib import Path

import pytest
from build_reaction_data import (
    MAX_PRODUCT_ATOMS,
    SPLITS,
    CompiledTemplate,
    Reaction,
    admit_block,
    generate,
    split_of,
    write_splits,
)
from rdkit import Chem
from reaction_templates import ALWAYS_CLASH, GROUPS, TEMPLATES, ReactionTemplate

ASSETS = Path(__file__).parents[3] / "rtrl_chem" / "assets" / "reaction"
BY_NAME = {t.name: t for t in TEMPLATES}
LABELLED_SPLITS = [s for s in SPLITS if s != "unlabelled"]


def react(template: ReactionTemplate, reactants: tuple[str, ...]) -> str | None:
    """The product under all the template's rules, or None."""
    compiled = CompiledTemplate(template)
    blocks = reactants[:-1] if template.reagent else reactants
    if not all(compiled.accepts(Chem.MolFromSmiles(s), slot) for slot, s in enumerate(blocks)):
        return None
    return compiled.product(reactants)


@lru_cache
def rows(split: str) -> list[dict[str, str]]:
    with gzip.open(ASSETS / f"{split}.tsv.gz", "rt", encoding="utf8") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t.name)
def test_worked_example(template: ReactionTemplate) -> None:
    reactants, product = template.example
    assert react(template, tuple(reactants.split("."))) == Chem.CanonSmiles(product)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t.name)
def test_template_is_complete_and_refers_to_what_exists(template: ReactionTemplate) -> None:
    assert template.source and all(template.example)
    assert CompiledTemplate(template).reaction.Validate(silent=True) == (0, 0)
    assert {*ALWAYS_CLASH, *template.clashes, *template.tolerates} <= set(GROUPS)
    assert template.feedstock in {"", *BY_NAME}
    assert template.example[0].endswith(template.reagent)


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(TEMPLATES) >= 20


@pytest.mark.parametrize(
    ("name", "reactants"),
    [
        pytest.param("amide_coupling", "OC(=O)c1ccccc1.NCCN", id="two amines"),
        pytest.param("amide_coupling", "OC(=O)c1ccccc1.CC(N)=O", id="an amide is no amine"),
        pytest.param("amide_coupling", "NCC(=O)O.NCc1ccccc1", id="acid that is also the amine"),
        pytest.param("suzuki", "Brc1ccc(I)cc1.OB(O)c1ccccc1", id="two aryl halides"),
        pytest.param("williamson_ether", "Oc1ccccc1.ClCCBr", id="two alkyl halides"),
        pytest.param("grignard_addition", "Brc1ccc(O)cc1.CC(C)=O", id="acidic proton quenches RMgBr"),
        pytest.param("grignard_addition", "Brc1ccccc1.CC(=O)CC(=O)OC", id="ester competes for RMgBr"),
        pytest.param("boc_protection", "NCc1ccc(O)cc1.CC(C)(C)OC(=O)OC(=O)OC(C)(C)C", id="phenol competes"),
        pytest.param("carbonyl_reduction", "CC(=O)c1ccc([N+](=O)[O-])cc1", id="nitro: which reduction?"),
        pytest.param("diels_alder", "C=CC(C)=C.C=CC#N", id="two regioisomers"),
        pytest.param("diels_alder", "C=C=C1C=CC=C1.C=CC#N", id="allene in the diene's ring"),
        pytest.param("diels_alder", "C=CC=C.CC=CC#N", id="open-chain inner double bond"),
    ],
)
def test_refuses_ambiguous_or_incompatible_blocks(name: str, reactants: str) -> None:
    assert react(BY_NAME[name], tuple(reactants.split("."))) is None


@pytest.mark.parametrize(
    ("name", "reactants", "product"),
    [
        pytest.param("amide_coupling", "C[C@H](O)C(=O)O.CN", "CNC(=O)[C@H](C)O", id="beside the reacting carbon"),
        pytest.param(
            "epoxide_opening", "C1O[C@@H]1c1ccccc1.CNC", "CN(C)C[C@H](O)c1ccccc1", id="the epoxide's kept carbon"
        ),
        pytest.param("williamson_ether", "Oc1ccccc1.BrC/C=C/C", "C/C=C/COc1ccccc1", id="double bond"),
    ],
)
def test_stereo_outside_the_broken_bonds_is_kept(name: str, reactants: str, product: str) -> None:
    assert react(BY_NAME[name], tuple(reactants.split("."))) == Chem.CanonSmiles(product)


@pytest.mark.parametrize(
    ("smiles", "admitted"),
    [
        pytest.param("OCC", "CCO", id="made canonical"),
        pytest.param("O=[N+]([O-])c1ccccc1", "O=[N+]([O-])c1ccccc1", id="nitro is neutral"),
        pytest.param("[N-]=[N+]=Nc1ccccc1", "[N-]=[N+]=Nc1ccccc1", id="azide is neutral"),
        pytest.param("C[N+](C)(C)CC(=O)[O-]", None, id="zwitterion"),
        pytest.param("CC(=O)[O-]", None, id="ion"),
        pytest.param("CCO.O", None, id="two fragments"),
        pytest.param("CCCCCCCCCCCCC", None, id="13 heavy atoms"),
        pytest.param("C[Si](C)(C)C", None, id="element"),
        pytest.param("CC(C)(C)OO", None, id="peroxide"),
        pytest.param("[13CH3]CO", None, id="isotope"),
        pytest.param("not a molecule", None, id="prose"),
    ],
)
def test_admit_block(smiles: str, admitted: str | None) -> None:
    assert admit_block(smiles) == admitted


def test_generated_reactions_do_not_depend_on_the_run(tmp_path: Path) -> None:
    blocks = ["CC(=O)O", "CCCO", "CCN", "Brc1ccccc1", "C#CCO", "CC(=O)c1ccccc1", "Oc1ccccc1", "C=CCBr"]
    reactions, _ = generate(blocks)
    assert Reaction("CC(=O)O.CCCO", "CCCOC(C)=O", "fischer_esterification") in reactions
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_splits(generate(blocks)[0], tmp_path / folder)
    for split in SPLITS:
        name = f"{split}.tsv.gz"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_no_product_twice_or_in_two_splits() -> None:
    counts = Counter(row["product"] for split in SPLITS for row in rows(split))
    assert counts and max(counts.values()) == 1


@pytest.mark.parametrize("split", list(SPLITS))
def test_bundled_products_are_canonical_small_and_where_their_hash_says(split: str) -> None:
    for product in (row["product"] for row in rows(split)[::10]):
        mol = Chem.MolFromSmiles(product)
        assert Chem.MolToSmiles(mol) == product
        assert mol.GetNumHeavyAtoms() <= MAX_PRODUCT_ATOMS
        assert split_of(product) == split


def test_bundled_reactant_sets_have_one_product() -> None:
    counts = Counter(row["reactants"] for split in LABELLED_SPLITS for row in rows(split))
    assert max(counts.values()) == 1


@pytest.mark.parametrize("name", list(BY_NAME))
def test_bundled_reactions_follow_their_template(name: str) -> None:
    chosen = [row for row in rows("validation") if row["template"] == name][:5]
    assert chosen
    for row in chosen:
        fragments = row["reactants"].split(".")
        assert fragments == sorted(map(Chem.CanonSmiles, fragments))
        assert row["product"] in {react(BY_NAME[name], order) for order in permutations(fragments)}


def test_manifest_agrees_with_the_files() -> None:
    manifest = json.loads((ASSETS / "manifest.json").read_text())
    assert manifest["synthetic"] is True
    assert manifest["splits"] == {split: len(rows(split)) for split in SPLITS}
    assert set(manifest["templates"]) == set(BY_NAME)
    assert sum(manifest["templates"].values()) == manifest["reactions"] == sum(manifest["splits"].values())


def test_unlabelled_holds_products_only() -> None:
    assert set(rows("unlabelled")[0]) == {"product"}
