"""Decoding that computes nothing twice and nothing for nobody: for transformers' `generate(custom_generate=decode)`.

Transformers' own loop reads a prompt anew for each of its samples, and runs every row of a batch until the longest has
ended. Here a prompt is read once, and rows that have ended leave the batch. Greedy answers are the same; samples follow
the same distribution with other random numbers: those the caller gives each row (`models.noise`).
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.generation import logits_process

from rtrl_chem.models.shared_prompts import group_rows

__all__ = ["decode"]

# Taking rows out moves the cache, so finished ones stay until they are this share of the batch.
FINISHED_SHARE = 0.15

# These look at each row by itself. Others may keep something for every row of the batch they were made for.
ROWWISE = (
    logits_process.EpsilonLogitsWarper,
    logits_process.EtaLogitsWarper,
    logits_process.MinLengthLogitsProcessor,
    logits_process.MinNewTokensLengthLogitsProcessor,
    logits_process.MinPLogitsWarper,
    logits_process.SuppressTokensLogitsProcessor,
    logits_process.TemperatureLogitsWarper,
    logits_process.TopKLogitsWarper,
    logits_process.TopPLogitsWarper,
    logits_process.TypicalLogitsWarper,
)


def decode(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    noise: torch.Tensor | None = None,
    **model_kwargs: Any,
) -> torch.Tensor:
    """Prompts (B, T), padded on the left, with their continuations, (B, T + new), padded on the right.

    `noise` (B, new) are uniform numbers from 0 to below 1 that decide the samples; without them torch's global
    generator does. The interface is that of transformers' decoding methods. Where this loop does not apply (beams, a
    cache or a logits processor that rows cannot be taken from, scores asked for) transformers' own is called, which
    knows no `noise`.
    """
    if not _applies(generation_config, logits_processor, model_kwargs):
        method = model._beam_search if generation_config.num_beams > 1 else model._sample
        return method(input_ids, logits_processor, stopping_criteria, generation_config, **model_kwargs)
    pad = generation_config._pad_token_tensor
    start = at = input_ids.size(1)
    rows = torch.arange(input_ids.size(0), device=input_ids.device)
    noise = noise.to(input_ids.device) if noise is not None else None
    written = input_ids.new_full((len(rows), generation_config.max_length), 0 if pad is None else int(pad))
    written[:, :at] = input_ids
    alive = torch.ones_like(rows, dtype=torch.bool)  # of the rows still in the batch
    logits, model_kwargs = _read_prompts(model, input_ids, model_kwargs)
    while True:
        uniform = noise[rows, at - start] if noise is not None else None
        tokens = _choose(logits_processor(input_ids, logits), generation_config.do_sample, uniform)
        if pad is not None:
            tokens = torch.where(alive, tokens, pad.to(tokens.device))
        written[rows, at] = tokens
        at += 1
        input_ids = torch.cat([input_ids, tokens[:, None]], dim=1)
        alive &= ~stopping_criteria(input_ids, None)
        if not (left := int(alive.sum())):
            return written[:, :at]
        if left <= (1 - FINISHED_SHARE) * len(alive):
            keep = alive.nonzero().squeeze(1)
            model_kwargs = _select(model_kwargs, keep, len(rows))
            rows, input_ids, alive = rows[keep], input_ids[keep], alive[keep]
        logits, model_kwargs = _forward(model, input_ids, model_kwargs, 1)


def _applies(generation_config: Any, logits_processor: Any, model_kwargs: dict[str, Any]) -> bool:
    cache: Any = model_kwargs.get("past_key_values")
    return (
        generation_config.num_beams == 1
        and not generation_config.return_dict_in_generate
        and all(type(processor) in ROWWISE for processor in logits_processor)
        and type(cache) is DynamicCache
        and cache.get_seq_length() == 0
        and all(type(layer) is DynamicLayer for layer in cache.layers)
    )


def _read_prompts(model: Any, input_ids: torch.Tensor, model_kwargs: dict[str, Any]) -> tuple[torch.Tensor, dict]:
    """Next-token logits of every row, (B, V), with each distinct prompt computed once."""
    mask = model_kwargs.get("attention_mask")  # transformers drops one of ones alone
    example, kind = group_rows(input_ids if mask is None else torch.cat([input_ids, mask], dim=1))
    few = _select(model_kwargs, example, len(input_ids))
    logits, few = _forward(model, input_ids[example], few, None)
    return logits[kind], _select(few, kind, len(example))


def _forward(
    model: Any, input_ids: torch.Tensor, model_kwargs: dict[str, Any], length: int | None
) -> tuple[torch.Tensor, dict[str, Any]]:
    """Logits after the last token, (rows, V) in float32, and the arguments of the next call. `length`: how many tokens
    are new to the cache; None for a prompt."""
    first = {"is_first_iteration": True} if length is None else {}
    inputs = model.prepare_inputs_for_generation(input_ids, next_sequence_length=length, **first, **model_kwargs)
    outputs = model(**inputs, return_dict=True)
    model_kwargs = model._update_model_kwargs_for_generation(outputs, model_kwargs)
    return outputs.logits[:, -1].float(), model_kwargs


def _choose(scores: torch.Tensor, sample: bool, uniform: torch.Tensor | None) -> torch.Tensor:
    """A token for each row of scores (B, V); `uniform` (B,) decides at which point of the cumulative distribution."""
    if not sample:
        return scores.argmax(-1)
    if uniform is None:
        return torch.multinomial(scores.softmax(-1), 1).squeeze(1)
    # In double: where sums round, a token of probability zero could be met.
    upto = scores.softmax(-1).cumsum(-1, dtype=torch.float64)
    tokens = torch.searchsorted(upto, uniform[:, None] * upto[:, -1:], right=True)
    return tokens.squeeze(1).clamp(max=scores.size(-1) - 1)  # what is not a number lies beyond the last


def _select(model_kwargs: dict[str, Any], rows: torch.Tensor, size: int) -> dict[str, Any]:
    """The arguments of these of `size` rows; the cache is changed in place."""
    model_kwargs["past_key_values"].batch_select_indices(rows)
    return {
        key: value[rows] if isinstance(value, torch.Tensor) and value.dim() and value.size(0) == size else value
        for key, value in model_kwargs.items()
    }
