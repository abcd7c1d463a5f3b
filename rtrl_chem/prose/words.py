"""A text as words."""

from __future__ import annotations

import re

__all__ = ["words"]

_WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> tuple[str, ...]:
    """Lower-case runs of letters and digits, and every other visible character by itself.

    >>> words("a 3-oxo acid.")
    ('a', '3', '-', 'oxo', 'acid', '.')
    """
    return tuple(_WORD.findall(text.lower()))
