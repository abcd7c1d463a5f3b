"""The format term F(y): whether y is well formed as an item of its domain, before anyone asks whether it is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rtrl_chem.chem.molecule import parse
from rtrl_chem.rewards.options import FormatReward
from rtrl_chem.rewards.terms import Batch
from rtrl_chem.tasks.base import Domain

__all__ = ["Format", "format_reward"]

_PAIRS = {")": "(", "]": "[", "}": "{"}


def format_reward(domain: Domain, output: str) -> float:
    """1.0 if well formed, else 0.0 (F(y) of arXiv 2510.01527, Eq. 10).

    A structure must be a valid SMILES; a phrase one line of printable characters with balanced brackets; prose must not
    be empty.
    """
    if domain.is_structure:
        return float(parse(output) is not None)
    if domain.prose:
        return float(bool(output.strip()))
    return float(bool(output) and output.isprintable() and _balanced(output))


def _balanced(text: str) -> bool:
    """Whether every bracket is closed by its own kind, in order."""
    stack = []
    for character in text:
        if character in _PAIRS.values():
            stack.append(character)
        elif character in _PAIRS and (not stack or stack.pop() != _PAIRS[character]):
            return False
    return not stack


@dataclass(frozen=True)
class Format:
    """F(y) of each output."""

    options: FormatReward
    floor: ClassVar[float] = 0.0
    needs_target: ClassVar[bool] = False

    def __call__(self, batch: Batch) -> list[float]:
        """1.0 or 0.0 for each output."""
        return [format_reward(batch.output_domain, output) for output in batch.outputs]
