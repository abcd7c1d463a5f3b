"""Generation through vLLM, where it is installed: a pass-through, for GPUs. Nothing here has been run against vLLM."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from rtrl_chem.config import ModelConfig
from rtrl_chem.errors import ModelError
from rtrl_chem.models.codec import Answer, Codec
from rtrl_chem.models.decoding import Decoding
from rtrl_chem.tasks.base import Direction

__all__ = ["answer_prompts", "load_engine"]

CHUNK = 512  # prompts handed over at a time: what is between two calls to `on_progress`


def load_engine(config: ModelConfig, path: str) -> Any:
    """vLLM's engine for a whole model; ModelError if vLLM is not installed."""
    if find_spec("vllm") is None:
        raise ModelError("backend: vllm is not installed: pip install 'rtrl-chem[vllm]', or set backend: transformers")
    import vllm

    return vllm.LLM(
        model=path,
        revision=config.revision,
        dtype=config.dtype,
        trust_remote_code=config.trust_remote_code,
        load_format="safetensors" if config.use_safetensors and not config.gguf_file else "auto",
    )


def answer_prompts(
    engine: Any,
    codec: Codec,
    direction: Direction,
    prompts: list[str],
    decoding: Decoding,
    on_progress: Callable[[int], None],
) -> list[list[Answer]]:
    """As `models.generate.answer_prompts`, greedy or sampling, with vLLM's own batches."""
    import vllm

    sampled = decoding.method == "sampling"
    settings = vllm.SamplingParams(
        n=decoding.outputs,
        temperature=decoding.temperature if sampled else 0.0,
        top_p=decoding.top_p,
        max_tokens=decoding.max_new_tokens,
        stop_token_ids=codec.eos_token_ids,
        seed=decoding.seed if sampled else None,
    )
    answers: list[list[Answer]] = []
    ids = codec.encode_prompts(prompts) if prompts else []
    for start in range(0, len(ids), CHUNK):
        chunk = [{"prompt_token_ids": one} for one in ids[start : start + CHUNK]]
        for found in engine.generate(chunk, settings, use_tqdm=False):
            answers.append([codec.read(direction, list(output.token_ids)) for output in found.outputs])
        on_progress(len(chunk))
    return answers
