"""Molecule <-> description in a few sentences."""

from rtrl_chem.tasks.base import Domain, Task

CAPTIONING = Task(
    name="captioning",
    description="a molecule and a description of it",
    left=Domain(name="molecule", kind="molecule", tag="SMILES"),
    right=Domain(name="description", kind="text", tag="DESCRIPTION", prose=True),
    forward_prompt="Describe the molecule {source} .",
    reverse_prompt="Give the SMILES of the molecule that fits this description: {source}",
)
