"""Characters written as numbers, and bytes written as letters."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterator

from rtrl_chem.chem.leakage.text import LONGEST, Text, Undone

__all__ = ["base64_and_32", "base85", "character_codes", "escapes", "hexadecimal"]

# The sign of an escape, what ends it, and how many there must be: "=2C" may stand in a SMILES.
_ESCAPES = tuple(
    (re.compile(sign + r"([2-7][\da-fA-F])" + end), least)
    for sign, end, least in (
        (r"\\x", "", 1),
        (r"\\u\{?00", r"\}?", 1),
        ("%", "", 1),
        ("&#[xX]0*", ";?", 1),
        (r"U\+00", "", 1),
        ("0[xX]", "", 3),
        ("=", "", 3),
    )
)
_OCTAL_ESCAPE = re.compile(r"\\([01][0-7]{2})")
_CODES = re.compile(r"\d{2,3}(?:[^\dA-Za-z]{1,3}\d{2,3}){4,}")
_BINARY = re.compile(r"[01]{7,8}(?:[\s,;|_-]*[01]{7,8}){4,}")
_HEX = re.compile(r"(?:[0-7][\da-fA-F][\s:,_-]{0,2}){5,}")
_BASE64 = re.compile(r"[A-Za-z\d+/]{6,}|[A-Za-z\d_-]{6,}")
_BASE32 = re.compile(r"[A-Z2-7]{8,}")
_MOST_TOKENS = 50
_LEAST_PRINTABLE = 0.6


def escapes(text: Text) -> Iterator[Undone]:
    """`\\x43`, `\\u0043`, `%43`, `=43`, `0x43`, `&#x43;`, `U+0043`, `\\103`, `&#67;`, `&lpar;`."""
    plain = text.text
    if not any(sign in plain for sign in ("\\", "%", "=", "&", "0x", "0X", "U+")):
        return
    for pattern, least in _ESCAPES:
        if len(pattern.findall(plain)) >= least:
            yield Undone("escapes", pattern.sub(lambda match: chr(int(match[1], 16)), plain))
    if _OCTAL_ESCAPE.search(plain):
        yield Undone("escapes", _OCTAL_ESCAPE.sub(lambda match: chr(int(match[1], 8)), plain))
    if "&" in plain and (unescaped := html.unescape(plain)) != plain:
        yield Undone("escapes", unescaped)


def character_codes(text: Text) -> Iterator[Undone]:
    """Decimal, octal or binary codes of characters."""
    plain = text.rest[:LONGEST]
    for match in _CODES.finditer(plain):
        numbers = re.findall(r"\d+", match.group())
        for base in (10, 8):
            if base == 10 or not set("".join(numbers)) & {"8", "9"}:
                yield Undone("character codes", "".join(map(_shown, (int(number, base) for number in numbers))))
    for match in _BINARY.finditer(plain):
        numbers = re.findall(r"[01]{7,8}", match.group())
        yield Undone("binary", "".join(_shown(int(number, 2)) for number in numbers))


def hexadecimal(text: Text) -> Iterator[Undone]:
    """Bytes by two hexadecimal digits each, perhaps spaced."""
    for match in _HEX.finditer(text.text[:LONGEST]):
        digits = "".join(filter(str.isalnum, match.group()))
        yield Undone("hexadecimal", "".join(map(_shown, bytes.fromhex(digits))))


def _shown(code: int) -> str:
    """The character; for one that does not print some other, so that equal ones stay equal."""
    return chr(code) if 32 < code < 127 else chr(0x3400 + code % 0x1000)


def base64_and_32(text: Text) -> Iterator[Undone]:
    """Bytes in base64, plain or URL-safe, and in base32, padded or not, perhaps glued to other letters in front."""
    for code in text.codes[:_MOST_TOKENS]:
        for token in dict.fromkeys(_BASE64.findall(code)):
            if not token.islower():
                for start in range(4):
                    yield from _bytes("base64", _from_base64, token[start:LONGEST])
        for token in _BASE32.findall(code):
            for start in range(8):
                yield from _bytes("base32", _from_base32, token[start:LONGEST])


def _from_base64(token: str) -> bytes:
    token = token[: len(token) - (len(token) % 4 == 1)]
    return base64.urlsafe_b64decode(token.replace("+", "-").replace("/", "_") + "=" * (-len(token) % 4))


def _from_base32(token: str) -> bytes:
    token = token[: len(token) - {1: 1, 3: 1, 6: 1}.get(len(token) % 8, 0)]
    return base64.b32decode(token + "=" * (-len(token) % 8))


def base85(text: Text) -> Iterator[Undone]:
    """Bytes in base85 or Ascii85, where they stand alone between blanks."""
    for token in text.codes[:_MOST_TOKENS]:
        if len(token) >= 10 and not token.isalnum():
            for bare in dict.fromkeys((token, token.strip(".,;:()[]{}\"'`"))):
                yield from _bytes("base85", base64.b85decode, bare)
                yield from _bytes("base85", base64.a85decode, bare)


def _bytes(way: str, decode: Callable[[str], bytes], token: str) -> Iterator[Undone]:
    try:
        data = decode(token)
    except (binascii.Error, ValueError):
        return
    printable = sum(32 < byte < 127 for byte in data)
    if printable and printable >= _LEAST_PRINTABLE * len(data):
        yield Undone(way, "".join(chr(byte) if 32 < byte < 127 else " " for byte in data))
