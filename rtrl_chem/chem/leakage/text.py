"""A text under suspicion and a text with a disguise taken off."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from functools import cached_property

from rtrl_chem.chem.leakage.residue import residue

__all__ = ["LONGEST", "Text", "Undone"]

# So much of a text is searched for codes: each search is linear in it, but there are dozens.
LONGEST = 20_000
_LONG_PART = re.compile(r"[^\s,\-]{6,}")
# "c1cc" or "q2x3"; written so that the search goes from digit to digit.
_MIXED = re.compile(r"\d(?<=[A-Za-z]\d)(?:[a-z]{2}|\d*[a-z]+\d)")
_SINGLE = re.compile(r"(?<![^\s,\-])[A-Za-z](?![^\s,\-])")
_SPACED = re.compile(r"(?<!\S)[A-Za-z](?!\S)")
_SIGNS = frozenset('=#@%&<\\~|_`$!?*"')
_LEAST_SIGNS = 4
_LEAST_IN_A_ROW = 6
_LEAST_SINGLE = 16
_LEAST_SPACED = 6
# "poison" is the rest of no word; "GlcpNAc" is a sugar.
_NO_CODE = re.compile(r"\W*(?:[a-z]{1,9}|[A-Z][a-z]{2,4}[A-Z]?[A-Za-z\d]{0,5})\W*")


class Text:
    """A text and what disguises are recognised by, worked out when first asked for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.rest = residue(text)  # the text with a blank for every word

    @cached_property
    def tokens(self) -> list[str]:
        """What stands between blanks."""
        return self.text.split()

    @property
    def digits(self) -> int:
        """How many digits there are."""
        return sum(map(self.text.count, string.digits))

    @cached_property
    def code(self) -> int:
        """How many characters look like code rather than words, locants and punctuation: in IUPAC names none."""
        lengths = [0]
        if any(map(_is_code, _LONG_PART.findall(self.rest))) or _MIXED.search(self.text):
            lengths.append(sum(map(len, self.codes)))
        if sum(map(self.text.count, _SIGNS)) >= _LEAST_SIGNS:
            lengths.append(len(self.rest) - self.rest.count(" "))
        single, spaced = len(_SINGLE.findall(self.rest)), len(_SPACED.findall(self.rest))
        if single >= _LEAST_SINGLE or spaced >= _LEAST_SPACED:
            lengths.append(single)
        return max(lengths)

    @cached_property
    def codes(self) -> list[str]:
        """The tokens that look like code."""
        return [token for token in self.tokens if _MIXED.search(token) or any(map(_is_code, _LONG_PART.findall(token)))]


def _is_code(part: str) -> bool:
    """Whether letters follow each other that are no word, or letters and digits with signs that no name has."""
    if part.islower() and part.isalpha():
        return False
    letters = sum(map(str.isalpha, part))
    if letters < _LEAST_IN_A_ROW and not _SIGNS.isdisjoint(part):
        letters = sum(map(str.isalnum, part))
    return letters >= _LEAST_IN_A_ROW and not _NO_CODE.fullmatch(part)


@dataclass(frozen=True)
class Undone:
    """A text without one disguise. `certain` where the text itself shows that it wore it; else that was a guess."""

    way: str
    text: str
    certain: bool = True
