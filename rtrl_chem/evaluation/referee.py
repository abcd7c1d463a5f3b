"""An independent reader of names (OPSIN) as a judge of outputs, where there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtrl_chem import chem
from rtrl_chem.errors import RtrlError
from rtrl_chem.evaluation.measure import is_name
from rtrl_chem.evaluation.metrics import names
from rtrl_chem.tasks import Direction, Task

__all__ = ["Reader", "Referee", "opsin_referee", "read_names"]

# SMILES for each name, None for what cannot be read.
Reader = Callable[[list[str]], "list[str | None]"]


@dataclass(frozen=True)
class Referee:
    """An independent reader of names, or the reason why there is none."""

    read: Reader | None
    absent: str = ""


def opsin_referee(wanted: bool, unwanted: str = "evaluation.referee is off") -> Referee:
    """OPSIN, where it is wanted and installed; `unwanted` is the reason given where it is not wanted."""
    if not wanted:
        return Referee(None, unwanted)
    opsin = chem.Opsin()
    if not opsin.available():
        return Referee(None, "OPSIN not installed (needs Java and `rtrl-chem[opsin]`)")
    return Referee(opsin.read)


def read_names(
    task: Task, direction: Direction, sources: Sequence[str], outputs: Sequence[str], referee: Referee
) -> tuple[list[bool] | None, str]:
    """Whether the referee reads each output as its source, or None and the reason why it has no word on them."""
    if not (is_name(task.output(direction)) and task.source(direction).is_structure) or referee.read is None:
        return None, referee.absent
    try:
        read = referee.read(list(outputs))
    except RtrlError as error:  # a referee that fails is one metric less, not a lost evaluation
        return None, str(error)
    return names.read_back(read, sources, task.equality), ""
