"""Randomness of samples that depends on what is sampled, and not on which process samples it, in which batch or when.

A process's own generator would draw other samples with every number of processes, and other ones after a restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import torch

__all__ = ["key_of", "row_noise"]


def key_of(*words: object) -> int:
    """128 bits for a row, by what it is known by: a seed, a step and its number, say."""
    return int.from_bytes(blake2b(repr(words).encode(), digest_size=16).digest(), "big")


def row_noise(keys: Sequence[int], length: int) -> torch.Tensor:
    """Uniform numbers from 0 to below 1, (rows, length), float32: a row for each key, the same wherever it is drawn.

    Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") takes a key and needs no warming up.
    """
    rows = np.empty((len(keys), length), dtype=np.float32)
    for row, key in zip(rows, keys, strict=True):
        np.random.Generator(np.random.Philox(key=key)).random(out=row, dtype=np.float32)
    return torch.from_numpy(rows)
