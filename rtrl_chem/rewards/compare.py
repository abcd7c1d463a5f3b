"""How like two items of a domain are: what reconstruction, referee and supervised terms ask of x_hat and of y."""

from __future__ import annotations

from collections.abc import Sequence

from rtrl_chem import chem
from rtrl_chem.tasks.base import Task

__all__ = ["structures_alike", "texts_equal"]


def structures_alike(
    task: Task, a: Sequence[str], b: Sequence[str], equality: str | None, similarity: str | None = None
) -> list[float]:
    """From 0 to 1 for each pair of SMILES: equal under a policy of `chem.EQUALITIES` ("task": the task's own), Tanimoto
    similarity under a fingerprint of `chem.FINGERPRINTS`, or the mean of both. 0 where either is invalid."""
    columns: list[list[float]] = []
    if equality is not None:
        columns.append(
            [float(same) for same in chem.equal_batch(a, b, task.equality if equality == "task" else equality)]
        )
    if similarity is not None:
        columns.append([value or 0.0 for value in chem.tanimoto(zip(a, b, strict=True), similarity)])
    return [sum(values) / len(values) for values in zip(*columns, strict=True)]


def texts_equal(a: Sequence[str], b: Sequence[str]) -> list[float]:
    """1.0 for each pair of texts that are the same, white space folded."""
    return [float(left.split() == right.split()) for left, right in zip(a, b, strict=True)]
