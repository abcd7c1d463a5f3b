"""Log-probabilities of a group's completions with the prompt, and repeated completions, computed once.

The samples of a GRPO group share their prompt, and a prompt is often longer than what is written after it. Its keys
and values are computed once and every completion attends to them; the gradient flows back through them, so loss and
gradient are those of the plain computation up to rounding. (Dropout, where a model has it, is shared with the prompt.)
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.nn.functional import pad
from torch.nn.parallel import DistributedDataParallel
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

__all__ = ["completion_log_probs", "group_rows"]

PARTS = 4  # of like length, into which the completions are cut

Scores = tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]


def group_rows(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(a row of each kind (D,), the kind of each row (B,)) of a (B, T) tensor: `rows[a[kind]]` equals `rows`."""
    distinct, kind = rows.unique(dim=0, return_inverse=True)
    example = torch.empty(len(distinct), dtype=torch.long, device=rows.device)
    example[kind] = torch.arange(len(rows), device=rows.device)
    return example, kind


def completion_log_probs(model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, keep: int) -> Scores | None:
    """(log-probabilities, entropies, state values) of the last `keep` columns, each (B, keep), zero where masked.

    `model` has TRL's fused head, which gives nats and divides by the temperature; that of a reference model gives no
    entropies (None). There are state values where they are recorded (`models.value_head`): of the state in which a
    token is chosen, so that of the first one comes from the prompt's last position.
    Prompts are padded on the left, completions on the right. The result is None where no prompt repeats or the cache is
    of a kind that rows cannot be taken from: then the caller does it the plain way.
    """
    width = input_ids.size(1) - keep
    plain = model.module if isinstance(model, DistributedDataParallel) else model
    if width < 2 or not _accepts(plain, "position_ids", "logits_to_keep", "past_key_values"):
        return None
    prompt, prompt_of = group_rows(torch.cat([input_ids[:, :width], attention_mask[:, :width]], dim=1))
    if len(prompt) == len(prompt_of):
        return None
    # The last token of a prompt goes with the completion, whose first token it predicts.
    seen = attention_mask[prompt, : width - 1]
    ids = input_ids[prompt, : width - 1]
    cache = plain(
        input_ids=ids, attention_mask=seen, position_ids=_positions(seen), use_cache=True, logits_to_keep=1
    ).past_key_values
    if not isinstance(cache, DynamicCache) or any(type(layer) is not DynamicLayer for layer in cache.layers):
        return None
    ids, mask = input_ids[:, width:], attention_mask[:, width:]
    row, row_of = group_rows(torch.cat([prompt_of[:, None], ids * mask, mask], dim=1))
    order = mask[row].sum(1).argsort(stable=True)
    chunks = row[order].chunk(PARTS)
    # DistributedDataParallel talks to the other processes on each call, so it gets one, as in the plain way.
    callees = [plain] * (len(chunks) - 1) + [model]
    parts = [
        _continue(callee, cache, prompt_of[rows], input_ids[rows], attention_mask[rows], keep)
        for callee, rows in zip(callees, chunks, strict=True)
    ]
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    log_probs, entropies, values = (
        None if found[0] is None else torch.cat(found)[place[row_of]] for found in zip(*parts, strict=True)
    )
    return log_probs, entropies, values


def _continue(
    model: Any, cache: DynamicCache, prompts: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, keep: int
) -> Scores:
    """The scores of a few rows, each (b, keep), given the keys and values of each row's prompt."""
    width = ids.size(1) - keep
    longest = max(1, int(mask[:, width:].sum(1).max()))
    end = width + longest
    own = DynamicCache()
    for index, layer in enumerate(cache.layers):
        own.update(layer.keys[prompts], layer.values[prompts], index)
    out = model(
        input_ids=ids[:, width - 1 : end - 1],
        attention_mask=mask[:, : end - 1],
        position_ids=_positions(mask[:, : end - 1])[:, width - 1 :],
        past_key_values=own,
        shift_labels=ids[:, width:end].masked_fill(mask[:, width:end] == 0, -100),
        fused_lm_head=True,
    )
    values = out.get("state_values")
    if values is not None:
        values = values * mask[:, width:end]
    found = (out.log_probs, out.entropy, values)
    log_probs, entropies, values = (None if x is None else pad(x, (0, keep - longest)) for x in found)
    return log_probs, entropies, values


def _accepts(model: Any, *names: str) -> bool:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return set(names) <= set(inspect.signature(inner.forward).parameters)


def _positions(mask: torch.Tensor) -> torch.Tensor:
    return (mask.cumsum(1) - 1).clamp(min=0)
