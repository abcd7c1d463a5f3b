"""Ranked outputs: top-k accuracy, MaxFrag, reciprocal rank; and retrosynthesis judged by a forward model.

An output keeps its rank whatever it is: an invalid or repeated one is not skipped, and those behind it stay where they
are.

Round-trip metrics are those of Schwaller et al., Chem. Sci. 2020, 11, 3316, for N products x_i with k predictions y_ij
each, F a forward model, and c a classifier of reactions:

    round-trip accuracy  RT(k)  = 1/(N k) * sum_i sum_{j<=k} [F(y_ij) = x_i]
    coverage             Cov(k) = 1/N * sum_i [there is a j <= k with F(y_ij) = x_i]
    class diversity      CD(k)  = 1/N * sum_i |{c(y_ij -> x_i) : j <= k, F(y_ij) = x_i}|     (superclasses)

RT asks how many of all predictions are right, Cov whether there is a right one at all. Elsewhere Cov(k) goes by the
name "top-k round-trip accuracy"; at k = 1 the two are the same number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rtrl_chem import chem
from rtrl_chem.evaluation.metrics.score import ALL_ROWS, Score, mean_score

__all__ = ["TOP_K", "class_counts", "hits", "ranked_scores", "round_trip_scores"]

Bools = NDArray[np.bool_]

TOP_K = (1, 3, 5, 10)


def hits(candidates: Sequence[Sequence[str]], wanted: Sequence[str], ranks: int, equality: str | None) -> Bools:
    """Whether the candidate at each rank is what is wanted, (n, ranks): structures under a policy of
    `chem.EQUALITIES`, or texts letter by letter with equality None. A missing candidate is wrong."""
    right = np.zeros((len(wanted), ranks), dtype=bool)
    equal = _same_text if equality is None else _same_structure(equality)
    for row, (outputs, target) in enumerate(zip(candidates, wanted, strict=True)):
        for rank, output in enumerate(outputs[:ranks]):
            right[row, rank] = equal(output, target)
    return right


def ranked_scores(right: Bools, largest: Bools | None = None) -> list[Score]:
    """Top-k accuracy for the k of `TOP_K` up to the number of ranks, MRR, and MaxFrag top-k, from `hits` (n, ranks).

    - `top{k}`: share of all rows with a right output among the first k, [there is a j <= k that is right].
    - `mrr`: mean of 1/rank of the first right output, 0 without one; over as many ranks as there are.
    - `maxfrag_top{k}`: as `top{k}` with only the largest fragments compared (Tetko et al. 2020); `largest` are the hits
      under that equality, None where outputs are no sets of molecules.
    """
    found = [mean_score(f"top{k}", f"top-{k} accuracy", _any(right, k)) for k in _depths(right)]
    rank = np.where(right.any(axis=1), right.argmax(axis=1) + 1.0, np.inf)
    found.append(mean_score("mrr", f"mean reciprocal rank of {right.shape[1]}", 1 / rank, unit="similarity"))
    if largest is not None:
        found += [mean_score(f"maxfrag_top{k}", f"MaxFrag top-{k}", _any(largest, k)) for k in _depths(largest)]
    return found


def round_trip_scores(right: Bools, classes: NDArray[np.int64] | None = None) -> list[Score]:
    """Schwaller's metrics (see the module) for the k of `TOP_K`, from the `hits` (n, ranks) of each reconstruction
    against its source; `classes` (n, ranks) are `class_counts`, None without a classifier."""
    found = []
    for k in _depths(right):
        words = f"all rows x {k}" if k > 1 else ALL_ROWS
        share = right[:, :k].mean(axis=1)
        found.append(mean_score(f"round_trip_accuracy_top{k}", f"round-trip accuracy, {k}", share, denominator=words))
        found.append(mean_score(f"coverage_top{k}", f"coverage, {k}", _any(right, k)))
        if classes is not None:
            label = f"class diversity, {k}"
            found.append(mean_score(f"class_diversity_top{k}", label, classes[:, k - 1], unit="number"))
    return found


def class_counts(right: Bools, classes: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """Distinct superclasses among the right predictions up to each rank, (n, ranks). A class is a name such as
    "1.2.3", its superclass what is before the first dot; "" is a reaction without a class and does not count."""
    found = np.zeros(right.shape, dtype=np.int64)
    for row, names in enumerate(classes):
        seen: set[str] = set()
        for rank in range(right.shape[1]):
            superclass = names[rank].split(".")[0] if rank < len(names) else ""
            if right[row, rank] and superclass:
                seen.add(superclass)
            found[row, rank] = len(seen)
    return found


def _depths(right: Bools) -> list[int]:
    return [k for k in TOP_K if k <= right.shape[1]]


def _any(right: Bools, k: int) -> Bools:
    return np.asarray(right[:, :k].any(axis=1))


def _same_text(output: str, target: str) -> bool:
    return bool(target) and output == target


def _same_structure(equality: str) -> Callable[[str, str], bool]:
    return lambda output, target: chem.equal(output, target, equality)
