"""The agreement term: what a text says about a molecule's functional groups and formula, held against the molecule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rtrl_chem import chem
from rtrl_chem.chem.formula import formula_of, formulas_named
from rtrl_chem.chem.functional_groups import groups_named, groups_of
from rtrl_chem.rewards.options import AgreementReward
from rtrl_chem.rewards.terms import Batch

__all__ = ["Agreement", "agreement"]


def agreement(text: str, smiles: str, measure: str) -> float:
    """From 0 to 1: precision, or F1, of the groups and formulas that the text names; 0 where it names none.

    precision = right / named; F1 = 2 right / (named + present). Right are named groups that the molecule has, and its
    own formula. A formula that is not named is not missed.
    """
    molecule = chem.parse(smiles)
    if molecule is None:
        return 0.0
    groups, formulas, present = groups_named(text), formulas_named(text), groups_of(molecule.mol)
    right = len(groups & present) + (formula_of(molecule.mol) in formulas)
    named = len(groups) + len(formulas)
    if not right:
        return 0.0
    return right / named if measure == "precision" else 2 * right / (named + len(present) + bool(formulas))


@dataclass(frozen=True)
class Agreement:
    """`agreement` of each text and molecule, whichever of them is y."""

    options: AgreementReward
    floor: ClassVar[float] = 0.0
    needs_target: ClassVar[bool] = False

    def __call__(self, batch: Batch) -> list[float]:
        """The agreement of each sample."""
        told = not batch.output_domain.is_structure
        pairs = zip(batch.sources, batch.outputs, strict=True)
        return [agreement(*((y, x) if told else (x, y)), self.options.measure) for x, y in pairs]
