"""Disguises taken off, each where a text shows signs of it: the order in which that is tried.

Each gives the texts that come out, none for ordinary prose or names. Whether x is in them is decided elsewhere, so that
a guess too many costs time but raises no alarm.
"""

from __future__ import annotations

from collections.abc import Iterator

from rtrl_chem.chem.leakage.codes import base64_and_32, base85, character_codes, escapes, hexadecimal
from rtrl_chem.chem.leakage.letters import every_other, fillers, look_alikes, markup, other_alphabets, together, words
from rtrl_chem.chem.leakage.notations import notations
from rtrl_chem.chem.leakage.text import Text, Undone

__all__ = ["undone"]

_SEEN_BY_SIGNS = (look_alikes, notations, escapes, words, markup)
_SEEN_BY_DIGITS = (hexadecimal, character_codes)
_SEEN_BY_DENSITY = (base64_and_32, base85, fillers)
_GUESSED = (together, other_alphabets, every_other)
_LEAST_DIGITS = 8


def undone(text: Text, least: int, guess: bool) -> Iterator[Undone]:
    """The text without each disguise that it may wear; with `guess` also those that leave no sign of themselves.

    Codes are only looked into where at least `least` characters look like code.
    """
    for undo in _SEEN_BY_SIGNS:
        yield from undo(text)
    if text.digits >= _LEAST_DIGITS:
        for undo in _SEEN_BY_DIGITS:
            yield from undo(text)
    if text.code >= least:
        for undo in (*_SEEN_BY_DENSITY, *(_GUESSED if guess else ())):
            yield from undo(text)
