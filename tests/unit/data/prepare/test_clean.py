"""What becomes of one row: mended, standardised, filtered, canonical, or dropped for a reason that says why."""

from __future__ import annotations

import pytest
from rdkit import Chem, rdBase
from rdkit.Chem import AllChem, rdDepictor

from rtrl_chem.chem import invalid_reason
from rtrl_chem.data.prepare.clean import Cleaner, Dropped, Job, Kept
from rtrl_chem.data.prepare.inputs import Kind
from rtrl_chem.data.prepare.settings import load_settings


def outcome(
    cell: str, *settings: str, domain: str = "molecule", kind: Kind = "text", tokenizer: str = ""
) -> Kept | str:
    job = Job(load_settings(None, settings), domain, None, tokenizer or None)  # type: ignore[arg-type]
    with rdBase.BlockLogs():
        [found] = Cleaner(job).clean([(cell, "")], kind)
    return found.reason if isinstance(found, Dropped) else found


def molecule(cell: str, *settings: str, kind: Kind = "text") -> str:
    """The SMILES of a cell, or why it is dropped, in angle brackets."""
    found = outcome(cell, *settings, kind=kind)
    return f"<{found}>" if isinstance(found, str) else str(found.columns[0])


@pytest.mark.parametrize(
    ("cell", "smiles"),
    [
        pytest.param(" OCC ", "CCO", id="canonical"),
        pytest.param("C/C=C\\\\C", "C/C=C\\C", id="doubled backslashes"),
        pytest.param("[CH3:2][OH:1]", "CO", id="atom maps"),
        pytest.param("CCO ethanol", "CCO", id="one word behind"),
        pytest.param("CCO\tan alcohol of two carbons", "CCO", id="a name after a tab"),
        pytest.param("CCO |lp:2:2|", "CCO", id="CXSMILES"),
        pytest.param("I agree", "<white space>", id="prose that begins with iodine"),
        pytest.param("CCO is the formula", "<white space>", id="prose that begins with ethanol"),
        pytest.param("", "<empty>", id="empty"),
        pytest.param("ethanol", "<does not parse>", id="a name"),
        pytest.param("C(C)(C)(C)(C)C", "<does not parse>", id="five bonds"),
        pytest.param("C\0C", "<NUL byte>", id="NUL"),
        pytest.param("C\udce9", "<not UTF-8>", id="Latin-1"),
        pytest.param("C" * 1_000_000, "<too long>", id="a megabyte"),
        pytest.param("C" * 5_000, "<too long>", id="longer than RDKit can write"),
        pytest.param("[H][H]", "<no heavy atom>", id="hydrogen"),
        pytest.param("*", "<no heavy atom>", id="a star"),
        pytest.param("C*", "<wildcard atom or query>", id="an attachment point"),
        pytest.param("C~C", "<wildcard atom or query>", id="any bond"),
        pytest.param("CC>>CO", "<a reaction>", id="a reaction"),
    ],
)
def test_molecules(cell: str, smiles: str) -> None:
    assert molecule(cell) == smiles


@pytest.mark.parametrize("text", ["", "CCO", "C C", "C\u00a0C", "xx", "[H]", "C" * 5_000, "\u00e9", "[Na+].[Cl-]"])
def test_a_plain_cell_is_valid_as_everywhere_else(text: str) -> None:
    found = outcome(text, "repair.names=false")
    assert (found if isinstance(found, str) else "") == invalid_reason(text.strip())


@pytest.mark.parametrize(
    ("cell", "setting", "smiles"),
    [
        ("C/C=C\\\\C", "repair.backslashes=false", "C/C=C\\C"),  # RDKit itself does not mind
        ("CCO ethanol", "repair.names=false", "<white space>"),
        ("[CH3:2][OH:1]", "repair.atom_maps=false", "[OH:1][CH3:2]"),
        ("C*", "filter.wildcards=true", "*C"),
        ("OCC", "canonicalize=false", "OCC"),
        ("CC(=O)[O-].[Na+]", "standardize.largest_fragment=true", "CC(=O)[O-]"),
        ("CC(=O)[O-]", "standardize.uncharge=true", "CC(=O)O"),
        ("CC(O)=CC", "standardize.tautomer=true", "CCC(C)=O"),
        ("CCO", "filter.min_heavy_atoms=4", "<too few heavy atoms>"),
        ("CCO", "filter.max_heavy_atoms=2", "<too many heavy atoms>"),
        ("CCO", "filter.max_heavy_atoms=3", "CCO"),
        ("CCCl", "filter.elements=[C, O]", "<other elements>"),
        ("CC[2H]", "filter.elements=[C, O]", "[2H]CC"),
        ("CCO", "filter.min_weight=46.1", "<too light>"),
        ("CCO", "filter.max_weight=46.0", "<too heavy>"),
        ("CCO", "filter.max_weight=46.1", "CCO"),
    ],
)
def test_steps_are_optional(cell: str, setting: str, smiles: str) -> None:
    assert molecule(cell, setting) == smiles


def test_what_was_mended_is_told() -> None:
    found = outcome("[CH3:1]/C=C\\\\C name")
    assert isinstance(found, Kept)
    assert found.repaired == ("names", "backslashes", "atom_maps")


@pytest.mark.parametrize(
    ("dedup", "one", "other", "same"),
    [
        ("canonical", "C[C@H](N)C(=O)O", "N[C@@H](C)C(O)=O", True),
        ("canonical", "C[C@H](N)C(=O)O", "CC(N)C(=O)O", False),
        ("stereo_free", "C[C@H](N)C(=O)O", "CC(N)C(=O)O", True),
        ("stereo_free", "CC=O", "C=CO", False),
        ("inchikey", "Oc1ccccn1", "O=c1cccc[nH]1", True),
        ("inchikey", "C[C@H](N)C(=O)O", "CC(N)C(=O)O", False),
        ("inchikey", "*CC", "CC*", True),
    ],
)
def test_keys(dedup: str, one: str, other: str, same: bool) -> None:
    settings = (f"dedup={dedup}", "filter.wildcards=true")
    keys = [found.key for cell in (one, other) if isinstance(found := outcome(cell, *settings), Kept)]
    assert len(keys) == 2
    assert (keys[0] == keys[1]) is same


def mol_block(smiles: str) -> str:
    mol = Chem.MolFromSmarts(smiles) if "," in smiles else Chem.MolFromSmiles(smiles)
    rdDepictor.Compute2DCoords(mol)
    return str(Chem.MolToMolBlock(mol))


@pytest.mark.parametrize(
    ("block", "smiles"),
    [
        pytest.param(mol_block("C[C@H](N)C(=O)O"), "C[C@H](N)C(=O)O", id="stereo"),
        pytest.param(mol_block("[CH3:3]O"), "CO", id="atom maps"),
        pytest.param(mol_block("[C,N]CC"), "<wildcard atom or query>", id="an atom list"),
        pytest.param(mol_block("*CC"), "<wildcard atom or query>", id="an R group"),
        pytest.param("no mol block\n\n\n", "<does not parse>", id="garbage"),
        pytest.param("\n\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n", "<no heavy atom>", id="no atoms"),
    ],
)
def test_mol_blocks(block: str, smiles: str) -> None:
    assert molecule(block, kind="mol block") == smiles


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        pytest.param("OCC.C>>CC", ("C.CCO", None, "CC"), id="fragments are sorted"),
        pytest.param("CC>O.N>CO", ("CC", "N.O", "CO"), id="reagents"),
        pytest.param("[CH3:1][Br:2].[OH2:3]>>[CH3:1][OH:3]", ("CBr.O", None, "CO"), id="atom maps"),
        pytest.param("[NH3]->[Fe]>>CC", ("[NH3]->[Fe]", None, "CC"), id="a dative bond"),
        pytest.param("CC>>CO |f:0.1|", ("CC", None, "CO"), id="CXSMILES"),
        pytest.param("CC", "not a reaction", id="a molecule"),
        pytest.param(">>CC", "no reactants", id="no reactants"),
        pytest.param("CC>O>", "no product", id="no product"),
        pytest.param("CC>>xx", "product: does not parse", id="bad product"),
        pytest.param("xx>>CC", "reactants: does not parse", id="bad reactants"),
        pytest.param("CC>xx>CC", "reagents: does not parse", id="bad reagents"),
        pytest.param("CC>>C*", "product: wildcard atom or query", id="an attachment point"),
        pytest.param("", "empty", id="empty"),
    ],
)
def test_reactions(cell: str, found: tuple[str | None, ...] | str) -> None:
    got = outcome(cell, domain="reaction")
    assert (got if isinstance(got, str) else got.columns) == found


def test_reactions_that_differ_by_reagents_are_one() -> None:
    keys = {found.key for cell in ("CC>O>CO", "CC>>CO") if isinstance(found := outcome(cell, domain="reaction"), Kept)}
    assert keys == {"CC>>CO"}


def test_filters_hold_for_both_sides_of_a_reaction() -> None:
    assert outcome("CCC>>C", "filter.max_heavy_atoms=2", domain="reaction") == "reactants: too many heavy atoms"
    assert outcome("C>>CCC", "filter.max_heavy_atoms=2", domain="reaction") == "product: too many heavy atoms"


def test_rxn_blocks() -> None:
    reaction = AllChem.ReactionFromSmarts("[CH3:1][Br:2].[OH2:3]>O>[CH3:1][OH:3]", useSmiles=True)
    block = AllChem.ReactionToRxnBlock(reaction, separateAgents=True)
    got = outcome(block, domain="reaction", kind="RXN block")
    assert isinstance(got, Kept)
    assert got.columns == ("CBr.O", "O", "CO")
    assert outcome("$RXN\njunk", domain="reaction", kind="RXN block") == "does not parse"


@pytest.mark.parametrize("method", ["hash", "scaffold"])
def test_the_split_is_that_of_the_library(method: str) -> None:
    from rtrl_chem.data import hash_split, scaffold_split

    function = {"hash": hash_split, "scaffold": scaffold_split}[method]
    shares = {"train": 0.5, "test": 0.5}
    for smiles in ("CCO", "c1ccccc1C", "C1CCCCC1O", "CCN", "Cc1ccncc1"):
        settings = (f"split.method={method}", "split.shares={train: 0.5, test: 0.5}", "split.salt=x")
        found = outcome(smiles, *settings)
        assert isinstance(found, Kept)
        assert found.split == function(str(found.columns[0]), shares, "x")


def test_tokens_are_those_of_the_tokenizer() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    letters = Tokenizer(models.WordLevel({c: i for i, c in enumerate("CON()=1")}, unk_token="C"))
    letters.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    settings = ("filter.max_tokens=3", "filter.tokenizer=any")
    results = [outcome(smiles, *settings, tokenizer=letters.to_str()) for smiles in ("CCO", "CC=O")]
    assert isinstance(results[0], Kept)
    assert results[1] == "too many tokens"


def test_a_row_that_rdkit_fails_on_is_set_aside_and_the_next_ones_keep_their_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = Chem.MolToSmiles

    def failing(mol: Chem.Mol | None) -> str:
        if mol is not None and mol.GetNumAtoms() == 2:
            raise RuntimeError("Invariant Violation")
        return str(write(mol))

    monkeypatch.setattr(Chem, "MolToSmiles", failing)
    cells = ["OCC", "CC", "xx", "", "C"]
    with rdBase.BlockLogs():
        found = Cleaner(Job(load_settings(None), "molecule")).clean([(cell, "") for cell in cells], "text")
    told = [one.reason if isinstance(one, Dropped) else one.columns[0] for one in found]
    assert told == ["CCO", "RDKit cannot write it", "does not parse", "empty", "C"]
