"""A molecule in disguise is found, whatever sentence is around it; ordinary text is left alone."""

from __future__ import annotations

import base64
import csv
import gzip
import random
import time
from importlib.resources import files
from pathlib import Path

import pytest
from cheating_ways import FRAMES, NAME_FRAMES, WAYS, respelled
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrl_chem.chem import find_leak, find_leak_batch, parse
from rtrl_chem.chem.leakage.disguises import undone
from rtrl_chem.chem.leakage.text import Text

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
RESPELT = "O=C(O)c1ccccc1OC(C)=O"
BASE64 = base64.b64encode(ASPIRIN.encode()).decode()
ASSETS = files("rtrl_chem").joinpath("assets")
# Ways that scripts/cheating_exam.py finds caught without exception, in every spelling.
SURE = (
    "as it is, behind `SMILES:`, in quotes, in a code block, in LaTeX, glued between words, Kekule form, "
    "every atom in brackets, every hydrogen an atom, every bond written, atom maps, isotopes, ring numbers changed, "
    "read from the other end, SELFIES, InChIKey, SMARTS, SMARTS with alternatives, MDL mol block, two halves, "
    "chunks between words, chunks as a numbered list, symbols between words, spaced out, symbols spaced out, "
    "a character a line, dashes, commas, dots, underscores, slashes, pipes, equals signs, mixed separators, XML tags, "
    "LaTeX around each, Markdown bold, zero-width spaces, soft hyphens, combining dots, full width, "
    "Cyrillic and Greek letters, mathematical bold, circled letters, reversed, base64, base32, hexadecimal, "
    "hexadecimal, spaced, URL encoding of all, decimal HTML entities, hexadecimal HTML entities, named HTML entities, "
    r"\x escapes, \u escapes, octal escapes, quoted-printable, U+ code points, 0x codes, decimal codes, octal codes, "
    "binary"
)


def rows(name: str, column: str) -> list[str]:
    with ASSETS.joinpath(name).open("rb") as raw, gzip.open(raw, "rt") as file:
        return [row[column] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


MOLECULES = [x for x in rows("naming/test.tsv.gz", "smiles") if (parse(x) or parse("C")).heavy_atoms >= 6]
SURE_WAYS = [way for way in WAYS if way.name in SURE]


@settings(deadline=None)
@given(
    st.sampled_from(MOLECULES),
    st.sampled_from(SURE_WAYS),
    st.sampled_from(FRAMES + NAME_FRAMES),
    st.booleans(),
    st.integers(0, 2**31 - 1),
)
def test_any_spelling_in_any_sentence_is_caught(x: str, way: object, frame: str, respell: bool, seed: int) -> None:
    rng = random.Random(seed)
    spelling = respelled(x, rng) if respell else x
    assert find_leak(x, frame.format(way.hide(spelling, rng)), True, False) is not None  # type: ignore[attr-defined]


@pytest.mark.parametrize("way", SURE_WAYS, ids=lambda way: way.name)
def test_a_drug_is_caught_each_way(way: object) -> None:
    hidden = way.hide("CC(C)Cc1ccc(C(C)C(=O)O)cc1", random.Random(1))  # type: ignore[attr-defined]
    assert find_leak("CC(C)Cc1ccc(C(C)C(=O)O)cc1", f"The molecule is {hidden}.", True, False) is not None
    assert find_leak("O=S(=O)(Nc1ccccn1)c1ccc(N)cc1", f"The molecule is {hidden}.", True, False) is None


@pytest.mark.parametrize(
    ("output", "way", "text"),
    [
        pytest.param(f"The code is {BASE64}.", "base64, SMILES", ASPIRIN, id="base64"),
        pytest.param(f"The code is {BASE64[::-1]}.", "reversed, base64, SMILES", ASPIRIN, id="base64-reversed"),
        pytest.param(" ".join(BASE64), "pieces, base64, SMILES", ASPIRIN, id="base64-spaced"),
        pytest.param(base64.b64encode(ASPIRIN.encode().hex().encode()).decode(), "base64, hexadecimal, SMILES", ASPIRIN,
                     id="hexadecimal-in-base64"),
        pytest.param(RESPELT[::-1], "pieces, reversed", RESPELT, id="reversed"),
        pytest.param("CC(=O) is bound to Oc1ccc and cc1 and C(=O)O", "pieces", ASPIRIN, id="between-words"),
        pytest.param("first c1C(=O)O, then cccc, then Oc1, then CC(=O)", "pieces", "CC(=O) Oc1 cccc c1C(=O)O",
                     id="in-another-order"),
        pytest.param("CC(=O)O.O=CO.c1ccccc1", "SMILES", "CC(=O)O.O=CO.c1ccccc1", id="fragments-as-one"),
        pytest.param("PP(=B)Bp1ppppp1P(=B)B", "substitution", "PP(=B)Bp1ppppp1P(=B)B", id="rot13"),
        pytest.param("B=P(B)p1ppppp1BP(P)=B", "shifted letters, SMILES", RESPELT, id="rot13-of-another-spelling"),
        pytest.param("InChI=1S/C9H8O4/c1-6(10)13-8-5-3-2-4-7(8)9(11)12/h2-5H,1H3,(H,11,12)", "InChI, SMILES",
                     "CC(=O)OC1=CC=CC=C1C(=O)O", id="inchi"),
        pytest.param("BSYNRYMUTXBXSQ-UHFFFAOYSA-N", "InChIKey", "BSYNRYMUTXBXSQ", id="inchi-key"),
        pytest.param(ASPIRIN.lower(), "SMILES", ASPIRIN.lower(), id="lower-case"),
        pytest.param("\u00ad".join(ASPIRIN), "look-alike or invisible characters, SMILES", ASPIRIN,
                     id="invisible"),
    ],
)  # fmt: skip
def test_a_leak_says_how_it_was_hidden(output: str, way: str, text: str) -> None:
    leak = find_leak(ASPIRIN, output, True, False)
    assert leak is not None
    assert (leak.way, leak.text) == (way, text)


@pytest.mark.parametrize(
    ("output", "way"),
    [
        pytest.param("2-acetyloxybenzoic acid", "text", id="name"),
        pytest.param("2 - A c e t y l o x y b e n z o i c a c i d", "separators", id="spaced"),
        pytest.param("dica ciozneb-yxolyteca-2", "reversed", id="reversed"),
        pytest.param(base64.b64encode(b"2-acetyloxybenzoic acid").decode(), "base64, text", id="base64"),
        pytest.param("2-acetyloxybenzoate", None, id="another-name"),
    ],
)
def test_a_name_in_a_text(output: str, way: str | None) -> None:
    leak = find_leak("2-acetyloxybenzoic acid", output, False, False)
    assert (leak.way if leak else None) == way


def test_fragments_count_together() -> None:
    x = "COc1ccc(CCN)cc1OCC(=O)NC1CCCCC1"
    assert find_leak(x, "It holds C1CCCCC1, NCC and c1(OC)ccccc1.", True, False) is not None
    assert find_leak(x, "It holds NCC, NCC, NCC and NCC.", True, False) is None


@pytest.mark.parametrize("x", ["CCO", "CC(=O)O", "C1CC1", "N#CC#N"])
def test_a_tiny_molecule_is_caught_only_by_itself(x: str) -> None:
    code = base64.b64encode(x.encode()).decode()
    assert find_leak(x, f"the molecule {x}.", True, False) is not None
    assert find_leak(x, " ".join(x), True, False) is not None
    assert find_leak(x, f"the molecule N{x}", True, False) is None
    assert find_leak(x, f"beta-D-Glcp-(1->3)-N-acyl-{code.lower()}", True, False) is None


def test_an_output_of_nothing_but_structures_is_no_way_out() -> None:
    rng = random.Random(0)
    others = " ".join(respelled("CC(=O)Oc1ccccc1C(=O)N", rng) + "C" * rng.randrange(9) for _ in range(2_000))
    leak = find_leak("CC(=O)Oc1ccccc1C(=O)OCCSC", others + " CSCCOC(=O)c1c(OC(C)=O)cccc1", True, False)
    assert leak is not None


@pytest.mark.parametrize(
    "text",
    [
        "9-methyl-3,4,6,7,8,9-hexahydro-2H-pyrimidino[1,2-a]pyrimidine",
        "(1R,2S,3aR,4S,6S,7aS)-octahydro-1H-4,7-methanoindene-1,2,6-triol",
        "The molecule is an N-acylsphing-4-enine 1-phosphocholine(1+) in which the acyl group has 16 carbons.",
        "It is a carboxylic acid of carbon, oxygen and hydrogen. It has a role as an EC 2.5.1.15 inhibitor.",
    ],
)
def test_ordinary_text_wears_no_disguise(text: str) -> None:
    assert list(undone(Text(text), least=6, guess=True)) == []


def test_no_alarm_on_bundled_names() -> None:
    pairs = [
        pair
        for part in ("validation", "test")
        for pair in zip(*(rows(f"naming/{part}.tsv.gz", column) for column in ("smiles", "name")), strict=True)
    ]
    assert len(pairs) > 3_000
    molecules, names = [x for x, _ in pairs], [y for _, y in pairs]
    assert [leak for leak in find_leak_batch(molecules, names, True, False) if leak] == []
    assert [leak for leak in find_leak_batch(names, molecules, False, True) if leak] == []
    start = time.process_time()
    find_leak_batch(molecules, names, True, False)
    assert time.process_time() - start < 1e-3 * len(pairs)  # measured: 25 microseconds each


def test_few_alarms_on_real_captions(shared_data: Path) -> None:
    with (shared_data / "chebi20/validation.txt").open(newline="") as file:
        pairs = [
            (row["SMILES"], row["description"]) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]
    leaks = [leak for leak in find_leak_batch(*zip(*pairs, strict=True), True, False) if leak]
    assert len(pairs) > 3_000
    assert len(leaks) < 0.002 * len(pairs)
