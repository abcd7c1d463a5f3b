"""The supervised term beside a reward: `weight` times the cross-entropy of labelled pairs, a few in every step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch

from rtrl_chem.models.codec import Codec
from rtrl_chem.models.reverse import row_nats
from rtrl_chem.training.phase import next_sources
from rtrl_chem.training.sft import Example, encode

__all__ = ["SupervisedTerm"]


class SupervisedTerm:
    """Deals labelled examples to the optimizer steps of a phase, and each step's to its micro-batches.

    A step takes `per_step` examples over all processes; none comes twice before all have come once. The loss is the
    mean over the answer tokens of the whole step, in nats at temperature 1, whoever computes which part of it.
    """

    def __init__(
        self, codec: Codec, examples: Sequence[Example], weight: float, *, steps: int, per_step: int, seed: int
    ) -> None:
        self.codec = codec
        self.weight = weight
        self.per_step = per_step
        self._order = next_sources(examples, steps * per_step, 0, seed)
        self._rows_of = lru_cache(maxsize=1)(self._encode)

    def share(self, model: Any, step: int, number: int, of: int, *, always_call: bool = False) -> torch.Tensor:
        """Nats that the `number`-th of `of` shares adds to the mean over the tokens of step `step`, with gradient.

        An empty share does not call the model, unless `always_call`: where its parameters are gathered from all
        processes on each call, none may stay away.
        """
        rows, spans = self._rows_of(step)
        mine = slice(number, None, of)
        if not rows[mine] and not always_call:
            return torch.zeros((), device=model.device)
        part, lengths = (rows[mine], spans[mine]) if rows[mine] else (rows[:1], spans[:1])
        sums = row_nats(model, part, lengths, self.codec.tokenizer.pad_token_id)
        return -sums.sum() / sum(spans) * bool(rows[mine])

    def _encode(self, step: int) -> tuple[list[list[int]], list[int]]:
        """Token ids of the step's examples, and how many of them at the end are the answer."""
        encoded = encode(self.codec, self._order[step * self.per_step : (step + 1) * self.per_step])
        return encoded["input_ids"], [sum(label != -100 for label in labels) for labels in encoded["labels"]]
