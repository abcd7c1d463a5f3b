"""Ciphers that write the same sign for the same letter, whatever the signs: found by where signs repeat.

A Caesar shift, emoji, code words, bytes under one XOR: the text has a stretch as long as x in which exactly those
places are equal that are equal in x. So many coincidences do not happen by chance, and no key is needed to see them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np

__all__ = ["find_pattern"]

# Fewer places of x that repeat an earlier one are matched by ordinary text: a chance of some 6% each.
_LEAST_REPEATS = 6
# A line of like characters is no code of an alkane.
_LEAST_LETTERS = 3


def find_pattern(wanted: str, signs: Sequence[Hashable]) -> tuple[int, int] | None:
    """Where a stretch of `signs` (characters or words) repeats itself as `wanted` does, forwards or backwards."""
    if len(signs) < len(wanted):
        return None
    repeats = len(wanted) - len(set(wanted))
    if repeats < _LEAST_REPEATS or len(set(wanted)) < _LEAST_LETTERS or len(signs) - len(set(signs)) < repeats:
        return None
    code: dict[Hashable, int] = {}
    numbers = np.fromiter((code.setdefault(sign, len(code)) for sign in signs), np.int32, len(signs))
    for text in (wanted, wanted[::-1]):
        for start in _candidates(numbers, text):
            if _is_cipher(text, signs[start : start + len(text)]):
                return start, start + len(text)
    return None


@lru_cache(maxsize=4_096)
def _repeats(text: str) -> tuple[tuple[int, int], ...]:
    """Each place that repeats an earlier one, with the distance to the last such place; nearest pairs first."""
    last: dict[str, int] = {}
    found = []
    for place, character in enumerate(text):
        if character in last:
            found.append((place, place - last[character]))
        last[character] = place
    return tuple(found)


def _candidates(numbers: np.ndarray, text: str) -> list[int]:
    """Starts of the stretches that repeat wherever the text does."""
    alive = np.arange(max(len(numbers) - len(text) + 1, 0))
    for place, distance in _repeats(text):
        alive = alive[numbers[alive + place] == numbers[alive + place - distance]]
        if not alive.size:
            break
    return [int(start) for start in alive]


def _is_cipher(text: str, signs: Sequence[Hashable]) -> bool:
    """Whether different letters have different signs, but for their case."""
    letters: dict[Hashable, str] = {}
    return all(
        letters.setdefault(sign, letter.lower()) == letter.lower() for letter, sign in zip(text, signs, strict=True)
    )
