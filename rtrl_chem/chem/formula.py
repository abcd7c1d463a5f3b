"""What molecules are made of: element counts, molecular formulas, and formulas that a text names."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

__all__ = ["formula_of", "formulas_named", "heavy_elements"]

_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_PART = re.compile(r"([A-Z][a-z]?)(\d*)", re.ASCII)
# Elements and counts as a word of its own, perhaps with a charge; no molecule has a million atoms.
_CANDIDATE = re.compile(r"(?<![\w(\[-])((?:[A-Z][a-z]?[0-9]{0,6})+)(?:[0-9]{0,2}[+-])?(?![\w(\[-])")
# Without the word "formula" only what starts as an organic compound's does counts: C18 is a chain, CH3 a group.
_SAID = re.compile(r"\bformula\b[\w\s,:=]{0,20}$", re.IGNORECASE)
_SAID_LENGTH = 30  # a character before the word, the word, what may follow it
_ORGANIC = re.compile(r"C\d+H\d+", re.ASCII)
_A_PART = re.compile(r"\s+(?:group|substituent|chain|unit|moiety|fragment|side)", re.IGNORECASE)


def heavy_elements(mol: Chem.Mol) -> Counter[str]:
    """How often each element occurs, hydrogen apart.

    >>> dict(heavy_elements(Chem.MolFromSmiles("CCO")))
    {'C': 2, 'O': 1}
    """
    return Counter(atom.GetSymbol() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1)


def formula_of(mol: Chem.Mol) -> str:
    """Molecular formula in Hill's order, without charge.

    >>> formula_of(Chem.MolFromSmiles("C[NH3+]"))
    'CH6N'
    """
    return str(rdMolDescriptors.CalcMolFormula(mol)).split("+")[0].split("-")[0]


def formulas_named(text: str) -> frozenset[str]:
    """The molecular formulas in a text, in Hill's order, without charge.

    Read is what follows the word "formula", and anything that starts like C2H6; not "a C2H5 group".

    >>> sorted(formulas_named("Its formula is H2O. The C18 acid C18H36O2 has a CH3 end."))
    ['C18H36O2', 'H2O']
    """
    text = text.translate(_SUBSCRIPTS)
    found = set()
    for match in _CANDIDATE.finditer(text):
        said = _SAID.search(text[max(0, match.start() - _SAID_LENGTH) : match.start()])
        organic = _ORGANIC.match(match[1]) and not _A_PART.match(text, match.end())
        if (said or organic) and (formula := _hill(match[1])):
            found.add(formula)
    return frozenset(found)


def _hill(written: str) -> str:
    """The formula with its elements in Hill's order: C, H, then by letter; by letter alone without C. "" if it names
    what is no element."""
    counts: Counter[str] = Counter()
    for symbol, count in _PART.findall(written):
        if symbol not in _elements():
            return ""
        counts[symbol] += int(count or 1)
    first = ("C", "H") if "C" in counts else ()
    order = [*(s for s in first if s in counts), *sorted(s for s in counts if s not in first)]
    return "".join(f"{symbol}{counts[symbol] if counts[symbol] > 1 else ''}" for symbol in order)


@lru_cache(maxsize=1)
def _elements() -> frozenset[str]:
    table = Chem.GetPeriodicTable()
    return frozenset(table.GetElementSymbol(number) for number in range(1, 119))
