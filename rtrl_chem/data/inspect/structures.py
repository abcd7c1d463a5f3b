"""What RDKit says of a structure, item by item: the expensive part, done on a sample and in several processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rdkit import Chem, rdBase
from rdkit.Chem.Descriptors import MolWt  # type: ignore[attr-defined]

from rtrl_chem import chem
from rtrl_chem.chem.charges import has_ion
from rtrl_chem.chem.functional_groups import groups_of
from rtrl_chem.data.corpus import admit
from rtrl_chem.data.prepare.decontaminate import first_block
from rtrl_chem.tasks import Domain

__all__ = ["Facts", "examine", "examine_chunk"]


@dataclass(frozen=True, slots=True)
class Facts:
    """One item of a structure domain; where it is invalid `reason` says why, and nothing else is set.

    `item` is canonical. `elements` counts heavy atoms by symbol over all fragments, `weight` is in g/mol, `block` the
    first block of the InChIKey: the same skeleton of atoms, whatever its stereo, charge or isotopes.
    """

    reason: str = ""
    item: str = ""
    heavy_atoms: int = 0
    weight: float = 0.0
    rings: int = 0
    fragments: int = 0
    charge: int = 0
    elements: tuple[tuple[str, int], ...] = ()
    groups: tuple[str, ...] = ()
    block: str = ""
    ions: bool = False
    stereo: bool = False
    open_stereo: bool = False
    isotopes: bool = False
    radicals: bool = False
    wildcards: bool = False
    mapped: bool = False
    respelled: bool = False
    repaired: bool = False


def examine_chunk(rows: list[tuple[str, Domain]]) -> list[Facts]:
    """`examine` for each item, with RDKit's messages off."""
    with rdBase.BlockLogs():
        return [examine(text, domain) for text, domain in rows]


def examine(text: str, domain: Domain) -> Facts:
    """The facts of one item of a structure domain."""
    found = admit(text, domain)
    if found.reason:
        return Facts(reason=found.reason)
    molecule = chem.parse(found.item)
    if molecule is None:  # RDKit wrote it and does not read it: rare, and no item for training
        return Facts(reason="does not survive being written")
    mol = molecule.mol
    atoms = list(mol.GetAtoms())
    unset = any(info.specified == Chem.StereoSpecified.Unspecified for info in Chem.FindPotentialStereo(mol))
    return Facts(
        item=found.item,
        heavy_atoms=molecule.heavy_atoms,
        weight=MolWt(mol),
        rings=mol.GetRingInfo().NumRings(),
        fragments=len(Chem.GetMolFrags(mol)),
        charge=Chem.GetFormalCharge(mol),
        elements=tuple(sorted(Counter(a.GetSymbol() for a in atoms if a.GetAtomicNum() != 1).items())),
        groups=tuple(sorted(groups_of(mol))),
        block=first_block(mol, found.item),
        ions=has_ion(mol),
        stereo=found.item != molecule.stereo_free,
        open_stereo=unset,
        isotopes=any(atom.GetIsotope() for atom in atoms),
        radicals=any(atom.GetNumRadicalElectrons() for atom in atoms),
        wildcards=any(atom.GetAtomicNum() == 0 for atom in atoms),
        mapped=any(atom.GetAtomMapNum() for atom in atoms),
        respelled=found.item != text.strip(),
        repaired=found.repaired,
    )
