"""Batched generation: sorted by length, capped by tokens, the same settings for every caller."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from accelerate.utils import gather_object
from transformers import GenerationConfig

from rtrl_chem.models.batching import left_pad, token_batches
from rtrl_chem.models.codec import Answer, Codec
from rtrl_chem.models.decode import decode
from rtrl_chem.models.processes import processes
from rtrl_chem.tasks.base import Direction

__all__ = ["Memory", "generate", "inference_mode_of"]


class Memory(Protocol):
    """Keeps the answers of finished batches; they are numbered in the order of generation."""

    def get(self, batch: int) -> list[list[Answer]] | None: ...

    def put(self, batch: int, groups: list[list[Answer]]) -> None: ...


@contextmanager
def inference_mode_of(model: Any) -> Iterator[None]:
    """`model` in evaluation mode, its cache on, without generation settings of its own; all is put back afterwards.

    A trainer leaves `use_cache` off in the config, and generation would then recompute every position. Whatever a
    `GenerationConfig` leaves open is filled in from the model's own: beams, a repetition penalty, suppressed tokens.
    """
    training, use_cache = model.training, getattr(model.config, "use_cache", None)
    own = model.generation_config
    model.eval()
    model.config.use_cache = True
    model.generation_config = GenerationConfig()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)
        model.config.use_cache = use_cache
        model.generation_config = own


def generate(
    model: Any,
    codec: Codec,
    direction: Direction,
    sources: list[str],
    *,
    max_new_tokens: int,
    max_batch_tokens: int = 16_384,
    num_samples: int = 1,
    temperature: float = 0.0,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
    memory: Memory | None = None,
) -> list[list[Answer]]:
    """`num_samples` answers for each source, in the order given; greedy at temperature 0.

    `max_batch_tokens` bounds rows x (prompt + new tokens). Sampling draws from its own seeded generator state and
    leaves the caller's untouched. `on_progress` gets the number of sources finished since its last call. Under
    several processes every one must call this: each generates its share, and all get everything. `memory` keeps the
    answers of each batch as it is finished, and gives back those of an earlier call with the same arguments.
    """
    if temperature == 0.0 and num_samples > 1:
        raise ValueError(f"num_samples={num_samples} at temperature 0 would be {num_samples} equal answers")
    settings = _settings(codec, max_new_tokens, num_samples, temperature)
    world = processes()
    share = sources[world.process_index :: world.num_processes]
    own_seed = f"{seed} {world.process_index}"
    mine = _generate(model, codec, direction, share, settings, max_batch_tokens, own_seed, on_progress, memory)
    if world.num_processes == 1:
        return mine
    answers: list[list[Answer]] = [[] for _ in sources]
    for rank, part in enumerate(gather_object([mine])):
        answers[rank :: world.num_processes] = part
    return answers


def _generate(
    model: Any,
    codec: Codec,
    direction: Direction,
    sources: list[str],
    settings: GenerationConfig,
    max_batch_tokens: int,
    seed: str,
    on_progress: Callable[[int], None] | None,
    memory: Memory | None,
) -> list[list[Answer]]:
    """`generate` in one process."""
    num_samples, sampled = settings.num_return_sequences, settings.do_sample
    prompts = codec.prompt_ids(direction, sources) if sources else []
    answers: list[list[Answer]] = [[] for _ in sources]
    lengths = [(len(p) + settings.max_new_tokens) * num_samples for p in prompts]
    with torch.random.fork_rng(enabled=sampled), inference_mode_of(model):
        for number, batch in enumerate(token_batches(lengths, max_batch_tokens)):
            groups = memory.get(number) if memory else None
            if groups is None:
                if sampled:
                    # Its own seed: the batches before it may be remembered ones.
                    torch.manual_seed(random.Random(f"{seed} {number}").getrandbits(63))
                groups = _answer(model, codec, direction, [prompts[i] for i in batch], settings)
                if memory:
                    memory.put(number, groups)
            for i, group in zip(batch, groups, strict=True):
                answers[i] = group
            if on_progress:
                on_progress(len(batch))
    return answers


def _answer(
    model: Any, codec: Codec, direction: Direction, prompts: list[list[int]], settings: GenerationConfig
) -> list[list[Answer]]:
    """The answers to one batch of prompts."""
    ids, mask = left_pad(prompts, codec.tokenizer.pad_token_id, model.device)
    written = model.generate(input_ids=ids, attention_mask=mask, generation_config=settings, custom_generate=decode)
    read = [codec.read(direction, tokens) for tokens in written[:, ids.shape[1] :].tolist()]
    n = settings.num_return_sequences
    return [read[i : i + n] for i in range(0, len(read), n)]


def _settings(codec: Codec, max_new_tokens: int, num_samples: int, temperature: float) -> GenerationConfig:
    sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature > 0 else {}
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        num_return_sequences=num_samples,
        pad_token_id=codec.tokenizer.pad_token_id,
        eos_token_id=codec.eos_token_ids,
        use_cache=True,
        disable_compile=True,
        **({"do_sample": False} | sampling),
    )
