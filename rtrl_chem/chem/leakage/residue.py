"""What is left of a text without its words, and the forms in which a SMILES may lie in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import permutations

__all__ = ["ATOM_LETTERS", "count_atom_letters", "forms", "joined", "pieces", "reordered", "residue"]

ATOM_LETTERS = "BCNOPSFIbcnopsfi"
# A run of lower-case letters that is no SMILES in lower case, with the capital before it ("Clc" and "Brc" are SMILES);
# and the short words that could be one.
_WORD = re.compile(
    r"(?<![A-Za-z])(?!(?:cl|br|nh|[bcnopsfi])+(?![a-z]))[a-z]{2,}"
    r"|(?<![a-z])(?!(?:Cl|Br)[bcnops]*(?![a-z]))[A-Z](?=[bcnops]*[adefghijklmqrtuvwxyz])[a-z]{2,}(?![A-Za-z\d])"
    r"|(?<!\S)(?:a|A|An|It|In|SMILES|of|is|in|on|no|so|if|ion|ionic|bis)(?![^\s.,;:])"
)
# "1." in front of a line, "part 2 is": numbers that count something.
_NUMBERING = re.compile(r"(?<!\S)\(?\d{1,2}[.):,]?(?!\S)")
_NEVER_SMILES = dict.fromkeys(map(ord, " \t\n\r\v\f,;'\"`|_{}$<>^!?&*\u00b7\u2022\u2026\u2013\u2014"))
_SEPARATORS = "-./\\:=#~+"
_LEAST_SEPARATORS = 5
_HYDROGENS = re.compile(r"H\d?")
_TWO_LETTERS = re.compile(r"CL|BR|(?<=\[)(?:SI|SE|AS|TE|GE|SN|NA|LI|MG|AL|ZN|HG|PB)")
_SYMBOL = re.compile(r"\[[^\[\]]*\]|Br|Cl|%\d\d|.", re.DOTALL)
_BRACKETS = str.maketrans("<>{}\u27e8\u27e9", "()()()")
_MIRROR = str.maketrans("()[]", ")(][")
_MOST_REORDERED = 4


def residue(text: str) -> str:
    """The text with a blank for every word."""
    return _WORD.sub(" ", text)


def count_atom_letters(text: str) -> int:
    """How many letters may each stand for an atom in a SMILES."""
    return sum(map(text.count, ATOM_LETTERS))


def pieces(rest: str) -> list[str]:
    """What stands between blanks in a residue, without the punctuation of a sentence."""
    return [piece for part in rest.split() if (piece := part.strip(",;:.'\"`*|"))]


def forms(rest: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Texts in which a SMILES can be read off a residue, each with what was undone for it."""
    seen = set()
    for ways, form in joined(rest):
        for more, view in _turned(form):
            if view not in seen:
                seen.add(view)
                yield ways + more, view


def joined(rest: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """A residue joined up: what stood in pieces between words, spaced out, with separators between characters."""
    for left in dict.fromkeys((rest, _NUMBERING.sub(" ", rest), rest.translate(_BRACKETS))):
        together = left.translate(_NEVER_SMILES)
        yield ("pieces",), together
        for separator in _SEPARATORS:
            if together.count(separator) >= max(_LEAST_SEPARATORS, len(together) / 5):
                yield ("separators",), together.replace(separator, "")


def reordered(rest: str) -> Iterator[str]:
    """A few pieces joined up in every order."""
    parts = [part for part in pieces(rest) if count_atom_letters(part)]
    if 2 <= len(parts) <= _MOST_REORDERED:
        yield from map("".join, permutations(parts))


def _turned(form: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The form itself and what it is reversed, in one case, without hydrogens, with zeros for the letter O."""
    for ways, view in (
        ((), form),
        (("reversed",), form[::-1]),
        (("reversed",), form[::-1].translate(_MIRROR)),
        (("reversed",), "".join(_SYMBOL.findall(form)[::-1])),
    ):
        yield ways, view
        yield (*ways, "case"), _recased(view)
        if "H" in view:
            yield (*ways, "hydrogens"), _HYDROGENS.sub("", view)
        if "0" in view:
            yield (*ways, "look-alikes"), view.replace("0", "O")


def _recased(text: str) -> str:
    return _TWO_LETTERS.sub(lambda match: match.group().capitalize(), text.upper())
