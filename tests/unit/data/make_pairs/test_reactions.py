"""The reaction templates and the generator that applies them."""

from __future__ import annotations

from collections import Counter

import pytest
from rdkit import Chem

from rtrl_chem.chem.reaction_templates import ALWAYS_CLASH, COMPETING, TEMPLATES, ReactionTemplate
from rtrl_chem.data.make_pairs.reactions import CompiledTemplate, Reaction, Recipe, admit_block, generate

BY_NAME = {t.name: t for t in TEMPLATES}


def react(template: ReactionTemplate, reactants: tuple[str, ...]) -> str | None:
    """The product under all the template's rules, or None."""
    compiled = CompiledTemplate(template)
    blocks = reactants[:-1] if template.reagent else reactants
    if not all(compiled.accepts(Chem.MolFromSmiles(s), slot) for slot, s in enumerate(blocks)):
        return None
    return compiled.product(reactants)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t.name)
def test_worked_example(template: ReactionTemplate) -> None:
    reactants, product = template.example
    assert react(template, tuple(reactants.split("."))) == Chem.CanonSmiles(product)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t.name)
def test_template_is_complete_and_refers_to_what_exists(template: ReactionTemplate) -> None:
    assert template.source and all(template.example)
    assert CompiledTemplate(template).reaction.Validate(silent=True) == (0, 0)
    assert {*ALWAYS_CLASH, *template.clashes, *template.tolerates} <= set(COMPETING)
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
    ("smiles", "admitted", "reason"),
    [
        pytest.param("OCC", "CCO", "", id="made canonical"),
        pytest.param("O=[N+]([O-])c1ccccc1", "O=[N+]([O-])c1ccccc1", "", id="nitro is neutral"),
        pytest.param("[N-]=[N+]=Nc1ccccc1", "[N-]=[N+]=Nc1ccccc1", "", id="azide is neutral"),
        pytest.param("C[N+](C)(C)CC(=O)[O-]", "", "charged or without carbon", id="zwitterion"),
        pytest.param("CC(=O)[O-]", "", "charged or without carbon", id="ion"),
        pytest.param("NN", "", "charged or without carbon", id="no carbon"),
        pytest.param("CCO.O", "", "several fragments", id="two fragments"),
        pytest.param("CCCCCCCCCCCCC", "", "heavy atoms outside 2..12", id="13 heavy atoms"),
        pytest.param("", "", "heavy atoms outside 2..12", id="empty"),
        pytest.param("C[Si](C)(C)C", "", "element outside B,Br,C,Cl,F,I,N,O,S", id="element"),
        pytest.param("CC(C)(C)OO", "", "unstable", id="peroxide"),
        pytest.param("[13CH3]CO", "", "isotope or radical", id="isotope"),
        pytest.param("not a molecule", "", "does not parse", id="prose"),
    ],
)
def test_admit_block(smiles: str, admitted: str, reason: str) -> None:
    assert admit_block(smiles) == (admitted, reason)


BLOCKS = ["CC(=O)O", "CCCO", "CCN", "Brc1ccccc1", "C#CCO", "CC(=O)c1ccccc1", "Oc1ccccc1", "C=CCBr"]


def test_generated_reactions_do_not_depend_on_the_run() -> None:
    reactions, pools = generate(BLOCKS)
    assert Reaction("CC(=O)O.CCCO", "CCCOC(C)=O", "fischer_esterification") in reactions
    assert generate(BLOCKS) == (reactions, pools)


def test_the_recipe_is_kept_to() -> None:
    reactions, _ = generate(BLOCKS, Recipe(cap=1, max_product_atoms=7))
    assert max(Counter(reaction.template for reaction in reactions).values()) == 1
    assert max(Chem.MolFromSmiles(reaction.product).GetNumHeavyAtoms() for reaction in reactions) <= 7
