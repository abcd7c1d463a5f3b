"""Cutting work into batches of like length, bounded by tokens rather than by rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

__all__ = ["left_pad", "token_batches"]

SHORTEST = 0.75


def token_batches(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Indices in batches whose padded size (rows x longest) stays within `max_tokens`; longest first.

    A batch also ends where padding would be more than `1 - SHORTEST` of a row.

    Longest first means that a batch too large for memory fails at once and not after an hour. A single row longer than
    `max_tokens` is a batch by itself.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    batch: list[int] = []
    for index in order:
        longest = lengths[batch[0]] if batch else 0
        if batch and ((len(batch) + 1) * longest > max_tokens or lengths[index] < SHORTEST * longest):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def left_pad(rows: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """(input_ids, attention_mask), each (B, T), padded on the left so that every row ends in the same column."""
    width = max(len(row) for row in rows)
    ids = [[pad_id] * (width - len(row)) + list(row) for row in rows]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


Progress = Callable[[int], None]
