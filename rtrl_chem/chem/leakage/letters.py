"""Letters in other shapes, in another alphabet, spelt as words, or with something put around or between them."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterator

from rtrl_chem.chem.leakage.residue import joined
from rtrl_chem.chem.leakage.text import LONGEST, Text, Undone

__all__ = ["every_other", "fillers", "look_alikes", "markup", "other_alphabets", "together", "words"]

_LOOK_ALIKES = {
    ord(odd): plain
    for plain, odds in {
        "A": "\u0391\u0410", "B": "\u0392\u0412", "C": "\u03f9\u0421\u216d", "E": "\u0395\u0415",
        "H": "\u0397\u041d", "I": "\u0399\u0406\u04c0\u2160", "N": "\u039d", "O": "\u039f\u041e\u0555",
        "P": "\u03a1\u0420", "S": "\u0405\u054f",
        "c": "\u0441\u03f2\u217d", "i": "\u0456\u03b9", "l": "\u04cf\u2113", "n": "\u03b7\u0578",
        "o": "\u043e\u03bf\u0585", "p": "\u0440\u03c1", "r": "\u0433", "s": "\u0455",
        "(": "\u2768\u27ee\u3014", ")": "\u2769\u27ef\u3015", "[": "\u27e6\u3010", "]": "\u27e7\u3011",
        "=": "\u2550\ua78a\u30a0", "#": "\u2261\u266f", "-": "\u2010\u2011\u2012\u2013\u2014\u2212",
    }.items()
    for odd in odds
}  # fmt: skip
_NOT_SHOWN = {"Mn", "Me", "Cf", "Cc", "Cs", "Co", "Cn"}
_TAG = re.compile(r"<[^<>]{1,40}>")
_LATEX = re.compile(r"\\[A-Za-z]+\s?|[{}$]")
_FILLER = re.compile(r"(\S)(?:.\1){4,}")
_DOUBLED = re.compile(r"(\S)\1")
_LOWER, _UPPER = string.ascii_lowercase, string.ascii_uppercase
_ATBASH = str.maketrans(_LOWER + _UPPER, _LOWER[::-1] + _UPPER[::-1])
_ROT47 = {code: 33 + (code - 33 + 47) % 94 for code in range(33, 127)}
_WORD = re.compile(r"[A-Z]?[a-z]{4,}")
_MOST_FILLERS = 4
_LEAST_SHARE = 0.3
_LEAST_LETTERS = 6
_SPOKEN = {
    "open parenthesis": "(", "left parenthesis": "(", "open bracket": "[", "open": "(",
    "close parenthesis": ")", "right parenthesis": ")", "close bracket": "]", "close": ")",
    "double bond": "=", "triple bond": "#", "single bond": "-", "equals": "=", "hash": "#",
    "carbon": "C", "nitrogen": "N", "oxygen": "O", "sulfur": "S", "phosphorus": "P", "silicon": "[Si]",
    "boron": "B", "fluorine": "F", "chlorine": "Cl", "bromine": "Br", "iodine": "I",
    "cee": "C", "oh": "O", "en": "N", "ess": "S", "pee": "P", "ef": "F", "eye": "I", "bee": "B", "ell": "l", "ar": "r",
    "charlie": "C", "november": "N", "oscar": "O", "sierra": "S", "papa": "P", "foxtrot": "F", "india": "I",
    "bravo": "B", "lima": "l", "romeo": "r", "hotel": "H",
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4",
    "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "aromatic": "", "ring": "", "bracket": "", "small": "", "capital": "", "dash": "",
}  # fmt: skip
_SPOKEN_WORD = re.compile("|".join(sorted(_SPOKEN, key=len, reverse=True)), re.IGNORECASE)
_OFTEN_SPOKEN = ("carbon", "oxygen", "nitrogen", "fluorine", "charlie", "oscar", "cee")
_LEAST_SPOKEN = 4
_MORSE_SIGNS = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. "
    "----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----. -.--. -.--.- -...- -....- .-.-. .--.-. -..-."
)
_MORSE = dict(zip(_MORSE_SIGNS.split(), _UPPER + string.digits + "()=-+@/", strict=True))
_LEAST_MORSE = 6


def look_alikes(text: Text) -> Iterator[Undone]:
    """Letters of other scripts and shapes as ASCII, without what does not show."""
    if text.text.isascii():
        return
    # Some characters stand for a dozen others each.
    letters = unicodedata.normalize("NFKD", text.text[:LONGEST].translate(_LOOK_ALIKES))[:LONGEST]
    letters = letters.translate(_LOOK_ALIKES)
    shown = (letter for letter in letters if letter in "\n\t" or unicodedata.category(letter) not in _NOT_SHOWN)
    yield Undone("look-alike or invisible characters", "".join(shown))


def markup(text: Text) -> Iterator[Undone]:
    """Text without tags or LaTeX commands."""
    plain = text.text
    if "<" in plain and len(_TAG.findall(plain)) >= 3:
        yield Undone("tags", _TAG.sub("", plain))
    if "\\" in plain and "{" in plain:
        yield Undone("LaTeX", _LATEX.sub("", plain))


def fillers(text: Text) -> Iterator[Undone]:
    """Without a character that stands between all others, or with every character once instead of twice."""
    plain = text.text[:LONGEST]
    found = dict.fromkeys(match[1] for match in _FILLER.finditer(plain))
    for filler in list(found)[:_MOST_FILLERS]:
        yield Undone("fillers", plain.replace(filler, ""))
    if 4 * len(_DOUBLED.findall(plain)) > len(plain):
        yield Undone("doubled", _DOUBLED.sub(r"\1", plain))


def together(text: Text) -> Iterator[Undone]:
    """What stands between words, joined up, for codes that were cut into pieces; and all of it backwards."""
    for ways, view in joined(text.rest):
        yield Undone(ways[0], view, certain=False)
    yield Undone("reversed", text.text[::-1], certain=False)


def every_other(text: Text) -> Iterator[Undone]:
    """Every second or third character; the first of each word."""
    plain = text.text[:LONGEST]
    for step in (2, 3):
        for start in range(step):
            yield Undone("every other character", plain[start::step], certain=False)
    yield Undone("first letters", "".join(token[0] for token in text.tokens), certain=False)


def other_alphabets(text: Text) -> Iterator[Undone]:
    """Letters shifted (by how much is guessed from the letter that a SMILES has most of), mirrored, or by ROT47."""
    letters = Counter(letter for token in text.tokens if not _is_word(token) for letter in _letters_of(token))
    for letter, count in letters.most_common(2):
        if count >= max(_LEAST_SHARE * letters.total(), 3) and "a" <= letter <= "z" and letter != "c":
            shift = (ord(letter) - ord("c")) % 26
            table = str.maketrans(_LOWER[shift:] + _LOWER[:shift] + _UPPER[shift:] + _UPPER[:shift], _LOWER + _UPPER)
            yield Undone("shifted letters", text.text.translate(table), certain=False)
    yield Undone("mirrored alphabet", text.text.translate(_ATBASH), certain=False)
    yield Undone("ROT47", text.text.translate(_ROT47), certain=False)


def _is_word(token: str) -> bool:
    return token.isalpha() and (token.islower() or token.istitle())


def _letters_of(token: str) -> Iterator[str]:
    """In lower case, without long runs of small letters, unless they have few different ones."""
    bare = _WORD.sub(lambda match: " " if len(set(match.group())) >= 3 else match.group(), token)
    return filter(str.isalpha, bare.lower())


def words(text: Text) -> Iterator[Undone]:
    """Names of elements, bonds, letters and digits as the signs they stand for; Morse code."""
    lowered = text.text.lower()
    if sum(map(lowered.count, _OFTEN_SPOKEN)) >= _LEAST_SPOKEN:
        yield Undone("words", _SPOKEN_WORD.sub(lambda match: _SPOKEN[match.group().lower()], text.text))
    if "-.-." in lowered:
        signs = [_MORSE.get(token.strip("/|,;"), token if len(token) == 1 else " ") for token in text.tokens]
        if sum(map(str.isalpha, signs)) >= _LEAST_MORSE:
            yield Undone("Morse", "".join(signs))
