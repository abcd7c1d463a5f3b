"""Looking for a source that is a molecule."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice, takewhile

from rdkit import Chem

from rtrl_chem.chem.leakage.leak import MIN_ANYWHERE_LENGTH, MIN_FRAGMENT_ATOMS, MIN_TOKEN_LENGTH, Finding
from rtrl_chem.chem.leakage.patterns import find_pattern
from rtrl_chem.chem.leakage.residue import count_atom_letters, forms, pieces, reordered
from rtrl_chem.chem.leakage.skeleton import (
    ATOM,
    TOKEN,
    Skeleton,
    contains,
    elements_of,
    is_atom,
    placed,
    skeleton_of,
    skeleton_of_molecule,
)
from rtrl_chem.chem.leakage.text import Text
from rtrl_chem.chem.molecule import Molecule, parse

__all__ = ["MoleculeSearch"]

# Letters of words that touch a SMILES ("proCCOc1ccccc1ol") belong to its run: so many atoms may be cut from either end.
_MAX_TRIM = 4
# What may not touch a token: "CCO" is no token of its own in "CCOC" or "C(CCO)". A full stop or a comma may.
_GLUE = r"[A-Za-z0-9@+\-\[\]()=#$%/\\*~]"
_ATOM = re.compile(ATOM)
_RUN = re.compile(rf"{ATOM}(?:{TOKEN.pattern}){{{MIN_TOKEN_LENGTH - 1},}}")
_KEY = re.compile(r"[A-Z]{14}(?![A-Z])")
_WORD = re.compile(r"[^\s,;/|\-]+")
_JOINTS = ",;/|-"
_MOST_PUNCTUATED = 4
_PUNCTUATION = ".:()[]{}\"'"
_LEAST_CHUNK = 3
_LEAST_GLUED_CHUNK = 4
# Of one output: graphs that are compared with the source, and tokens that are read as graphs. Captions of ChEBI-20 have
# at most 100 such tokens.
_MOST_COMPARISONS = 200
_MOST_READ = 30_000
_MOST_FRAGMENTS = 24


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
    def repeats(self) -> int:
        """How many letters of a spelling, at the least, repeat an earlier one."""
        return min(len(one) - len(set(one)) for one in self.literals)

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
        self._comparisons = 0
        self._read = 0
        self._compared: set[tuple[str, ...]] = set()

    @property
    def least_code(self) -> int:
        """No code for enough of the source has fewer characters."""
        return self.wanted.needed

    @property
    def gave_up(self) -> bool:
        """Whether the output holds more structures than are compared; no honest text does."""
        return self._comparisons >= _MOST_COMPARISONS or self._read >= _MOST_READ

    def scan(self, text: Text, certain: bool) -> Finding | None:
        """The source in one text: whole, in pieces, turned round, in one case, or letter for letter in other signs."""
        if found := self._literal(text.text):
            return Finding(found, ("SMILES",))
        if found := self._key(text.text):
            return Finding(found, ("InChIKey",))
        if self.wanted.molecule is None:
            return None
        letters = count_atom_letters(text.rest)
        if letters + 2 * _MAX_TRIM >= self.wanted.needed and (found := self._run(text.text)):
            return Finding(found, ("SMILES",))
        finding = None
        if letters >= self.wanted.needed:
            finding = self._small(text) if self._is_small else self._suspect(text, certain)
        if finding or not certain:
            return finding
        if text.code >= self.least_code and not self._is_small and (found := self._glued_chunks(text.text)):
            return Finding(found, ("pieces",))
        return self._cipher(text)

    def _small(self, text: Text) -> Finding | None:
        """A source of few atoms: only where nothing else is left of the text."""
        for ways, form in forms(text.rest):
            bare = form.strip(".:-")
            if "case" not in ways and len(bare) >= MIN_TOKEN_LENGTH and self._is_same(bare):
                return Finding(bare, ways)
        return None

    def _suspect(self, text: Text, certain: bool) -> Finding | None:
        """The source in a text that has letters for it."""
        if found := self._folded(text.text):
            return Finding(found, ("case",))
        for ways, form in forms(text.rest):
            if found := self._folded(form) or self._run(form):
                return Finding(found, ways)
            if certain and "case" not in ways and (found := self._chunks(form)):
                return Finding(found, ways)
        return self._scattered(text.rest) if certain else None

    def _scattered(self, rest: str) -> Finding | None:
        """Pieces in another order, or fragments that belong side by side."""
        for form in reordered(rest):
            if found := self._run(form):
                return Finding(found, ("pieces",))
        placed = self._fragments(rest)
        return Finding(placed, ("fragments",)) if placed else None

    def _literal(self, text: str) -> str | None:
        """A spelling letter by letter: a short one as a token of its own, a long one anywhere, both also spaced out."""
        joined = "".join(text.split())
        for spelling in self.wanted.literals:
            if not spelling or joined == spelling:
                return spelling or None
            if len(spelling) >= MIN_ANYWHERE_LENGTH:
                if spelling in joined:
                    return spelling
            elif len(spelling) >= MIN_TOKEN_LENGTH and spelling in text and _has_token(spelling, text):
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

    def _is_same(self, smiles: str) -> bool:
        x, other = self.wanted.molecule, parse(smiles)
        return x is not None and other is not None and other.stereo_free == x.stereo_free

    def _part(self, tokens: list[str]) -> str | None:
        """The tokens, perhaps without some of the letters at their ends, if they are a large part of the source."""
        if self.gave_up or (key := tuple(tokens)) in self._compared:
            return None
        self._compared.add(key)
        for piece in _trimmed(tokens):
            if self._may_be_part(elements_of(piece)) and self._is_part(self._skeleton_of(piece)):
                return "".join(piece)
            if self.gave_up:
                break
        return None

    def _skeleton_of(self, tokens: Sequence[str]) -> Skeleton:
        """The graph of the tokens, counted."""
        self._read += len(tokens)
        return skeleton_of(tokens)

    def _may_be_part(self, read: Counter[int]) -> bool:
        """Whether there are enough atoms, all of them of the source's, or all of the source's among them."""
        x, atoms = self.wanted.skeleton.counts, read.total()
        if atoms < self.wanted.needed:
            return False
        return not (x - read if atoms > x.total() else read - x)

    def _is_part(self, read: Skeleton) -> bool:
        x = self.wanted.skeleton
        # A few atoms by themselves are a part of anything.
        atoms = sum(len(part.elements) for part in read.parts if len(part.elements) >= MIN_TOKEN_LENGTH)
        if atoms < self.wanted.needed:
            return False
        smaller, larger = (x, read) if len(read.elements) > len(x.elements) else (read, x)
        self._comparisons += 1
        return contains(larger, smaller)

    def _chunks(self, rest: str) -> str | None:
        """Chunks of a spelling in any order that together have enough of its atoms."""
        for spelling in self.wanted.literals:
            chunks = list(_common_chunks(spelling, rest, _LEAST_CHUNK))
            if _count_atoms(chunks) >= self.wanted.needed:
                return " ".join(chunks)
        return None

    def _glued_chunks(self, text: str) -> str | None:
        """The same in a text with its words, of which chunks of small letters may be parts."""
        for spelling in self.wanted.literals:
            found = _common_chunks(spelling, text, _LEAST_GLUED_CHUNK)
            chunks = [chunk for chunk in found if not (chunk.isalpha() and chunk.islower())]
            if _count_atoms(chunks) >= self.wanted.needed:
                return " ".join(chunks)
        return None

    def _fragments(self, rest: str) -> str | None:
        """Fragments between words that find room in the source side by side, and together are a large part of it."""
        runs = [match.group() for piece in pieces(rest) for match in _RUN.finditer(piece)]
        read = [(part, run) for run in runs[:_MOST_FRAGMENTS] for part in self._skeleton_of(TOKEN.findall(run)).parts]
        read = [one for one in read if len(one[0].elements) >= MIN_TOKEN_LENGTH][:_MOST_FRAGMENTS]
        read.sort(key=lambda one: -len(one[0].elements))
        self._comparisons += len(read)
        found = [read[number] for number in placed([part for part, _ in read], self.wanted.skeleton)] if read else []
        if sum(len(part.elements) for part, _ in found) < max(self.wanted.needed, MIN_FRAGMENT_ATOMS):
            return None
        return " ".join(dict.fromkeys(run for _, run in found))

    def _cipher(self, text: Text) -> Finding | None:
        """A spelling of the source written in other signs, or in words."""
        if text.code >= self.least_code or not text.text.isascii():
            characters = "".join(text.tokens)
            for spelling in self.wanted.literals:
                if place := find_pattern(spelling, characters):
                    return Finding(characters[slice(*place)], ("substitution",))
        joints = sum(map(text.text.count, _JOINTS)) if len(text.tokens) < self.wanted.repeats else 0
        if len(text.tokens) - len(set(text.tokens)) + joints + _MOST_PUNCTUATED < self.wanted.repeats:
            return None
        words = [word.strip(_PUNCTUATION) or word for word in _WORD.findall(text.text)]
        for spelling in self.wanted.literals:
            if place := find_pattern(spelling, words):
                return Finding(" ".join(words[slice(*place)]), ("code words",))
        return None


def _common_chunks(spelling: str, text: str, least: int) -> Iterator[str]:
    """Chunks of the spelling, from left to right and as long as can be, each at a place of its own in the text."""
    start = 0
    while start <= len(spelling) - least:
        end = start + least
        if spelling[start:end] not in text:
            start += 1
            continue
        while end < len(spelling) and spelling[start : end + 1] in text:
            end += 1
        yield spelling[start:end]
        text = text.replace(spelling[start:end], " ", 1)
        start = end


def _count_atoms(chunks: Iterable[str]) -> int:
    return sum(is_atom(token) for chunk in chunks for token in TOKEN.findall(chunk))


def _has_token(spelling: str, text: str) -> bool:
    return re.search(rf"(?<!{_GLUE}){re.escape(spelling)}(?!{_GLUE})", text) is not None


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
