"""Molecules in other notations than SMILES, as SMILES."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from rdkit import Chem, rdBase

from rtrl_chem.chem.leakage.text import LONGEST, Text, Undone

__all__ = ["notations"]

_SELFIES = re.compile(r"(?:\[[^\[\]\s]{1,20}\]\s*){3,}")
_BARE_SELFIES = re.compile(r"(?:[=#/\\]?[A-Z][A-Za-z\d+\-@]{0,9}[ ,]+)+[=#/\\]?[A-Z][A-Za-z\d+\-@]{0,9}")
_SELFIES_SYMBOL = re.compile(r"[=#/\\]?(?:Branch\d|Ring\d|[A-Z][a-z]?(?:@@?)?(?:H\d)?(?:[+-]\d)?)(?![A-Za-z])")
_INCHI = re.compile(
    r"([A-Z][A-Za-z\d.]{0,80}/c[\d\-(),;*]*\d[);]*)"  # formula and bonds
    r"(/h(?:[\d,\-]*H\d*|\(H[\d,\-]*\)|[,;])+)?"  # hydrogens
)
_MOL_BLOCK = re.compile(r"^[ \d]+V2000[ \t]*\n.*?^M  END", re.MULTILINE | re.DOTALL)
_QUERY_ATOM = re.compile(r"\[(?:#(\d{1,3})|\*?[&;,]?([A-Z][a-z]?|[bcnops]))[^\[\]\s]{0,40}\]")
# So many stretches of a text are read as each notation.
_MOST_STRETCHES = 50
_IS_QUERY = re.compile(r"\[[^\[\]\s]{0,20}[#;,&]")


def notations(text: Text) -> Iterator[Undone]:
    """SELFIES with and without brackets, SMARTS, InChI, mol blocks."""
    plain = text.text
    if plain.count("[") >= 3:
        yield from _selfies(match.group() for match in _first(_SELFIES, plain))
        if _IS_QUERY.search(plain):
            yield Undone("SMARTS", _QUERY_ATOM.sub(_named_atom, plain))
    elif "Branch" in plain or "Ring1" in plain or "Ring2" in plain:
        symbols = (_SELFIES_SYMBOL.findall(match.group()) for match in _first(_BARE_SELFIES, plain))
        yield from _selfies("".join(f"[{symbol}]" for symbol in run) for run in symbols)
    if "/c" in plain:
        found = (_from_inchi(match[1], match[2] or "") for match in _first(_INCHI, plain))
        yield from (Undone("InChI", smiles) for smiles in found if smiles)
    if "V2000" in plain:
        found = (_from_mol_block(match.group()) for match in _first(_MOL_BLOCK, plain))
        yield from (Undone("mol block", smiles) for smiles in found if smiles)


def _first(pattern: re.Pattern[str], text: str) -> Iterable[re.Match[str]]:
    return islice(pattern.finditer(text[:LONGEST]), _MOST_STRETCHES)


def _selfies(runs: Iterator[str]) -> Iterator[Undone]:
    for run in runs:
        import selfies  # a tenth of a second that few outputs need

        try:
            smiles = selfies.decoder("".join(run.split()))
        except (selfies.DecoderError, ValueError):
            continue
        if smiles:
            yield Undone("SELFIES", smiles)


def _named_atom(match: re.Match[str]) -> str:
    if match[2]:
        return f"[{match[2]}]"
    number = int(match[1])
    return f"[{Chem.GetPeriodicTable().GetElementSymbol(number)}]" if 0 < number < 119 else "*"


def _from_inchi(bonds: str, hydrogens: str) -> str:
    with rdBase.BlockLogs():
        for body in (bonds + hydrogens, bonds, bonds.rstrip(");"), bonds[: bonds.rfind("-")]):
            mol = Chem.MolFromInchi("InChI=1S/" + body, sanitize=False)
            if mol is not None and mol.GetNumAtoms():
                return str(Chem.MolToSmiles(mol))
    return ""


def _from_mol_block(block: str) -> str:
    with rdBase.BlockLogs():
        # RDKit takes UTF-8, in which a lone surrogate cannot be written.
        mol = Chem.MolFromMolBlock("\n\n\n" + block.encode("ascii", "replace").decode(), sanitize=False)
        return "" if mol is None else str(Chem.MolToSmiles(mol))
