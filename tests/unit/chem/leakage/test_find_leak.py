from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from rtrl_chem.chem.leakage import Leak, find_leak, find_leak_batch, is_copy, is_copy_batch

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
LONG_ALCOHOL = "CCCCCCCCCCCO"
# Repeats of one sugar: compared with itself as a graph without bond orders it would not end.
CHAIN = "C" + "".join("[C@H]1O[C@H](COS(=O)(=O)O)[C@@H]([C@H](O)[C@H]1O)O" for _ in range(8))


def _text(leak: Leak | None) -> str | None:
    return None if leak is None else str(leak)


@pytest.mark.parametrize(
    ("source", "output", "leak"),
    [
        pytest.param("CCO", "CCO", "CCO", id="short-source-alone"),
        pytest.param("CCO", "the alcohol CCO.", "CCO", id="short-source-as-a-token"),
        pytest.param("CCO", "the alcohol (OCC)", None, id="short-respelling-in-brackets-of-a-name"),
        pytest.param("CCO", "the alcohol OCC.", "OCC", id="short-source-respelled"),
        pytest.param("CCO", "C C O", "CCO", id="short-source-spaced-out"),
        pytest.param("CO", " CO ", "CO", id="two-letters-alone"),
        pytest.param(ASPIRIN, ASPIRIN, ASPIRIN, id="long-source-alone"),
        pytest.param(ASPIRIN, f"2-acetyl{ASPIRIN}oic acid", ASPIRIN, id="long-source-glued-to-words"),
        pytest.param(ASPIRIN, "SMILES: " + " ".join(ASPIRIN), ASPIRIN, id="long-source-spaced-out"),
        pytest.param(ASPIRIN, "it is O=C(O)c1ccccc1OC(C)=O, a drug", "O=C(O)c1ccccc1OC(C)=O", id="respelled"),
        pytest.param(ASPIRIN, "acid OC(=O)C1=CC=CC=C1OC(C)=O", "OC(=O)C1=CC=CC=C1OC(C)=O", id="kekule-form"),
        pytest.param(ASPIRIN, "pro(O=C(O)c1ccccc1OC(C)=O)ol", "o(O=C(O)c1ccccc1OC(C)=O)o", id="respelled-and-glued"),
        pytest.param(ASPIRIN, "nocCC(=O)Oc1ccccc1C", "CC(=O)Oc1ccccc1C", id="most-of-it-glued"),
        pytest.param(ASPIRIN, "acid c1ccccc1OC(C)=O", "c1ccccc1OC(C)=O", id="most-of-it"),
        pytest.param(ASPIRIN, "CC(=O)Oc1ccccc1C(=", "CC(=O)Oc1ccccc1C(=", id="cut-in-a-branch"),
        pytest.param(ASPIRIN, "CC(=O)Oc1cccc", "CC(=O)Oc1cccc", id="cut-in-a-ring"),
        pytest.param(
            ASPIRIN,
            "O=C(O)c1ccccc1OC(C)=O.CCCCCCCCCCCCCCC",
            "O=C(O)c1ccccc1OC(C)=O.CCCCCCCCCCCCCCC",
            id="beside-a-stranger",
        ),
        pytest.param(ASPIRIN, "CCCCCCCCCCOC(=O)c1ccccc1OC(C)=O", "CCCCCCCCCCOC(=O)c1ccccc1OC(C)=O", id="inside-larger"),
        pytest.param("[Na+].OC(=O)c1ccccc1", "sodium OC(=O)c1ccccc1", "OC(=O)c1ccccc1", id="main-fragment-of-a-salt"),
        pytest.param(ASPIRIN, "acid c1ccccc1", None, id="less-than-half"),
        pytest.param(ASPIRIN, "1-(CCCCCCCCCC)ol", None, id="another-molecule"),
        pytest.param(LONG_ALCOHOL, "undecan-1-ol", None, id="right-name"),
        pytest.param("CCO", "ethanol", None, id="right-short-name"),
        pytest.param("CCO", "N-(CCO)methyl", None, id="short-token-inside-a-name"),
        pytest.param("CCO", "CCOC is an ether", None, id="part-of-a-longer-token"),
        pytest.param("C", "vitamin C and C", None, id="one-letter-word"),
        pytest.param("CO", "poisoned by CO and CO2", None, id="two-letter-word"),
        pytest.param("N", "N,N-dimethylaniline", None, id="locant"),
        pytest.param("C1CC1", "benzo[c]cinnoline", None, id="fusion-letter"),
        pytest.param(ASPIRIN, "", None, id="empty-output"),
        pytest.param("no molecule", "O=C(O)c1ccccc1OC(C)=O", None, id="source-that-does-not-parse"),
    ],
)
def test_leaks_of_a_molecule_into_text(source: str, output: str, leak: str | None) -> None:
    assert _text(find_leak(source, output, source_is_molecule=True, output_is_molecule=False)) == leak


@given(st.sampled_from([ASPIRIN, LONG_ALCOHOL, "C[C@H](N)C(=O)N[C@@H](CC(C)C)C(=O)O"]), st.integers(0, 2**31 - 1))
def test_every_spelling_is_caught(smiles: str, seed: int) -> None:
    other = Chem.MolToRandomSmilesVect(Chem.MolFromSmiles(smiles), 1, randomSeed=seed)[0]
    assert find_leak(smiles, f"The molecule is {other}.", True, False) is not None


@given(st.text(max_size=60), st.text(max_size=60), st.booleans(), st.booleans())
def test_any_text_gets_an_answer(source: str, output: str, from_molecule: bool, to_molecule: bool) -> None:
    assert _text(find_leak(source, output, from_molecule, to_molecule)) in (None, source) or from_molecule
    assert is_copy(source, source) == bool(source.strip())


@pytest.mark.parametrize(
    ("source", "output", "leak"),
    [
        pytest.param("CCO.CC(=O)O", "CC(=O)O.OCC", "CC(=O)O.CCO", id="all-of-it"),
        pytest.param(ASPIRIN, f"CCN.{ASPIRIN}", ASPIRIN, id="spectator"),
        pytest.param(f"{ASPIRIN}.CCN", f"{ASPIRIN}.CCCC", ASPIRIN, id="its-larger-part"),
        pytest.param("CCO", "CCO.CCN", "CCO", id="small-spectator"),
        pytest.param(f"{ASPIRIN}.CCN", "CCN.CCCC", None, id="only-a-small-reagent-shared"),
        pytest.param("CCO.O", "CC=O.O", None, id="water-shared"),
        pytest.param("CC(=O)Cl.NCC", "CCNC(C)=O", None, id="a-reaction"),
        pytest.param("CCO", "not valid", None, id="invalid-output"),
    ],
)
def test_leaks_between_molecules(source: str, output: str, leak: str | None) -> None:
    assert _text(find_leak(source, output, source_is_molecule=True, output_is_molecule=True)) == leak


@pytest.mark.parametrize(
    ("source", "output", "leaks"),
    [
        pytest.param("2-methylpropan-1-ol", "CC(C)CO 2-Methylpropan-1-ol", True, id="name-after-smiles"),
        pytest.param("2-methylpropan-1-ol", "CC(C)CO", False, id="molecule"),
        pytest.param("tin", "[Sn]", False, id="short-name"),
        pytest.param("tin", "it is tin", True, id="short-name-as-a-word"),
        pytest.param("tin", "nicotine", False, id="short-name-inside-a-word"),
        pytest.param("", "CCO", False, id="empty-source"),
    ],
)
@pytest.mark.parametrize("output_is_molecule", [True, False], ids=["to-molecule", "to-text"])
def test_leaks_of_a_text(source: str, output: str, leaks: bool, output_is_molecule: bool) -> None:
    assert (find_leak(source, output, False, output_is_molecule) is not None) == leaks


@pytest.mark.parametrize(
    ("source", "output", "copy"),
    [
        pytest.param("CCO", "CCO", True, id="same"),
        pytest.param("CCO", " OCC\n", True, id="other-spelling"),
        pytest.param("CCO.CN", "NC.OCC", True, id="fragments-in-any-order"),
        pytest.param("CCO", "cco", True, id="other-case"),
        pytest.param("C1CCCCC1", "c1ccccc1", False, id="hydrogenation"),
        pytest.param("C[C@H](N)O", "C[C@@H](N)O", False, id="enantiomer"),
        pytest.param("Propan-2-ol", "propan-2-OL ", True, id="name"),
        pytest.param("CCO", "ethanol", False, id="translation"),
        pytest.param("", "", False, id="empty"),
    ],
)
def test_is_copy(source: str, output: str, copy: bool) -> None:
    assert is_copy(source, output) is copy


def test_batch_forms_refuse_uneven_lists() -> None:
    assert find_leak_batch(["CCO", "CCO"], ["ethanol", "CCO"], True, False) == [None, Leak("CCO", "SMILES")]
    assert is_copy_batch(["CCO", "CCO"], ["ethanol", "CCO"]) == [False, True]
    for batch in (lambda: find_leak_batch(["C"], [], True, False), lambda: is_copy_batch(["C"], [])):
        with pytest.raises(ValueError):
            batch()


@pytest.mark.parametrize(
    "output",
    [
        pytest.param("C" * 5_000, id="chain"),
        pytest.param("c1ccccc1" * 600, id="rings"),
        pytest.param("C(" * 2_500, id="branches"),
        pytest.param("[C" * 2_500, id="brackets"),
        pytest.param("[1" * 2_500, id="isotopes"),
        pytest.param("-" * 5_000, id="bonds"),
        pytest.param("CC(=O)Nc1ccccc1C(=O)N " * 200, id="near-misses"),
        pytest.param("<b>C</b>" * 600, id="tags"),
        pytest.param("Q0MoPU8p " * 500, id="base64"),
        pytest.param("C1H/c" * 1_000, id="inchi"),
        pytest.param("[C][Branch1]" * 400, id="selfies"),
        pytest.param("C Branch1 " * 500, id="bare-selfies"),
        pytest.param("43 " * 1_600, id="hexadecimal"),
        pytest.param("CxNx" * 1_200, id="fillers"),
        pytest.param("C.O.S." * 800, id="single-atoms"),
        pytest.param("CCO.OCC." * 600, id="many-alike"),
        pytest.param("C.C.(.C.O.).O.c." * 300, id="dots"),
        pytest.param(" ".join(["COC"] * 1_200), id="small-fragments"),
        pytest.param(CHAIN[:-9], id="symmetric"),
    ],
)
def test_degenerate_outputs_cost_little(output: str) -> None:
    start = time.process_time()
    find_leak(CHAIN, output, True, False)
    assert time.process_time() - start < 10.0  # unbounded, the search would take hours; measured: less than a second
