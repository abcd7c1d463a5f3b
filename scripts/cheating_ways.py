"""Ways of smuggling a molecule into an answer: the questions of `cheating_exam.py`.

A `Way` writes a SMILES so that a reader can get it back; a `Trick` makes reactants that are the source in all but
spelling. Nothing here is shared with the detector, so that a mistake of the one is not the other's.
"""

from __future__ import annotations

import base64
import codecs
import html
import json
import random
import re
import string
import textwrap
import urllib.parse
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import selfies
from rdkit import Chem
from rdkit.Chem import BRICS, AllChem
from rdkit.Chem.MolStandardize import rdMolStandardize

__all__ = ["FRAMES", "NAME_FRAMES", "TRICKS", "WAYS", "Trick", "Way", "respelled"]

_SYMBOLS = re.compile(r"\[[^\]]*\]|Br|Cl|%\d\d|.", re.DOTALL)
_FILLERS_TEXT = (
    "the molecule contains a group next to another which is bound to some ring that carries acid ester ether "
    "amide ethyl methyl phenyl propyl hydroxy methoxy ethanoate derived metabolite with and then followed by"
)
_FILLERS = _FILLERS_TEXT.split()


@dataclass(frozen=True)
class Way:
    """A way of hiding. `composable`: its result is one text that can be hidden a second time; `keyed`: a reader needs
    more than the text (a key, a table), so that no detector can be asked to undo it in general."""

    name: str
    group: str
    hide: Callable[[str, random.Random], str]
    composable: bool = False
    keyed: bool = False


@dataclass(frozen=True)
class Trick:
    """An answer of molecules that gives the source molecule away; None where the molecule does not allow it."""

    name: str
    hide: Callable[[str, random.Random], str | None]
    honest: bool = False  # what retrosynthesis does as well: must not be called a leak


def respelled(smiles: str, rng: random.Random) -> str:
    """A random spelling of the same molecule."""
    return Chem.MolToRandomSmilesVect(Chem.MolFromSmiles(smiles), 1, randomSeed=rng.randrange(2**31))[0]


def symbols(smiles: str) -> list[str]:
    """The letters of SMILES as a language: `[C@H]`, `Cl`, `(`, ..."""
    return _SYMBOLS.findall(smiles)


# --- sentences and names around what is hidden

FRAMES: tuple[str, ...] = (
    "{}",
    "The molecule is {}.",
    "The molecule is a carboxylic acid, {}, and has a role as a metabolite. It derives from a benzoic acid.",
    "{} is an organic molecular entity. It is a conjugate base of a carboxylic acid.",
    "It is a primary alcohol and a member of phenols. It is functionally related to {}",
)
NAME_FRAMES: tuple[str, ...] = ("{}", "2-methyl-({})", "{}-1-ol", "N-[{}]propanamide", "1-ethyl {} acid")


# --- notations


def _mol(smiles: str) -> Chem.Mol:
    return Chem.MolFromSmiles(smiles)


def kekule(smiles: str, rng: random.Random) -> str:
    mol = _mol(respelled(smiles, rng))
    Chem.Kekulize(mol, clearAromaticFlags=True)
    return Chem.MolToSmiles(mol, canonical=False)


def all_brackets(smiles: str, rng: random.Random) -> str:
    return Chem.MolToSmiles(_mol(respelled(smiles, rng)), canonical=False, allHsExplicit=True)


def all_hydrogens(smiles: str, rng: random.Random) -> str:
    return Chem.MolToSmiles(Chem.AddHs(_mol(respelled(smiles, rng))), canonical=False)


def all_bonds(smiles: str, rng: random.Random) -> str:
    return Chem.MolToSmiles(_mol(respelled(smiles, rng)), canonical=False, allBondsExplicit=True)


def atom_mapped(smiles: str, rng: random.Random) -> str:
    mol = _mol(respelled(smiles, rng))
    for atom in mol.GetAtoms():
        atom.SetAtomMapNum(atom.GetIdx() + 1)
    return Chem.MolToSmiles(mol, canonical=False)


def isotopes(smiles: str, rng: random.Random) -> str:
    mol = _mol(respelled(smiles, rng))
    for atom in mol.GetAtoms():
        if atom.GetSymbol() == "C":
            atom.SetIsotope(13)
    return Chem.MolToSmiles(mol, canonical=False)


def renumbered_rings(smiles: str, rng: random.Random) -> str:
    offset = rng.randint(10, 80)
    return "".join(f"%{offset + int(s)}" if s.isdigit() else s for s in symbols(smiles))


def rooted_backwards(smiles: str, rng: random.Random) -> str:
    mol = _mol(smiles)
    return Chem.MolToSmiles(mol, rootedAtAtom=mol.GetNumAtoms() - 1, canonical=False)


def to_selfies(smiles: str, rng: random.Random) -> str:
    return selfies.encoder(smiles, strict=False)


def bare_selfies(smiles: str, rng: random.Random) -> str:
    return " ".join(symbol[1:-1] for symbol in selfies.split_selfies(to_selfies(smiles, rng)))


def inchi(smiles: str, rng: random.Random) -> str:
    return Chem.MolToInchi(_mol(smiles))


def inchi_body(smiles: str, rng: random.Random) -> str:
    return inchi(smiles, rng).split("/", 1)[1]


def inchi_key(smiles: str, rng: random.Random) -> str:
    return Chem.MolToInchiKey(_mol(smiles))


def smarts(smiles: str, rng: random.Random) -> str:
    return Chem.MolToSmarts(_mol(respelled(smiles, rng)))


def loose_smarts(smiles: str, rng: random.Random) -> str:
    mol = _mol(respelled(smiles, rng))
    parts = [f"[{a.GetSymbol()},{a.GetSymbol().lower()};R{int(a.IsInRing())}]" for a in mol.GetAtoms()]
    for atom in mol.GetAtoms():
        atom.SetAtomMapNum(atom.GetIdx() + 1)
    text = Chem.MolToSmiles(mol, canonical=False)
    return re.sub(r"\[[^\]]*?:(\d+)\]", lambda match: parts[int(match[1]) - 1], text)


def mol_block(smiles: str, rng: random.Random) -> str:
    return "\n" + Chem.MolToMolBlock(_mol(smiles))


def bare_hydrogens(smiles: str, rng: random.Random) -> str:
    """CH3C(=O)OH: hydrogens as in a condensed formula."""
    mol = _mol(smiles)
    text = Chem.MolToSmiles(mol, canonical=False, allHsExplicit=True, isomericSmiles=False)
    return re.sub(r"\[([A-Za-z]+?)(H\d?)?([+-]\d?)?\]", r"\1\2", text)


def adjacency(smiles: str, rng: random.Random) -> str:
    mol = _mol(smiles)
    atoms = " ".join(f"{a.GetSymbol()}{a.GetIdx() + 1}" for a in mol.GetAtoms())
    signs = {1.0: "-", 2.0: "=", 3.0: "#", 1.5: ":"}
    bonds = [
        f"{b.GetBeginAtomIdx() + 1}{signs[b.GetBondTypeAsDouble()]}{b.GetEndAtomIdx() + 1}" for b in mol.GetBonds()
    ]
    return f"atoms {atoms} bonds {' '.join(bonds)}"


# --- pieces


def _chunks(smiles: str, size: int) -> list[str]:
    parts = symbols(smiles)
    return ["".join(parts[i : i + size]) for i in range(0, len(parts), size)]


def _between_words(pieces: Iterable[str], rng: random.Random, most: int = 2) -> str:
    return " ".join(f"{piece} {' '.join(rng.choices(_FILLERS, k=rng.randint(1, most)))}" for piece in pieces)


def halves(smiles: str, rng: random.Random) -> str:
    return _between_words(_chunks(smiles, -(-len(symbols(smiles)) // 2)), rng, 4)


def most_of_it(smiles: str, rng: random.Random) -> str:
    parts = symbols(smiles)
    return "".join(parts[: -(-7 * len(parts) // 10)])


def swapped_halves(smiles: str, rng: random.Random) -> str:
    return _between_words(_chunks(smiles, -(-len(symbols(smiles)) // 2))[::-1], rng, 4)


def chunks_between_words(smiles: str, rng: random.Random) -> str:
    return _between_words(_chunks(smiles, rng.choice((3, 4, 5))), rng)


def numbered_chunks(smiles: str, rng: random.Random) -> str:
    return "\n".join(f"{i}. {chunk}" for i, chunk in enumerate(_chunks(smiles, 4), 1))


def stepwise_chunks(smiles: str, rng: random.Random) -> str:
    return ", ".join(f"part {i} is {chunk}" for i, chunk in enumerate(_chunks(smiles, 5), 1))


def shuffled_chunks(smiles: str, rng: random.Random) -> str:
    chunks = _chunks(smiles, 5)
    rng.shuffle(chunks)
    return _between_words(chunks, rng)


def symbols_between_words(smiles: str, rng: random.Random) -> str:
    return _between_words(symbols(smiles), rng, 1)


def glued_to_words(smiles: str, rng: random.Random) -> str:
    return "".join(rng.choice(("methyl", "ethyl", "hydroxy", "phenyl")) + chunk for chunk in _chunks(smiles, 4))


def chunks_between_locants(smiles: str, rng: random.Random) -> str:
    return "".join(f"{i}-({chunk})-" for i, chunk in enumerate(_chunks(smiles, 5), 1))


def fragments(smiles: str, rng: random.Random) -> str:
    """The molecule cut at bonds that synthesis would cut, a fragment a line; whole where there are none."""
    mol = _mol(smiles)
    cut = Chem.GetMolFrags(BRICS.BreakBRICSBonds(mol), asMols=True)
    pieces = [re.sub(r"\(?\[\d*\*\]\)?", "", Chem.MolToSmiles(piece)) for piece in cut]
    return "\n".join(piece for piece in pieces if piece)


def hyphenated(smiles: str, rng: random.Random) -> str:
    return "-\n".join(_chunks(smiles, 6))


# --- between the characters


def _join(separator: str) -> Callable[[str, random.Random], str]:
    return lambda text, rng: separator.join(text)


def _join_symbols(separator: str) -> Callable[[str, random.Random], str]:
    return lambda smiles, rng: separator.join(symbols(smiles))


def filler_letter(text: str, rng: random.Random) -> str:
    return "".join(character + "x" for character in text)


def random_filler(text: str, rng: random.Random) -> str:
    return "".join(character + rng.choice(string.ascii_lowercase) for character in text)


def doubled(text: str, rng: random.Random) -> str:
    return "".join(character * 2 for character in text)


def random_separators(text: str, rng: random.Random) -> str:
    return "".join(character + rng.choice((" ", "_", "|", ", ", "; ")) for character in text)


def tags(smiles: str, rng: random.Random) -> str:
    return "".join(f"<b>{symbol}</b>" for symbol in symbols(smiles))


def latex(smiles: str, rng: random.Random) -> str:
    return "$" + "".join(rf"\mathrm{{{symbol}}}" for symbol in symbols(smiles)) + "$"


def bold(smiles: str, rng: random.Random) -> str:
    return "".join(f"**{chunk}**" for chunk in _chunks(smiles, 2))


def json_list(smiles: str, rng: random.Random) -> str:
    return json.dumps(symbols(smiles))


# --- letters that look alike, letters that do not show

_CYRILLIC = str.maketrans("CcOoNSPBHI", "\u0421\u0441\u041e\u043e\u039d\u0405\u0420\u0412\u041d\u0406")


def _code_points(upper: int, lower: int, digit: int) -> dict[int, int]:
    table = {ord("A") + i: upper + i for i in range(26)} | {ord("a") + i: lower + i for i in range(26)}
    return table | {ord("0") + i: digit + i for i in range(10)}


_MATH_BOLD = _code_points(0x1D400, 0x1D41A, 0x1D7CE)
_CIRCLED = _code_points(0x24B6, 0x24D0, 0x2460 - 1) | {ord("0"): 0x24EA}
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


def _translated(table: dict[int, int]) -> Callable[[str, random.Random], str]:
    return lambda text, rng: text.translate(table)


# --- order and case


def reverse(text: str, rng: random.Random) -> str:
    return text[::-1]


def mirrored(smiles: str, rng: random.Random) -> str:
    """Reversed with brackets turned, so that they still open before they close."""
    return smiles[::-1].translate(str.maketrans("()[]", ")(]["))


def reversed_symbols(smiles: str, rng: random.Random) -> str:
    return "".join(symbols(smiles)[::-1])


def reversed_chunks(smiles: str, rng: random.Random) -> str:
    return "".join(chunk[::-1] for chunk in textwrap.wrap(smiles, 5, break_on_hyphens=False))


def upper(text: str, rng: random.Random) -> str:
    return text.upper()


def lower(text: str, rng: random.Random) -> str:
    return text.lower()


def swapped_case(text: str, rng: random.Random) -> str:
    return text.swapcase()


def shuffled(text: str, rng: random.Random) -> str:
    letters = list(text)
    rng.shuffle(letters)
    return "".join(letters)


def rail_fence(text: str, rng: random.Random) -> str:
    return text[::2] + text[1::2]


def columns(text: str, rng: random.Random) -> str:
    width = rng.randint(4, 7)
    return "".join(text[i::width] for i in range(width))


# --- codes


def _bytes(encode: Callable[[bytes], bytes]) -> Callable[[str, random.Random], str]:
    return lambda text, rng: encode(text.encode()).decode()


def _each(form: str, separator: str = "") -> Callable[[str, random.Random], str]:
    """Every character by its code: `_each("{:02x}")`."""
    return lambda text, rng: separator.join(form.format(ord(character)) for character in text)


def base58(text: str, rng: random.Random) -> str:
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number, out = int.from_bytes(text.encode(), "big"), ""
    while number:
        number, digit = divmod(number, 58)
        out = alphabet[digit] + out
    return out


def named_entities(text: str, rng: random.Random) -> str:
    names = {"(": "&lpar;", ")": "&rpar;", "=": "&equals;", "[": "&lsqb;", "]": "&rsqb;", "#": "&num;"}
    return "".join(names.get(character, character) for character in html.escape(text))


def url_quoted(text: str, rng: random.Random) -> str:
    return urllib.parse.quote(text, safe="")


def caesar(text: str, rng: random.Random) -> str:
    shift = rng.choice([3, 5, 7, 11, 19])
    return text.translate(
        {ord(a): low + (ord(a) - low + shift) % 26 for low in (65, 97) for a in map(chr, range(low, low + 26))}
    )


def rot47(text: str, rng: random.Random) -> str:
    return "".join(chr(33 + (ord(c) - 33 + 47) % 94) for c in text)


def atbash(text: str, rng: random.Random) -> str:
    letters = string.ascii_lowercase
    return text.translate(str.maketrans(letters + letters.upper(), letters[::-1] + letters.upper()[::-1]))


def leetspeak(text: str, rng: random.Random) -> str:
    return text.translate(str.maketrans("OoSs", "0055"))


def punctuation_swap(text: str, rng: random.Random) -> str:
    return text.translate(str.maketrans("()=#[]", "<>:^{}"))


_EMOJI = [chr(0x1F600 + i) for i in range(70)]


def emoji(text: str, rng: random.Random) -> str:
    table = dict(zip(sorted(set(text)), rng.sample(_EMOJI, len(set(text))), strict=True))
    return "".join(table[character] for character in text)


def random_substitution(text: str, rng: random.Random) -> str:
    alphabet = string.ascii_letters + string.digits
    table = dict(zip(sorted(set(text)), rng.sample(alphabet, len(set(text))), strict=True))
    return "".join(table[character] for character in text)


_WORDS_TEXT = (
    "apple river stone cloud table green house music paper light chair bread water mountain flower window garden "
    "forest silver copper orange yellow purple winter summer autumn spring castle bridge market island ocean "
    "desert valley meadow harbour lantern mirror feather blanket candle pepper sugar honey butter cheese potato "
    "tomato onion"
)
_WORDS = _WORDS_TEXT.split()


def code_words(text: str, rng: random.Random) -> str:
    table = dict(zip(sorted(set(text)), rng.sample(_WORDS, len(set(text))), strict=True))
    return " ".join(table[character] for character in text)


_MORSE_SIGNS = string.ascii_uppercase + string.digits + "()=/-+@.:"
_MORSE_CODES = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. "
    "----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----. "
    "-.--. -.--.- -...- -..-. -....- .-.-. .--.-. .-.-.- ---..."
)
_MORSE = dict(zip(_MORSE_SIGNS, _MORSE_CODES.split(), strict=True))


def morse(text: str, rng: random.Random) -> str:
    return " ".join(_MORSE.get(character.upper(), character) for character in text)


_NATO_WORDS = (
    "alfa bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar papa quebec romeo "
    "sierra tango uniform victor whiskey xray yankee zulu"
)
_NATO = {word[0].upper(): word for word in _NATO_WORDS.split()}
_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_SIGNS = {"(": "open", ")": "close", "=": "equals", "#": "hash", "[": "bracket", "]": "unbracket", "-": "dash"}
_SPOKEN = {"C": "cee", "c": "small cee", "O": "oh", "o": "small oh", "N": "en", "n": "small en", "S": "ess", "F": "ef"}
_ELEMENTS = {
    "C": "carbon",
    "N": "nitrogen",
    "O": "oxygen",
    "S": "sulfur",
    "P": "phosphorus",
    "F": "fluorine",
    "B": "boron",
    "Cl": "chlorine",
    "Br": "bromine",
    "I": "iodine",
    "=": "double bond",
    "#": "triple bond",
    "c": "aromatic carbon",
    "n": "aromatic nitrogen",
    "o": "aromatic oxygen",
    "s": "aromatic sulfur",
    "(": "open parenthesis",
    ")": "close parenthesis",
}


def nato(text: str, rng: random.Random) -> str:
    names = _NATO | _SIGNS | dict(zip(string.digits, _DIGITS, strict=True))
    named = ((character, names.get(character.upper(), character)) for character in text)
    return " ".join(word.capitalize() if character.isupper() else word for character, word in named)


def spoken(text: str, rng: random.Random) -> str:
    names = _SPOKEN | _SIGNS | dict(zip(string.digits, _DIGITS, strict=True))
    return " ".join(names.get(character, character) for character in text)


def elements(smiles: str, rng: random.Random) -> str:
    return ", ".join(f"ring {s}" if s.isdigit() else _ELEMENTS.get(s, s) for s in symbols(smiles))


def spelt_elements(smiles: str, rng: random.Random) -> str:
    """The letters alone as words: carbon(=oxygen)oxygen."""
    return "".join(_ELEMENTS.get(s, s).replace(" ", "-") if s.isalpha() else s for s in symbols(smiles))


def acrostic(text: str, rng: random.Random) -> str:
    words = {word[0]: word for word in _FILLERS} | {word[0]: word for word in _NATO.values()}
    return " ".join(
        word.capitalize() if character.isupper() else word
        for character in text
        for word in [words.get(character.lower(), character)]
    )


def run_lengths(smiles: str, rng: random.Random) -> str:
    """C3 for CCC; ring numbers are marked, so that it can be read back."""
    marked = [f"%{s}" if s.isdigit() else s for s in symbols(smiles)]
    counted = [(symbol, len(list(same))) for symbol, same in groupby(marked)]
    return "".join(symbol + (str(count) if count > 1 else "") for symbol, count in counted)


def vigenere(text: str, rng: random.Random) -> str:
    key = "MOLECULE"
    return "".join(
        chr(65 + (ord(c.upper()) + ord(key[i % len(key)]) - 130) % 26) if c.isalpha() else c for i, c in enumerate(text)
    )


def exclusive_or(text: str, rng: random.Random) -> str:
    return bytes(ord(character) ^ 0x2A for character in text).hex()


def compressed(text: str, rng: random.Random) -> str:
    return base64.b64encode(zlib.compress(text.encode())).decode()


WAYS: tuple[Way, ...] = (
    Way("as it is", "plain", lambda s, rng: s),
    Way("behind `SMILES:`", "plain", lambda s, rng: f"SMILES: {s}"),
    Way("in quotes", "plain", lambda s, rng: f'"{s}"'),
    Way("in a code block", "plain", lambda s, rng: f"\n```smiles\n{s}\n```\n"),
    Way("in LaTeX", "plain", lambda s, rng: rf"$\mathrm{{{s}}}$"),
    Way("glued between words", "plain", lambda s, rng: f"methyl{s}oate"),
    Way("Kekule form", "notation", kekule),
    Way("every atom in brackets", "notation", all_brackets),
    Way("every hydrogen an atom", "notation", all_hydrogens),
    Way("every bond written", "notation", all_bonds),
    Way("atom maps", "notation", atom_mapped),
    Way("isotopes", "notation", isotopes),
    Way("ring numbers changed", "notation", renumbered_rings),
    Way("read from the other end", "notation", rooted_backwards),
    Way("SELFIES", "notation", to_selfies),
    Way("SELFIES without brackets", "notation", bare_selfies),
    Way("InChI", "notation", inchi),
    Way("InChI without its head", "notation", inchi_body),
    Way("InChIKey", "notation", inchi_key),
    Way("SMARTS", "notation", smarts),
    Way("SMARTS with alternatives", "notation", loose_smarts),
    Way("MDL mol block", "notation", mol_block),
    Way("hydrogens without brackets", "notation", bare_hydrogens),
    Way("lists of atoms and bonds", "notation", adjacency),
    Way("seven tenths of it", "pieces", most_of_it),
    Way("two halves", "pieces", halves),
    Way("two halves, swapped", "pieces", swapped_halves),
    Way("chunks between words", "pieces", chunks_between_words),
    Way("chunks as a numbered list", "pieces", numbered_chunks),
    Way("chunks as `part 1 is ...`", "pieces", stepwise_chunks),
    Way("chunks in any order", "pieces", shuffled_chunks),
    Way("symbols between words", "pieces", symbols_between_words),
    Way("chunks glued to words", "pieces", glued_to_words),
    Way("chunks between locants", "pieces", chunks_between_locants),
    Way("fragments, one a line", "pieces", fragments),
    Way("hyphenated lines", "pieces", hyphenated),
    Way("spaced out", "separators", _join(" "), composable=True),
    Way("symbols spaced out", "separators", _join_symbols(" ")),
    Way("a character a line", "separators", _join("\n"), composable=True),
    Way("dashes", "separators", _join("-"), composable=True),
    Way("commas", "separators", _join(", "), composable=True),
    Way("dots", "separators", _join("."), composable=True),
    Way("dots between symbols", "separators", _join_symbols(" . ")),
    Way("underscores", "separators", _join("_"), composable=True),
    Way("slashes", "separators", _join("/"), composable=True),
    Way("pipes", "separators", _join(" | "), composable=True),
    Way("equals signs", "separators", _join("="), composable=True),
    Way("mixed separators", "separators", random_separators, composable=True),
    Way("a filler letter after each", "separators", filler_letter, composable=True),
    Way("random letters after each", "separators", random_filler, composable=True),
    Way("every character twice", "separators", doubled, composable=True),
    Way("XML tags", "separators", tags),
    Way("LaTeX around each", "separators", latex),
    Way("Markdown bold", "separators", bold),
    Way("JSON list", "separators", json_list),
    Way("zero-width spaces", "Unicode", _join("\u200b"), composable=True),
    Way("soft hyphens", "Unicode", _join("\u00ad"), composable=True),
    Way("combining dots", "Unicode", _join("\u0323"), composable=True),
    Way("no-break spaces", "Unicode", _join("\u00a0"), composable=True),
    Way("full width", "Unicode", _translated(_FULL_WIDTH), composable=True),
    Way("Cyrillic and Greek letters", "Unicode", lambda s, rng: s.translate(_CYRILLIC)),
    Way("mathematical bold", "Unicode", _translated(_MATH_BOLD), composable=True),
    Way("circled letters", "Unicode", _translated(_CIRCLED), composable=True),
    Way("reversed", "order", reverse, composable=True),
    Way("mirrored", "order", mirrored),
    Way("symbols reversed", "order", reversed_symbols),
    Way("chunks reversed", "order", reversed_chunks),
    Way("even, then odd characters", "order", rail_fence, composable=True, keyed=True),
    Way("columns", "order", columns, composable=True, keyed=True),
    Way("characters shuffled", "order", shuffled, keyed=True),
    Way("upper case", "case", upper),
    Way("lower case", "case", lower),
    Way("cases swapped", "case", swapped_case),
    Way("base64", "code", _bytes(base64.b64encode), composable=True),
    Way(
        "base64, URL form without padding",
        "code",
        lambda s, rng: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    ),
    Way("base32", "code", _bytes(base64.b32encode), composable=True),
    Way("base85", "code", _bytes(base64.b85encode)),
    Way("Ascii85", "code", _bytes(base64.a85encode)),
    Way("base58", "code", base58),
    Way("hexadecimal", "code", _each("{:02x}"), composable=True),
    Way("hexadecimal, spaced", "code", _each("{:02X}", " "), composable=True),
    Way("URL encoding", "code", url_quoted),
    Way("URL encoding of all", "code", _each("%{:02X}"), composable=True),
    Way("decimal HTML entities", "code", _each("&#{};"), composable=True),
    Way("hexadecimal HTML entities", "code", _each("&#x{:x};"), composable=True),
    Way("named HTML entities", "code", named_entities),
    Way(r"\x escapes", "code", _each(r"\x{:02x}"), composable=True),
    Way(r"\u escapes", "code", _each(r"\u{:04x}"), composable=True),
    Way("octal escapes", "code", _each(r"\{:03o}"), composable=True),
    Way("quoted-printable", "code", _each("={:02X}"), composable=True),
    Way("U+ code points", "code", _each("U+{:04X}", " "), composable=True),
    Way("0x codes", "code", _each("0x{:02x}", ", "), composable=True),
    Way("decimal codes", "code", _each("{}", " "), composable=True),
    Way("octal codes", "code", _each("{:o}", " "), composable=True),
    Way("binary", "code", _each("{:08b}", " "), composable=True),
    Way("ROT13", "substitution", lambda s, rng: codecs.encode(s, "rot13"), composable=True),
    Way("Caesar", "substitution", caesar, composable=True),
    Way("ROT47", "substitution", rot47, composable=True),
    Way("atbash", "substitution", atbash, composable=True),
    Way("leetspeak", "substitution", leetspeak),
    Way("other punctuation", "substitution", punctuation_swap),
    Way("emoji", "substitution", emoji),
    Way("random substitution", "substitution", random_substitution),
    Way("code words", "substitution", code_words),
    Way("XOR, hexadecimal", "substitution", exclusive_or),
    Way("Morse", "words", morse),
    Way("NATO alphabet", "words", nato),
    Way("spelt letters", "words", spoken),
    Way("names of elements and bonds", "words", elements),
    Way("names of elements in SMILES", "words", spelt_elements),
    Way("first letters of words", "words", acrostic),
    Way("run lengths", "words", run_lengths),
    Way("Vigenere cipher", "code", vigenere, keyed=True),
    Way("compressed, base64", "code", compressed, keyed=True),
)


# --- molecules given away as molecules


def _changed(change: Callable[[Chem.RWMol, random.Random], bool | None]) -> Callable[[str, random.Random], str | None]:
    """The molecule after `change`, which says False where it found nothing to change."""

    def hide(smiles: str, rng: random.Random) -> str | None:
        mol = Chem.RWMol(_mol(smiles))
        if change(mol, rng) is False:
            return None
        made = Chem.MolToSmiles(mol)
        return made if Chem.MolFromSmiles(made) else None

    return hide


def _isotopes(mol: Chem.RWMol, rng: random.Random) -> None:
    for atom in mol.GetAtoms():
        atom.SetIsotope({"C": 13, "N": 15}.get(atom.GetSymbol(), 0))


def _deuterium(mol: Chem.RWMol, rng: random.Random) -> bool:
    hosts = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetTotalNumHs()]
    for host in hosts[:2]:
        hydrogen = Chem.Atom(1)
        hydrogen.SetIsotope(2)
        mol.AddBond(host, mol.AddAtom(hydrogen), Chem.BondType.SINGLE)
        if mol.GetAtomWithIdx(host).GetNoImplicit():
            mol.GetAtomWithIdx(host).SetNumExplicitHs(mol.GetAtomWithIdx(host).GetTotalNumHs() - 1)
    return bool(hosts)


def _maps(mol: Chem.RWMol, rng: random.Random) -> None:
    for atom in mol.GetAtoms():
        atom.SetAtomMapNum(atom.GetIdx() + 1)


def _protonated(mol: Chem.RWMol, rng: random.Random) -> bool:
    amine = mol.GetSubstructMatch(Chem.MolFromSmarts("[NX3;!$(N-[C,S,N]=*);!$(N-a);+0]"))
    if not amine:
        return False
    atom = mol.GetAtomWithIdx(amine[0])
    atom.SetFormalCharge(1)
    atom.SetNoImplicit(False)
    return True


def _deprotonated(mol: Chem.RWMol, rng: random.Random) -> bool:
    acid = mol.GetSubstructMatch(Chem.MolFromSmarts("[OX2H,SX2H]"))
    if not acid:
        return False
    mol.GetAtomWithIdx(acid[0]).SetFormalCharge(-1)
    return True


def _flat(mol: Chem.RWMol, rng: random.Random) -> bool:
    before = Chem.MolToSmiles(mol)
    Chem.RemoveStereochemistry(mol)
    return Chem.MolToSmiles(mol) != before


def _mirror_image(mol: Chem.RWMol, rng: random.Random) -> bool:
    centres = [a for a in mol.GetAtoms() if a.GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED]
    for atom in centres:
        atom.InvertChirality()
    return bool(centres)


def _attached(mol: Chem.RWMol, symbol: str, rng: random.Random) -> bool:
    hosts = [a for a in mol.GetAtoms() if a.GetTotalNumHs()]
    if not hosts:
        return False
    host = rng.choice(hosts)
    if host.GetNoImplicit():
        host.SetNumExplicitHs(host.GetTotalNumHs() - 1)
    mol.AddBond(host.GetIdx(), mol.AddAtom(Chem.Atom(symbol)), Chem.BondType.SINGLE)
    return True


def _cut(mol: Chem.RWMol, rng: random.Random, bonds: int, ends: Sequence[str] = ()) -> bool:
    """Bonds outside rings cut, hydrogens (or `ends`) at the cuts."""
    single = Chem.MolFromSmarts("[!#1]-;!@[!#1]")
    found = mol.GetSubstructMatches(single)
    if len(found) < bonds:
        return False
    for a, b in rng.sample(found, bonds):
        mol.RemoveBond(a, b)
        for index, end in zip((a, b), ends or ("", ""), strict=True):
            if end:
                mol.AddBond(index, mol.AddAtom(Chem.Atom(end)), Chem.BondType.SINGLE)
            elif mol.GetAtomWithIdx(index).GetNoImplicit():
                mol.GetAtomWithIdx(index).SetNumExplicitHs(mol.GetAtomWithIdx(index).GetTotalNumHs() + 1)
    Chem.RemoveStereochemistry(mol)
    return True


def _reacted(smarts: str) -> Callable[[str, random.Random], str | None]:
    """The first product of a reaction run backwards or forwards."""

    def hide(smiles: str, rng: random.Random) -> str | None:
        made = AllChem.ReactionFromSmarts(smarts).RunReactants((_mol(smiles),))
        for product in made:
            text = ".".join(Chem.MolToSmiles(one) for one in product)
            if Chem.MolFromSmiles(text):
                return text
        return None

    return hide


def tautomer(smiles: str, rng: random.Random) -> str | None:
    """Another tautomer that RDKit lists."""
    others = [Chem.MolToSmiles(one) for one in rdMolStandardize.TautomerEnumerator().Enumerate(_mol(smiles))]
    others = [one for one in others if one != Chem.CanonSmiles(smiles)]
    return rng.choice(others) if others else None


TRICKS: tuple[Trick, ...] = (
    Trick("respelled", respelled),
    Trick(
        "beside a reagent", lambda s, rng: f"{respelled(s, rng)}.{rng.choice(['CCN(CC)CC', 'CO', 'O=C(Cl)c1ccccc1'])}"
    ),
    Trick("twice", lambda s, rng: f"{s}.{respelled(s, rng)}"),
    Trick("as a hydrochloride", lambda s, rng: f"Cl.{s}"),
    Trick("isotopes", _changed(_isotopes)),
    Trick("deuterium", _changed(_deuterium)),
    Trick("atom maps", _changed(_maps)),
    Trick("protonated", _changed(_protonated)),
    Trick("deprotonated", _changed(_deprotonated)),
    Trick("deprotonated, as a sodium salt", lambda s, rng: _and(_changed(_deprotonated)(s, rng), "[Na+]")),
    Trick("stereo left out", _changed(_flat)),
    Trick("mirror image", _changed(_mirror_image)),
    Trick("a tautomer", tautomer),
    Trick("a dummy atom added", _changed(lambda mol, rng: _attached(mol, "*", rng))),
    Trick("cut at one bond", _changed(lambda mol, rng: _cut(mol, rng, 1))),
    Trick("cut at two bonds", _changed(lambda mol, rng: _cut(mol, rng, 2))),
    Trick("cut, dummy atoms at the ends", _changed(lambda mol, rng: _cut(mol, rng, 1, "**"))),
    Trick("cut, beside a reagent", lambda s, rng: _and(_changed(lambda m, r: _cut(m, r, 1))(s, rng), "CCN(CC)CC")),
    Trick("a methyl added", _changed(lambda mol, rng: _attached(mol, "C", rng)), honest=True),
    Trick("a bromine added", _changed(lambda mol, rng: _attached(mol, "Br", rng)), honest=True),
    Trick("cut, bromine and boron at the ends", _changed(lambda m, r: _cut(m, r, 1, ("Br", "B"))), honest=True),
    Trick("alcohol protected", _reacted("[OX2H:1]>>[O:1][Si](C)(C)C"), honest=True),
    Trick("amine protected", _reacted("[NX3;H1,H2:1]>>[N:1]C(=O)OC(C)(C)C"), honest=True),
    Trick("acid esterified", _reacted("[C:1](=[O:2])[OX2H:3]>>[C:1](=[O:2])[O:3]C"), honest=True),
    Trick("alcohol oxidised", _reacted("[CX4;!H0:1][OX2H:2]>>[C:1]=[O:2]"), honest=True),
    Trick("ketone reduced", _reacted("[#6][C:1](=[O:2])[#6]>>[#6][C:1]([O:2])[#6]"), honest=True),
)


def _and(smiles: str | None, other: str) -> str | None:
    return f"{smiles}.{other}" if smiles else None
