"""Looking for a source in a text: plainly, then with one disguise after another undone.

From cheap to dear: a text without signs of structures or codes, as nearly every honest one is, is done after a few
searches of strings; only what looks like a SMILES is compared with the source as a graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice, takewhile
from typing import Protocol

from rdkit import Chem

from rtrl_chem.chem.leakage.disguises import undone
from rtrl_chem.chem.leakage.patterns import find_pattern
from rtrl_chem.chem.leakage.residue import count_atom_letters, forms, pieces, reordered
from rtrl_chem.chem.leakage.skeleton import ATOM, TOKEN, Skeleton, contains, is_atom, skeleton_of, skeleton_of_molecule
from rtrl_chem.chem.leakage.text import Text
from rtrl_chem.chem.molecule import Molecule, parse

__all__ = ["Leak", "MoleculeSearch", "TextSearch", "search"]

# A piece of x counts as x handed over when it has this many heavy atoms and more than half of x's.
MIN_FRAGMENT_ATOMS = 6
# Below this, words hold x by chance: "CO", "CN", "I". Only an output that is x and nothing else gives those away.
MIN_TOKEN_LENGTH = 3
MIN_ANYWHERE_LENGTH = 8
# Letters of words that touch a SMILES ("proCCOc1ccccc1ol") belong to its run: so many atoms may be cut from either end.
_MAX_TRIM = 4
# What may not touch a token: "CCO" is no token of its own in "CCOC" or "C(CCO)". A full stop or a comma may.
_GLUE = r"[A-Za-z0-9@+\-\[\]()=#$%/\\*~]"
_ATOM = re.compile(ATOM)
_RUN = re.compile(rf"{ATOM}(?:{TOKEN.pattern}){{{MIN_TOKEN_LENGTH - 1},}}")
_KEY = re.compile(r"(?<![A-Z])[A-Z]{14}(?![A-Z])")
_LEAST_CHUNK = 3
# Disguises on top of each other that are undone, and texts that are looked at; no honest output comes near.
_MOST_LAYERS = 3
_MOST_TEXTS = 40
_MOST_COMPARISONS = 200
_MOST_FRAGMENTS = 24


@dataclass(frozen=True)
class Leak:
    """What gives the source away, `text`, and the way it was hidden, `way`; str() is the text.

    The text is what is read once the disguise is undone: for "base64" it is the SMILES, not its code.
    """

    text: str
    way: str

    def __str__(self) -> str:
        return self.text


class Search(Protocol):
    """One source looked for in the texts of one output."""

    def scan(self, text: Text, certain: bool) -> tuple[tuple[str, ...], str] | None:
        """Ways and words of a finding, or None."""


def search(looking: Search, output: str) -> Leak | None:
    """The first finding in an output, with as few disguises undone as possible.

    A text that was guessed at is read, and looked at for signs of further disguises, but nothing more is guessed on top.
    """
    layer = [((), Text(output), True)]
    seen = {output}
    for depth in range(_MOST_LAYERS + 1):
        for ways, text, certain in layer:
            if found := looking.scan(text, certain):
                return Leak(found[1], ", ".join(ways + found[0]))
        below = []
        for ways, text, certain in layer if depth < _MOST_LAYERS else []:
            for clear in undone(text, guess=certain):
                if clear.text not in seen and len(seen) < _MOST_TEXTS:
                    seen.add(clear.text)
                    below.append(((*ways, clear.way), Text(clear.text), clear.certain))
        layer = below
    return None


@dataclass(frozen=True)
class Wanted:
    """A source molecule and what it is recognised by."""

    text: str
    molecule: Molecule | None

    @cached_property
    def literals(self) -> tuple[str, ...]:
        """Its spellings that are looked for letter by letter: as given and canonical."""
        spellings = [self.text] + ([self.molecule.canonical] if self.molecule else [])
        return tuple(dict.fromkeys(spellings))

    @cached_property
    def folded(self) -> tuple[str, ...]:
        """Those long enough to be found anywhere, in lower case."""
        return tuple(dict.fromkeys(one.lower() for one in self.literals if len(one) >= MIN_ANYWHERE_LENGTH))

    @cached_property
    def inchi_key(self) -> str:
        """The first block of its InChIKey."""
        return str(Chem.InchiToInchiKey(self.molecule.inchi))[:14] if self.molecule else ""

    @cached_property
    def skeleton(self) -> Skeleton:
        """Its heavy atoms as a graph."""
        return skeleton_of_molecule(self.molecule.mol) if self.molecule else Skeleton((), ())

    @cached_property
    def needed(self) -> int:
        """The least number of heavy atoms that gives it away."""
        atoms = self.molecule.heavy_atoms if self.molecule else 0
        return atoms if atoms < MIN_FRAGMENT_ATOMS else max(MIN_FRAGMENT_ATOMS, atoms // 2 + 1)


@lru_cache(maxsize=4_096)
def wanted(source: str) -> Wanted:
    """What a source molecule is recognised by."""
    return Wanted(source, parse(source))


class MoleculeSearch:
    """Looks for a molecule: for one of its spellings letter by letter, or any SMILES that is a large part of it."""

    def __init__(self, source: str) -> None:
        self.wanted = wanted(source)
        self._is_small = 0 < self.wanted.needed < MIN_FRAGMENT_ATOMS
        self.comparisons = 0
        self.compared: set[tuple[str, ...]] = set()

    def scan(self, text: Text, certain: bool) -> tuple[tuple[str, ...], str] | None:
        """The source in one text: whole, in pieces, turned round, in one case, or letter for letter in other signs."""
        if found := self._literal(text.text):
            return ("SMILES",), found
        if found := self._key(text.text):
            return ("InChIKey",), found
        if self.wanted.molecule is None:
            return None
        letters = count_atom_letters(text.rest)
        if letters + 2 * _MAX_TRIM >= self.wanted.needed and (found := self._run(text.text)):
            return ("SMILES",), found
        if letters >= self.wanted.needed and (hit := self._suspect(text, certain)):
            return hit
        return self._cipher(text) if certain else None

    def _suspect(self, text: Text, certain: bool) -> tuple[tuple[str, ...], str] | None:
        """The source in a text that has letters for it."""
        if self._is_small:
            found = next(((ways, form) for ways, form in forms(text.rest) if "case" not in ways and self._whole(form)), None)
            return found
        if found := self._folded(text.text):
            return ("case",), found
        for ways, form in forms(text.rest):
            if found := self._folded(form) or self._run(form):
                return ways, found
            if certain and "case" not in ways and (found := self._chunks(form)):
                return ways, found
        if not certain:
            return None
        for form in reordered(text.rest):
            if found := self._run(form):
                return ("pieces",), found
        found = self._fragments(text.rest)
        return (("fragments",), found) if found else None

    def _literal(self, text: str) -> str | None:
        """A spelling letter by letter: a short one as a token of its own, a long one anywhere, both also spaced out."""
        joined = "".join(text.split())
        for spelling in self.wanted.literals:
            if not spelling or joined == spelling:
                return spelling or None
            if len(spelling) >= MIN_ANYWHERE_LENGTH:
                if spelling in joined:
                    return spelling
            elif len(spelling) >= MIN_TOKEN_LENGTH and spelling in text:
                if re.search(rf"(?<!{_GLUE}){re.escape(spelling)}(?!{_GLUE})", text):
                    return spelling
        return None

    def _key(self, text: str) -> str | None:
        """The part of the InChIKey that stands for the skeleton."""
        if self.wanted.molecule is None or not (found := _KEY.findall(text)):
            return None
        return next((key for key in found if key == self.wanted.inchi_key), None)

    def _folded(self, text: str) -> str | None:
        lowered = text.lower()
        for spelling in self.wanted.folded:
            if (start := lowered.find(spelling)) >= 0:
                return text[start : start + len(spelling)]
        return None

    def _run(self, text: str) -> str | None:
        """A run of SMILES characters that is the source, holds it, or is a large part of it."""
        for match in _RUN.finditer(text):
            atoms = len(_ATOM.findall(match.group())) if len(match.group()) >= self.wanted.needed else 0
            if atoms < max(self.wanted.needed, MIN_TOKEN_LENGTH):
                continue
            if self._is_small:
                found = _own_token(match)
                if found and self._is_same(found):
                    return found
            elif found := self._part(TOKEN.findall(match.group())):
                return found
        return None

    def _whole(self, form: str) -> str | None:
        """A form that is the source and nothing else."""
        bare = form.strip(".:-")
        return bare if len(bare) >= MIN_TOKEN_LENGTH and self._is_same(bare) else None

    def _is_same(self, smiles: str) -> bool:
        x, other = self.wanted.molecule, parse(smiles)
        return x is not None and other is not None and other.stereo_free == x.stereo_free

    def _part(self, tokens: list[str]) -> str | None:
        """The tokens, perhaps without some of the letters at their ends, if they describe a large part of the source."""
        if self.comparisons >= _MOST_COMPARISONS or (key := tuple(tokens)) in self.compared:
            return None
        self.compared.add(key)
        for piece in _trimmed(tokens):
            if self._is_part(skeleton_of(piece)):
                return "".join(piece)
        return None

    def _is_part(self, read: Skeleton) -> bool:
        x = self.wanted.skeleton
        if len(read.elements) < self.wanted.needed or self.comparisons >= _MOST_COMPARISONS:
            return False
        smaller, larger = (x, read) if len(read.elements) > len(x.elements) else (read, x)
        if smaller.counts - larger.counts:
            return False
        self.comparisons += 1
        return contains(larger, smaller)

    def _chunks(self, form: str) -> str | None:
        """Chunks of a spelling in any order, that together have enough of its atoms."""
        for spelling in self.wanted.literals:
            chunks, left, start = [], form, 0
            while start <= len(spelling) - _LEAST_CHUNK:
                end = start + _LEAST_CHUNK
                if spelling[start:end] not in left:
                    start += 1
                    continue
                while end < len(spelling) and spelling[start : end + 1] in left:
                    end += 1
                chunks.append(spelling[start:end])
                left = left.replace(spelling[start:end], " ", 1)
                start = end
            if sum(is_atom(token) for chunk in chunks for token in TOKEN.findall(chunk)) >= self.wanted.needed:
                return " ".join(chunks)
        return None

    def _fragments(self, rest: str) -> str | None:
        """Fragments between words that find room in the source side by side, and together are a large part of it."""
        runs = [match.group() for piece in pieces(rest) for match in _RUN.finditer(piece)][:_MOST_FRAGMENTS]
        read = [(skeleton_of(TOKEN.findall(run)), run) for run in runs]
        read.sort(key=lambda one: -len(one[0].elements))
        free, placed, atoms = Chem.RWMol(self.wanted.skeleton.mol), [], 0
        for fragment, run in read:
            size = len(fragment.elements)
            if not MIN_TOKEN_LENGTH <= size <= free.GetNumAtoms() or self.comparisons >= _MOST_COMPARISONS:
                continue
            self.comparisons += 1
            if room := free.GetSubstructMatch(fragment.mol):
                for index in sorted(room, reverse=True):
                    free.RemoveAtom(index)
                placed.append(run)
                atoms += size
        return " ".join(placed) if atoms >= max(self.wanted.needed, MIN_FRAGMENT_ATOMS) else None

    def _cipher(self, text: Text) -> tuple[tuple[str, ...], str] | None:
        """A spelling of the source written in other signs, or in words."""
        shortest = min(map(len, self.wanted.literals))
        if text.is_dense or not text.text.isascii():
            characters = "".join(text.tokens)
            for spelling in self.wanted.literals:
                if place := find_pattern(spelling, characters):
                    return ("substitution",), characters[slice(*place)]
        if len(text.tokens) >= shortest:
            words = [word.strip(",.;:") for word in text.tokens]
            for spelling in self.wanted.literals:
                if place := find_pattern(spelling, words):
                    return ("code words",), " ".join(words[slice(*place)])
        return None


class TextSearch:
    """Looks for a text: as words of its own, or anywhere if it is long; case and white space folded."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.wanted = folded(source)
        self.letters = _letters(self.wanted)

    def scan(self, text: Text, certain: bool) -> tuple[tuple[str, ...], str] | None:
        """The source in one text: as it is, spaced out, or reversed."""
        if not self.wanted:
            return None
        plain = folded(text.text)
        if self._is_in(plain):
            return ("text",), self.source
        if len(self.letters) < MIN_ANYWHERE_LENGTH:
            return None
        letters = _letters(plain)
        if self.letters in letters:
            return ("separators",), self.source
        return (("reversed",), self.source) if self.letters in letters[::-1] else None

    def _is_in(self, text: str) -> bool:
        if self.wanted not in text:
            return False
        if self.wanted == text or len(self.wanted) >= MIN_ANYWHERE_LENGTH:
            return True
        own_token = len(self.wanted) >= MIN_TOKEN_LENGTH and re.search(
            rf"(?<!\w){re.escape(self.wanted)}(?!\w)", text
        )
        return bool(own_token)


def folded(text: str) -> str:
    """The text with case and white space folded."""
    return " ".join(text.split()).casefold()


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def _own_token(match: re.Match[str]) -> str | None:
    """The run without punctuation after it, unless it touches other text."""
    run = match.group().rstrip(".:")
    text, start, end = match.string, match.start(), match.start() + len(run)
    touches = re.match(_GLUE, text[max(start - 1, 0) : start]) or re.match(_GLUE, text[end : end + 1])
    return None if touches else run


def _trimmed(tokens: list[str]) -> Iterator[list[str]]:
    """The tokens without some of the lower-case atoms at either end, which may be letters of words; least cut first."""
    atoms = [index for index, token in enumerate(tokens) if is_atom(token)]
    front = _count_lower(tokens[index] for index in atoms)
    back = _count_lower(tokens[index] for index in reversed(atoms))
    for i, j in sorted(((i, j) for i in range(front + 1) for j in range(back + 1)), key=sum):
        if i + j < len(atoms):
            after = atoms[len(atoms) - j] if j else len(tokens)
            yield tokens[atoms[i] : after]


def _count_lower(atoms: Iterable[str]) -> int:
    return sum(1 for _ in takewhile(str.islower, islice(atoms, _MAX_TRIM)))
