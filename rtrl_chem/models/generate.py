"""Batched generation: sorted by length, capped by tokens, the same settings for every caller."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from accelerate.utils import gather_object
from transformers import GenerationConfig

from rtrl_chem.models.batching import left_pad, token_batches
from rtrl_chem.models.codec import Answer, Codec
from rtrl_chem.models.decode import decode
from rtrl_chem.models.decoding import Decoding
from rtrl_chem.models.noise import key_of, row_noise
from rtrl_chem.models.processes import processes
from rtrl_chem.tasks.base import Direction

__all__ = ["Memory", "answer_prompts", "generate", "inference_mode_of"]


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
    alone: bool = False,
) -> list[list[Answer]]:
    """`num_samples` answers for each source, in the order given; greedy at temperature 0. See `answer_prompts`."""
    if temperature == 0.0 and num_samples > 1:
        raise ValueError(f"num_samples={num_samples} at temperature 0 would be {num_samples} equal answers")
    sampling = {"method": "sampling", "outputs": num_samples, "temperature": temperature} if temperature > 0 else {}
    decoding = Decoding.model_validate({"max_new_tokens": max_new_tokens} | sampling)
    prompts = [codec.prompt(direction, source) for source in sources]
    return answer_prompts(
        model,
        codec,
        direction,
        prompts,
        decoding,
        max_batch_tokens=max_batch_tokens,
        seed=seed,
        on_progress=on_progress,
        memory=memory,
        alone=alone,
    )


def answer_prompts(
    model: Any,
    codec: Codec,
    direction: Direction,
    prompts: list[str],
    decoding: Decoding,
    *,
    max_batch_tokens: int = 16_384,
    seed: int | None = None,
    on_progress: Callable[[int], None] | None = None,
    memory: Memory | None = None,
    alone: bool = False,
) -> list[list[Answer]]:
    """`decoding.outputs` answers for each rendered prompt, in the order given; of a beam search the best first.

    `max_batch_tokens` bounds rows x (prompt + new tokens). Samples of a prompt follow from the seed (`seed` stands in
    for `decoding.seed`) and the prompt, whatever else is in the list, and the caller's generators are left untouched.
    `on_progress` gets the number of prompts finished since its last call. Under several processes every one must call
    this: each generates its share, and all get everything; unless `alone`, where the prompts are this process's own.
    `memory` keeps the answers of each batch as it is finished, and gives back those of an earlier call with the same
    arguments.
    """
    world = processes()
    rank, count = (0, 1) if alone else (world.process_index, world.num_processes)
    own_seed = decoding.seed if seed is None else seed
    share = _numbered(prompts)[rank::count]
    mine = _answer_all(model, codec, direction, share, decoding, max_batch_tokens, own_seed, on_progress, memory)
    if count == 1:
        return mine
    answers: list[list[Answer]] = [[] for _ in prompts]
    for other, part in enumerate(gather_object([mine])):
        answers[other::count] = part
    return answers


def _numbered(prompts: list[str]) -> list[tuple[str, int]]:
    """Each prompt with how often it came before: equal prompts get samples of their own."""
    seen: Counter[str] = Counter()
    found = []
    for prompt in prompts:
        found.append((prompt, seen[prompt]))
        seen[prompt] += 1
    return found


def _answer_all(
    model: Any,
    codec: Codec,
    direction: Direction,
    numbered: list[tuple[str, int]],
    decoding: Decoding,
    max_batch_tokens: int,
    seed: int,
    on_progress: Callable[[int], None] | None,
    memory: Memory | None,
) -> list[list[Answer]]:
    """`answer_prompts` in one process."""
    settings, sampled = _settings(codec, decoding), decoding.method == "sampling"
    prompts = codec.encode_prompts([text for text, _ in numbered]) if numbered else []
    answers: list[list[Answer]] = [[] for _ in numbered]
    lengths = [(len(p) + decoding.max_new_tokens) * decoding.rows for p in prompts]
    with torch.random.fork_rng(enabled=sampled), inference_mode_of(model):
        for number, batch in enumerate(token_batches(lengths, max_batch_tokens)):
            groups = memory.get(number) if memory else None
            if groups is None:
                noise = None
                if sampled:
                    keys = [key_of(seed, *numbered[i], n) for i in batch for n in range(decoding.outputs)]
                    noise = row_noise(keys, decoding.max_new_tokens)
                    # Where `decode` does not apply; the batches before may be remembered ones.
                    torch.manual_seed(random.Random(f"{seed} {processes().process_index} {number}").getrandbits(63))
                groups = _answer(model, codec, direction, [prompts[i] for i in batch], settings, noise)
                if memory:
                    memory.put(number, groups)
            for i, group in zip(batch, groups, strict=True):
                answers[i] = group
            if on_progress:
                on_progress(len(batch))
    return answers


def _answer(
    model: Any,
    codec: Codec,
    direction: Direction,
    prompts: list[list[int]],
    settings: GenerationConfig,
    noise: torch.Tensor | None,
) -> list[list[Answer]]:
    """The answers to one batch of prompts; `noise` decides samples (`models.decode`)."""
    ids, mask = left_pad(prompts, codec.tokenizer.pad_token_id, model.device)
    # Beam search is transformers' own.
    own: dict[str, Any] = {"custom_generate": decode, "noise": noise} if settings.num_beams == 1 else {}
    written = model.generate(input_ids=ids, attention_mask=mask, generation_config=settings, **own)
    read = [codec.read(direction, tokens) for tokens in written[:, ids.shape[1] :].tolist()]
    n = settings.num_return_sequences
    return [read[i : i + n] for i in range(0, len(read), n)]


def _settings(codec: Codec, decoding: Decoding) -> GenerationConfig:
    ways: dict[str, dict[str, Any]] = {
        "greedy": {"do_sample": False},
        "sampling": {"do_sample": True, "temperature": decoding.temperature, "top_k": 0, "top_p": decoding.top_p},
        "beam": {"do_sample": False, "num_beams": decoding.rows, "length_penalty": decoding.length_penalty},
    }
    return GenerationConfig(
        max_new_tokens=decoding.max_new_tokens,
        num_return_sequences=decoding.outputs,
        pad_token_id=codec.tokenizer.pad_token_id,
        eos_token_id=codec.eos_token_ids,
        use_cache=True,
        disable_compile=True,
        **({"num_beams": 1} | ways[decoding.method]),
    )
