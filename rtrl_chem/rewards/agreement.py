"""The agreement term: what a text says about a molecule's functional groups and formula, held against the molecule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
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
    groups, formulas = _named(text)
    present, formula = _present(smiles)
    right = len(groups & present) + (formula in formulas)
    named = len(groups) + len(formulas)
    if not right:
        return 0.0
    return right / named if measure == "precision" else 2 * right / (named + len(present) + bool(formulas))


@lru_cache(maxsize=50_000)
def _named(text: str) -> tuple[frozenset[str], frozenset[str]]:
    return groups_named(text), formulas_named(text)


@lru_cache(maxsize=50_000)
def _present(smiles: str) -> tuple[frozenset[str], str]:
    """Nothing is present in what is no molecule."""
    molecule = chem.parse(smiles)
    return (groups_of(molecule.mol), formula_of(molecule.mol)) if molecule else (frozenset(), "")


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
