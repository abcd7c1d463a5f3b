"""Labelled pairs: the two sides of a task, for SFT, for the primary metric and for supervised baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rtrl_chem.data.corpus import (
    PROGRESS_EVERY,
    Admitted,
    Reject,
    admit,
    count_reasons,
    fingerprint,
    read_prepared,
    reject,
    require_some,
    summarise,
)
from rtrl_chem.data.readers import Columns, Row, open_rows
from rtrl_chem.tasks import Direction

if TYPE_CHECKING:
    from rtrl_chem.tasks import Task

__all__ = ["Pairs", "read_pairs"]


@dataclass(frozen=True)
class Pairs:
    """Distinct clean pairs in file order: `sources[i]` (the task's left side) goes with `targets[i]` (its right side).

    A molecule with two descriptions makes two pairs; the same pair twice is a duplicate. The sides of a prepared corpus
    are `Column`s.
    """

    sources: Sequence[str]
    targets: Sequence[str]
    rejects: list[Reject]
    rows_in: int
    files: tuple[str, ...]
    duplicates: int = 0
    repaired: int = 0
    note: str = ""

    def __len__(self) -> int:
        return len(self.sources)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return zip(self.sources, self.targets, strict=True)

    def along(self, direction: Direction) -> tuple[Sequence[str], Sequence[str]]:
        """(what the policy is given, what it should write) when the task runs in `direction`."""
        if direction is Direction.FORWARD:
            return self.sources, self.targets
        return self.targets, self.sources

    def fingerprint(self) -> str:
        """sha256 over the pairs in order, as hex: equal exactly when the pairs are."""
        return fingerprint(side for pair in self for side in pair)

    def reject_reasons(self) -> dict[str, int]:
        """Count of each reject reason, commonest first."""
        return count_reasons(self.rejects)

    def summary(self) -> str:
        """One line for a log."""
        return summarise(self.files, len(self), self.rows_in, self.duplicates, self.repaired, self.rejects) + self.note


def read_pairs(
    path: str | Path,
    task: Task,
    fields: tuple[str | None, str | None] = (None, None),
    *,
    format: str | None = None,
    split: str = "train",
    on_progress: Callable[[int], None] | None = None,
) -> Pairs:
    """Read the pairs of `task` from the same kinds of file as `read_corpus`, and with the same errors.

    `fields` names the columns of the left and the right side; None goes by the usual names (smiles/name,
    smiles/description, reactants/product). A `.smi` file gives (SMILES, name). A row either of whose sides cannot be
    used is a reject, its reason led by the side's tag: "SMILES: does not parse".
    """
    sides = (task.left, task.right)
    columns = Columns(sides, fields, str(path))
    if Path(path).expanduser().is_dir():
        (left_column, right_column), note = read_prepared(path, columns, split)
        return Pairs(left_column, right_column, [], len(left_column), (str(path),), note=note)
    where, rows = open_rows(path, columns, format, split)
    seen: dict[tuple[str, str], None] = {}
    rejects: list[Reject] = []
    rows_in = repaired = 0
    for row in rows:
        rows_in += 1
        if on_progress is not None and rows_in % PROGRESS_EVERY == 0:
            on_progress(rows_in)
        left, right, reason = _admit_pair(row, task)
        if reason:
            rejects.append(reject(where, row, reason))
            continue
        repaired += left.repaired or right.repaired
        seen[left.item, right.item] = None
    require_some(where, len(seen), rejects, wanted=f"a pair of {task.left.tag} and {task.right.tag}")
    return Pairs(
        sources=[left for left, _ in seen],
        targets=[right for _, right in seen],
        rejects=rejects,
        rows_in=rows_in,
        files=(where,),
        duplicates=rows_in - len(rejects) - len(seen),
        repaired=repaired,
    )


def _admit_pair(row: Row, task: Task) -> tuple[Admitted, Admitted, str]:
    """Both sides, and the reason to reject the row ("" if there is none)."""
    if row.problem:
        return Admitted(""), Admitted(""), row.problem
    left, right = admit(row.cells[0], task.left), admit(row.cells[1], task.right)
    if left.reason:
        return left, right, f"{task.left.tag}: {left.reason}"
    return left, right, f"{task.right.tag}: {right.reason}" if right.reason else ""
