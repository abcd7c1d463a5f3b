"""Reactants <-> product. Forward predicts the product, reverse is one step of retrosynthesis.

Reactants are one dot-joined SMILES whose order means nothing, hence the equality. With unlabelled products alone, train
the reverse direction first: the products are its sources.
"""

from rtrl_chem.tasks.base import Domain, Task

REACTION = Task(
    name="reaction",
    description="the reactants of a reaction and its product",
    left=Domain(name="reactants", kind="molecules", tag="REACTANTS"),
    right=Domain(name="product", kind="molecule", tag="PRODUCT"),
    forward_prompt="What is the product of a reaction of {source} ?",
    reverse_prompt="Which reactants could be used to make {source} ? Join them by dots.",
    equality="fragment_set",
)
