"""Ciphers found by where signs repeat."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.chem.leakage.patterns import find_pattern

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


@given(st.permutations(string.ascii_letters + string.digits), st.text("xyz", max_size=9), st.booleans())
def test_any_substitution_is_found(alphabet: list[str], before: str, backwards: bool) -> None:
    table = dict(zip(sorted(set(ASPIRIN)), alphabet, strict=False))
    cipher = "".join(table[letter] for letter in ASPIRIN)
    text = before + (cipher[::-1] if backwards else cipher)
    place = find_pattern(ASPIRIN, text)
    assert place is not None and place[1] - place[0] == len(ASPIRIN)


def test_words_for_letters_are_found() -> None:
    words = [f"word{ord(letter)}" for letter in ASPIRIN]
    assert find_pattern(ASPIRIN, ["the", "code", *words]) == (2, 2 + len(ASPIRIN))


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        pytest.param(ASPIRIN, "two different letters by one sign: " + "x" * 30, id="one-sign-for-all"),
        pytest.param(ASPIRIN, ASPIRIN[:-1] + "=", id="one-letter-off"),
        pytest.param("CCO", "aab", id="too-short-to-tell"),
        pytest.param("CCCCCCCCCC", "----------", id="a-line"),
        pytest.param(ASPIRIN, "", id="empty"),
    ],
)
def test_what_is_no_cipher(wanted: str, text: str) -> None:
    assert find_pattern(wanted, text) is None


def test_words_of_a_language_are_no_cipher() -> None:
    rng = random.Random(0)
    vocabulary = ["the", "acid", "of", "and", "is", "a", "methyl", "group", "ester", "that", "has", "role"]
    for _ in range(200):
        assert find_pattern(ASPIRIN, rng.choices(vocabulary, k=120)) is None
