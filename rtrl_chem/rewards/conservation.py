"""The conservation term: a reaction makes its product from the atoms of its reactants, and changes something.

Necessary and far from sufficient: a product of one carbon, or a pile of reactants, conserves everything. It is a term
to stand beside one that asks for more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rtrl_chem import chem
from rtrl_chem.chem.formula import heavy_elements
from rtrl_chem.rewards.options import ConservationReward
from rtrl_chem.rewards.terms import Batch
from rtrl_chem.tasks.base import Direction

__all__ = ["Conservation", "conserved"]


def conserved(reactants: str, product: str) -> float:
    """The share of the product's atoms, hydrogens apart, that the reactants hold, element by element; 0 where a
    molecule of the product is itself a reactant, or either is no molecule.

    >>> conserved("CCO.CC(=O)O", "CCOC(C)=O"), conserved("CCO", "CCCl"), conserved("CCO.CC", "OCC")
    (1.0, 0.6666666666666666, 0.0)
    """
    before, after = chem.parse(reactants), chem.parse(product)
    if before is None or after is None or set(before.fragments) & set(after.fragments):
        return 0.0
    wanted = heavy_elements(after.mol)
    return (wanted & heavy_elements(before.mol)).total() / wanted.total()


@dataclass(frozen=True)
class Conservation:
    """`conserved` for each reaction, whichever side of it is y."""

    options: ConservationReward
    floor: ClassVar[float] = 0.0
    needs_target: ClassVar[bool] = False

    def __call__(self, batch: Batch) -> list[float]:
        """The share of conserved atoms."""
        forward = batch.direction is Direction.FORWARD
        pairs = zip(batch.sources, batch.outputs, strict=True)
        return [conserved(x, y) if forward else conserved(y, x) for x, y in pairs]
