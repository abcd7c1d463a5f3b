"""Atom maps: numbers that tie atoms of a product to those of the reactants, an answer key where either is asked for."""

from __future__ import annotations

from rdkit import Chem, rdBase

__all__ = ["without_atom_maps"]


def without_atom_maps(smiles: str) -> str | None:
    """Canonical SMILES without atom maps; None if it does not parse.

    The order of the atoms goes with the maps: a SMILES that is written in the order of its maps still tells them.

    >>> without_atom_maps("[CH3:2][OH:1]")
    'CO'
    """
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
        if mol is None:
            return None
        for atom in mol.GetAtoms():
            atom.SetAtomMapNum(0)
        # Through a second parse: brackets and stereo marks that only the maps had kept go with them.
        return str(Chem.CanonSmiles(Chem.MolToSmiles(mol)))
