"""Molecule <-> IUPAC name."""

from rtrl_chem.tasks.base import Domain, Task

NAMING = Task(
    name="naming",
    description="a molecule and its IUPAC name",
    left=Domain(name="molecule", kind="molecule", tag="SMILES"),
    right=Domain(name="IUPAC name", kind="text", tag="IUPAC"),
    forward_prompt="What is the IUPAC name of the molecule {source} ?",
    reverse_prompt="What is the SMILES of the molecule with the IUPAC name {source} ?",
)
