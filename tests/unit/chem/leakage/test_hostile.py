"""Whatever a model may write gets an answer, and soon."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from cheating_ways import FRAMES, NAME_FRAMES, WAYS, Way
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrl_chem.chem.leakage import find_leak, is_copy

LENGTH = 20_000
ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
STEROID = "C[C@H](CCC(=O)O)[C@H]1CC[C@@H]2[C@@]1(CC[C@H]1[C@H]2CC[C@@H]2[C@]1(C)CC[C@@H](O)C2)C.CCN(CC)CC"
NAME = "methyl 2-acetyloxybenzoate"
CAPTION = (
    "The molecule is a carboxylic acid, 2-(acetyloxy)benzoic acid (C9H8O4). It has a role as an EC 1.14.99.1 "
    "inhibitor, a drug allergen and an anticoagulant; it is functionally related to a salicylic acid."
)
# What a notation, an escape or a count begins with, none of it as it should be.
SHARDS = (
    "V2000\n", "M  END", "InChI=1S/", "/c1-2", "/h1H", "[Branch1]", "Branch1 ", "Ring2 ", "&#x", "&#1114112;",
    "&#xD800;", "\\x4", "\\777", "\\u{00", "U+00", "=4", "%4", "-.-. ", "[#999]", "[#0]", "carbon ", "[C,c]",
    "<b>", "0x", "%(99)", "\ud83d", "\x00", "\u200b", "\u202e", "\ufdfa", "\U0001d7d8", "\u00b2", "\u0663",
)  # fmt: skip
TEXTS = st.one_of(
    st.text(st.characters(), max_size=80),  # lone surrogates and unassigned ones as well
    st.text(st.characters(categories=["Nd", "Nl", "No", "Cf", "Mn"]), max_size=40),
    st.lists(st.sampled_from([*SHARDS, *"CNOcn()[]{}123 ,.-=#/\\"]), max_size=40).map("".join),
)


@st.composite
def mutated(draw: Callable[..., str], start: st.SearchStrategy[str]) -> str:
    """A text with shards put in, stretches repeated, and letters lost."""
    text = draw(start)
    for shard in draw(st.lists(st.one_of(st.sampled_from(SHARDS), st.characters()), max_size=6)):
        a, b = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        text = text[:a] + shard + draw(st.sampled_from([text[a:], text[b:], text[a:b] * 3 + text[b:]]))
    return text


@st.composite
def smuggled(draw: Callable[..., object]) -> str:
    """A molecule hidden in a sentence."""
    way, frame = draw(st.sampled_from(WAYS)), draw(st.sampled_from(FRAMES + NAME_FRAMES))
    assert isinstance(way, Way) and isinstance(frame, str)
    return frame.format(way.hide(ASPIRIN, random.Random(0)))


REAL = st.sampled_from([ASPIRIN, STEROID, NAME, CAPTION])


@settings(max_examples=60)
@given(mutated(REAL), mutated(st.one_of(REAL, smuggled(), TEXTS)), st.booleans(), st.booleans())
def test_nothing_is_too_odd(source: str, output: str, from_molecule: bool, to_molecule: bool) -> None:
    leak = find_leak(source, output, from_molecule, to_molecule)
    assert leak is None or (str(leak) and leak.way)
    assert is_copy(source, output) in (True, False)


@settings(max_examples=60)
@given(TEXTS, TEXTS)
def test_no_text_is_refused(source: str, output: str) -> None:
    for from_molecule, to_molecule in ((True, False), (False, False), (True, True), (False, True)):
        find_leak(source, output, from_molecule, to_molecule)
    assert is_copy(output, output) is bool(output.strip())


def test_a_broken_mol_block_is_no_crash() -> None:
    assert find_leak(ASPIRIN, "  1  0  0 \ud83d V2000\n    0.0 C\nM  END", True, False) is None


def _filled(unit: str) -> str:
    return (unit * (LENGTH // len(unit) + 1))[:LENGTH]


QUICK = ["c1ccccc1.CCCC.", "<b ", "\\x43", "C/c1", "\ufdfa"]
SLOW = [
    *["[", "()", "[C]", "1", "12 ", "0101010 ", " ", "\n", "\u200b", "C\u200b", "C", "C1", "C(", "C.", "C="],
    *[
        "c1ccccc1",
        "CC(=O)Oc1ccccc1 ",
        "43 ",
        "AB2",
        "&#67;",
        "=43",
        "&",
        "<",
        "\\mathrm{C}",
        "/c",
        "C6H6/c1",
        "C/c1/h1H,",
    ],
    *[
        "V2000\n",
        "[C][=Branch1]",
        "C Branch1 ",
        "Branch1AAAAAA",
        "[#6;R]",
        "[C,",
        "ABCDEFGHIJKLMN ",
        "carbon ",
        "-.-. ",
        "CCOO",
    ],
    *["CxOx", "1. C ", "\U0001f600", "C\u0323", "\ud800C", "C%12", "1-(2,3-dimethyl)-", "C([H])", "[*]", "Br", "C-"],
]


def _seconds(source: str, output: str, from_molecule: bool) -> float:
    start = time.process_time()
    find_leak(source, output, from_molecule, False)
    return time.process_time() - start


@pytest.mark.parametrize("unit", QUICK)
def test_no_output_holds_up_a_run(unit: str) -> None:
    # Measured: less than a second. The first of them took 36 before work was counted.
    assert _seconds(ASPIRIN, _filled(unit), True) < 4.0


@pytest.mark.slow
@pytest.mark.parametrize("unit", SLOW)
@pytest.mark.parametrize("source", [ASPIRIN, STEROID, NAME])
def test_no_output_of_any_kind_holds_up_a_run(unit: str, source: str) -> None:
    assert _seconds(source, _filled(unit), source != NAME) < 4.0
