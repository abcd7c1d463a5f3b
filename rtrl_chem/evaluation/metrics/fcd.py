"""Fréchet ChemNet distance (Preuer et al. 2018) through the package `fcd`, which brings ChemNet and needs torch."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from importlib.util import find_spec

from rtrl_chem import chem
from rtrl_chem.evaluation.metrics.score import Unavailable

__all__ = ["available", "distance", "distance_of_molecules"]

_FEWEST = 2  # a covariance needs two molecules


def available() -> bool:
    """Whether the package is installed; importing it takes seconds."""
    return find_spec("fcd") is not None


def distance(outputs: Iterable[str], targets: Iterable[str]) -> float:
    """FCD between the valid outputs and the valid targets, as canonical SMILES, repeats kept; 0 is best.

    A distance between two sets: which output belongs to which target does not matter. It falls as sets grow (the
    covariance of 512 activations is estimated from them), so compare only sets of one size. `Unavailable` without the
    package or with fewer than two valid molecules on a side.
    """
    return distance_of_molecules(
        [text for text in chem.canonical_batch(outputs) if text],
        [text for text in chem.canonical_batch(targets) if text],
    )


def distance_of_molecules(outputs: Sequence[str], targets: Sequence[str]) -> float:
    """As `distance`, of SMILES that are canonical already."""
    if not available():
        raise Unavailable("the package fcd is not installed: pip install 'rtrl-chem[metrics]'")
    if min(len(outputs), len(targets)) < _FEWEST:
        raise Unavailable(f"needs two molecules on either side, got {len(outputs)} outputs and {len(targets)} targets")
    import fcd
    import numpy as np
    from fcd.utils import calculate_frechet_distance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a deprecated numpy call, and padding of long SMILES
        model = fcd.load_ref_model()
        # In this process: the default starts another for what takes milliseconds.
        moments = [
            (activations.mean(axis=0), np.cov(activations.T))
            for activations in (fcd.get_predictions(model, list(smiles), n_jobs=0) for smiles in (targets, outputs))
        ]
        (mean_a, covariance_a), (mean_b, covariance_b) = moments
        return float(calculate_frechet_distance(mean_a, covariance_a, mean_b, covariance_b))
