"""Looking for a source that is a text: a name or a caption."""

from __future__ import annotations

import re

from rtrl_chem.chem.leakage.leak import MIN_ANYWHERE_LENGTH, MIN_TOKEN_LENGTH, Finding
from rtrl_chem.chem.leakage.text import Text

__all__ = ["TextSearch", "folded"]


class TextSearch:
    """Looks for a text: as words of its own, or anywhere if it is long; case and white space folded."""

    gave_up = False
    least_code = MIN_TOKEN_LENGTH

    def __init__(self, source: str) -> None:
        self._source = source
        self._wanted = folded(source)
        self._letters = _letters(self._wanted)

    def scan(self, text: Text, certain: bool) -> Finding | None:
        """The source in one text: as it is, with signs between its letters, or reversed."""
        plain = folded(text.text)
        if self._is_in(plain):
            return Finding(self._source, ("text",))
        letters = _letters(plain)
        if len(self._letters) < MIN_ANYWHERE_LENGTH or len(letters) < len(self._letters):
            return None
        if self._letters in letters:
            return Finding(self._source, ("separators",))
        return Finding(self._source, ("reversed",)) if self._letters in letters[::-1] else None

    def _is_in(self, text: str) -> bool:
        if not self._wanted or self._wanted not in text:
            return False
        if self._wanted == text or len(self._wanted) >= MIN_ANYWHERE_LENGTH:
            return True
        own_word = re.search(rf"(?<!\w){re.escape(self._wanted)}(?!\w)", text)
        return len(self._wanted) >= MIN_TOKEN_LENGTH and own_word is not None


def folded(text: str) -> str:
    """The text with case and white space folded."""
    return " ".join(text.split()).casefold()


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))
