"""Captions that state facts of a molecule, read off by RDKit and put into one of several phrasings.

No chemist wrote them and they say nothing of what a molecule is for: they are raw material for learning what words such
as "ester" mean, not a substitute for ChEBI.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors
from rdkit.Chem.Descriptors import MolWt  # type: ignore[attr-defined]

from rtrl_chem.chem.functional_groups import IMPLIES, count_groups

__all__ = ["PHRASINGS", "Facts", "caption", "facts_of"]

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_PLAIN = {"lactone", "lactam"}
_OTHER_WORDS = {
    "alkene": "carbon-carbon double bond",
    "alkyne": "carbon-carbon triple bond",
    "phenol": "phenolic hydroxy group",
    "epoxide": "epoxide ring",
    "fluoro": "fluoro substituent",
    "chloro": "chloro substituent",
    "bromo": "bromo substituent",
    "iodo": "iodo substituent",
    "nitro": "nitro substituent",
    "methoxy": "methoxy substituent",
}

# The facts in words, in different orders and sentences. Each slot is a phrase or a sentence of its own, see `_slots`.
PHRASINGS: dict[str, str] = {
    "formula-first": "The molecule has the molecular formula {formula}. It has {rings}. It contains {groups}.{more}",
    "groups-first": "The molecule carries {groups}. Its molecular formula is {formula}, and it has {rings}.{more}",
    "rings-first": "This is a molecule with {rings}. It has {groups}; its formula is {formula}.{more}",
    "compound": "A compound of the formula {formula} that has {groups}. It has {rings}.{more}",
    "weight": "The molecule weighs {weight} g/mol and consists of {atoms} heavy atoms ({formula}). Its functional "
    "groups: {groups}. It has {rings}.{more}",
    "brief": "{formula}: {groups}; {rings}.{more}",
}


@dataclass(frozen=True)
class Facts:
    """What a caption states. `groups` counts functional groups, `ring_kinds` named rings, the special ones before the
    general: an alcohol is not told again as a hydroxy group. `weight` is in g/mol."""

    formula: str
    weight: float
    heavy_atoms: int
    rings: int
    aromatic_rings: int
    groups: Mapping[str, int]
    ring_kinds: Mapping[str, int]
    charge: int
    centres: int
    open_centres: int


def facts_of(mol: Chem.Mol) -> Facts:
    """The facts of a sanitised molecule."""
    counted = count_groups(mol)
    general = {name for special in counted for name in IMPLIES.get(special, ())}
    told = {name: count for name, count in counted.items() if name not in general}
    centres = [info for info in Chem.FindPotentialStereo(mol) if info.type == Chem.StereoType.Atom_Tetrahedral]
    return Facts(
        formula=rdMolDescriptors.CalcMolFormula(mol),
        weight=MolWt(mol),
        heavy_atoms=mol.GetNumHeavyAtoms(),
        rings=rdMolDescriptors.CalcNumRings(mol),
        aromatic_rings=rdMolDescriptors.CalcNumAromaticRings(mol),
        groups={name: count for name, count in told.items() if not name.endswith(" ring")},
        ring_kinds={name: count for name, count in told.items() if name.endswith(" ring")},
        charge=Chem.GetFormalCharge(mol),
        centres=len(centres),
        open_centres=sum(info.specified == Chem.StereoSpecified.Unspecified for info in centres),
    )


def caption(smiles: str, facts: Facts, seed: int, name: str = "") -> tuple[str, str]:
    """(caption, key of its phrasing), which the seed and the canonical SMILES choose; it tells a name if given."""
    key = random.Random(f"{seed}/{smiles}").choice(list(PHRASINGS))
    return PHRASINGS[key].format(**_slots(facts, name)), key


def _slots(facts: Facts, name: str) -> dict[str, str]:
    groups = _listed([_several(count, _words(group)) for group, count in facts.groups.items()])
    return {
        "formula": facts.formula,
        "weight": f"{facts.weight:.1f}",
        "atoms": str(facts.heavy_atoms),
        "rings": _rings(facts),
        "groups": groups or "none of the common functional groups",
        "more": _charge(facts) + _stereo(facts) + (f" Its IUPAC name is {name}." if name else ""),
    }


def _words(group: str) -> str:
    return _OTHER_WORDS.get(group, group if group in _PLAIN else f"{group} group")


def _rings(facts: Facts) -> str:
    """ "three rings, two of them aromatic, including a benzene ring and a pyridine ring"."""
    if facts.rings == 1:
        text = "one aromatic ring" if facts.aromatic_rings else "one ring"
    else:
        text = _several(facts.rings, "ring")
        if facts.aromatic_rings:
            text += f", {_of_them(facts.aromatic_rings, facts.rings)} aromatic"
    kinds = _listed([_several(count, kind) for kind, count in facts.ring_kinds.items()])
    if not kinds:
        return text
    return f"{text} ({kinds})" if facts.rings == 1 else f"{text}, including {kinds}"


def _charge(facts: Facts) -> str:
    return f" Its net charge is {facts.charge:+d}." if facts.charge else ""


def _stereo(facts: Facts) -> str:
    if not facts.centres:
        return ""
    text = f" It has {_several(facts.centres, 'stereocentre')}"
    if facts.open_centres:
        whose = "" if facts.centres == 1 else f"{_of_them(facts.open_centres, facts.centres)} "
        text += f", {whose}left open"
    return text + "."


def _of_them(some: int, of: int) -> str:
    return "all of them" if some == of else f"{_number(some)} of them"


def _number(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)


def _several(count: int, noun: str) -> str:
    """ "an ester group", "two ester groups", "no rings"."""
    if count == 1:
        return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"
    return f"{_number(count)} {noun}s"


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1] if parts else ""
