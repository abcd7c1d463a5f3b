"""Generation through vLLM, where it is installed: a pass-through, for GPUs. Nothing here has been run against vLLM.

A run's rollouts go through TRL's own engine, one for all of its phases (`engines_kept`); measuring has one of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from rtrl_chem.config import ModelConfig
from rtrl_chem.errors import ModelError
from rtrl_chem.models.codec import Answer, Codec
from rtrl_chem.models.decoding import Decoding
from rtrl_chem.tasks.base import Direction

__all__ = ["answer_prompts", "engines_kept", "load_engine"]

CHUNK = 512  # prompts handed over at a time: what is between two calls to `on_progress`

# TRL's engines, or links to a server, each with what it was made for.
_KEPT: list[tuple[dict[str, Any], Any]] = []


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


@contextmanager
def engines_kept(trainers: Any) -> Iterator[None]:
    """While inside, who constructs one of TRL's trainers (`trainers` is its module) gets the engine that an earlier one
    had for the same model and settings.

    Each phase has a trainer of its own, which would start an engine or a link anew. But an engine in this process does
    not give its memory back (github.com/vllm-project/vllm/issues/21073), and a link holds its port until the process
    ends. A trainer hands over its own weights before its first rollout, whoever had the engine before.
    """
    make = trainers.VLLMGeneration

    def found(*, model: Any, accelerator: Any, processing_class: Any, **settings: Any) -> Any:
        """The engine that was kept for these settings, else a new one; called as TRL's `VLLMGeneration` is."""
        own = settings | {"path": model.name_or_path}
        for made_for, engine in _KEPT:
            if made_for == own:
                engine.model, engine.accelerator, engine.processing_class = model, accelerator, processing_class
                if hasattr(engine, "_dist"):
                    engine._dist = type(engine._dist)(accelerator)
                return engine
        engine = make(model=model, accelerator=accelerator, processing_class=processing_class, **settings)
        _KEPT.append((own, engine))
        return engine

    trainers.VLLMGeneration = found
    try:
        yield
    finally:
        trainers.VLLMGeneration = make
