"""Looking for a source in a text: plainly, then with one disguise after another undone.

From cheap to dear: a text without signs of structures or codes, as nearly every honest one is, is done after a few
searches of strings; only what looks like a SMILES is compared with the source as a graph.
"""

from __future__ import annotations

from typing import Protocol

from rtrl_chem.chem.leakage.disguises import undone
from rtrl_chem.chem.leakage.leak import Finding, Leak
from rtrl_chem.chem.leakage.text import Text

__all__ = ["MOST_LAYERS", "Search", "search"]

# Disguises on top of each other that are undone, and texts that are looked at. An honest output gives fewer.
MOST_LAYERS = 3
_MOST_TEXTS = 40
# Characters of all of them: those of an output of up to 3,000 are all looked at, of a longer one the first few.
_MOST_CHARACTERS = 120_000


class Search(Protocol):
    """One source looked for in the texts that one output gives."""

    def scan(self, text: Text, certain: bool) -> Finding | None:
        """The source in one text; `certain` is false for a text that is only a guess at what was hidden."""

    @property
    def least_code(self) -> int:
        """The least number of characters that a code for the source has."""

    @property
    def gave_up(self) -> bool:
        """Whether there was too much to compare."""


def search(looking: Search, output: str, layers: int = MOST_LAYERS) -> Leak | None:
    """The source in an output, with as few disguises undone as possible, at most `layers` on top of each other.

    A text that was guessed at is read, and searched for signs of further disguises, but no guess is put on a guess.
    """
    texts: list[tuple[tuple[str, ...], Text, bool]] = [((), Text(output), True)]
    seen, left = {output}, _MOST_CHARACTERS - len(output)
    for layer in range(layers + 1):
        for ways, text, certain in texts:
            if found := looking.scan(text, certain):
                return Leak(found.words, ", ".join(ways + found.ways))
        below = []
        for ways, text, certain in texts if layer < layers else []:
            for clear in undone(text, looking.least_code, guess=certain):
                if len(seen) == _MOST_TEXTS or left <= 0:
                    break
                if clear.text not in seen:
                    seen.add(clear.text)
                    left -= len(clear.text)
                    below.append(((*ways, clear.way), Text(clear.text), clear.certain))
        texts = below
    return Leak(output[:100], "more structures than can be compared") if looking.gave_up else None
