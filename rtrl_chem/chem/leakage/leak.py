"""What is reported of a leak, and how large a part of a source gives it away."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MIN_ANYWHERE_LENGTH", "MIN_FRAGMENT_ATOMS", "MIN_TOKEN_LENGTH", "Finding", "Leak"]

# A piece of x counts as x handed over when it has this many heavy atoms and more than half of x's.
MIN_FRAGMENT_ATOMS = 6
# Below this, words hold x by chance: "CO", "CN", "I". Only an output that is x and nothing else gives those away.
MIN_TOKEN_LENGTH = 3
MIN_ANYWHERE_LENGTH = 8


@dataclass(frozen=True)
class Finding:
    """What was found in a text that perhaps had disguises taken off before: the words, and how they were written."""

    words: str
    ways: tuple[str, ...]


@dataclass(frozen=True)
class Leak:
    """What gives the source away, `text`, and the way it was hidden, `way`; str() is the text.

    The text is what is read once the disguise is undone: for "base64, SMILES" it is the SMILES, not its code. Several
    ways stand from the outside in.
    """

    text: str
    way: str

    def __str__(self) -> str:
        return self.text
