"""Charges that make an ion, told from those that only a SMILES needs."""

from __future__ import annotations

from rdkit import Chem

__all__ = ["has_ion"]


def has_ion(mol: Chem.Mol) -> bool:
    """Whether the molecule holds an ion or is a zwitterion; nitro groups, azides and N-oxides, whose opposite charges
    are side by side, are none.

    >>> [has_ion(Chem.MolFromSmiles(smiles)) for smiles in ("C[N+](=O)[O-]", "CC(=O)[O-]", "[NH3+]CC(=O)[O-]")]
    [False, True, True]
    """
    for atom in mol.GetAtoms():
        charge = atom.GetFormalCharge()
        if charge and not any(n.GetFormalCharge() * charge < 0 for n in atom.GetNeighbors()):
            return True
    return bool(Chem.GetFormalCharge(mol))
