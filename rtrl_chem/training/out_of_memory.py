"""When a step does not fit the accelerator: what to lower, and the same run again in smaller pieces."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from rtrl_chem.config import Config
from rtrl_chem.errors import OutOfMemoryError
from rtrl_chem.passthrough import BATCH_DEFAULTS

__all__ = ["PIECES_OF_A_BATCH", "adopt_batch", "explained", "forget", "halved", "same_batch"]

BATCH, PIECES, ROLLOUT = "per_device_train_batch_size", "gradient_accumulation_steps", "steps_per_generation"
PIECES_OF_A_BATCH = tuple(f"trainer.{name}" for name in (BATCH, PIECES, ROLLOUT))
# How memory runs out where torch has no error of its own for it: in cuBLAS, on a CPU.
SAID = ("CUBLAS_STATUS_ALLOC_FAILED", "can't allocate memory", "not enough memory")
CURES = {
    "loading": "set model.lora, model.quantization or a smaller model.dtype, or take more GPUs (configs/accelerate)",
    "measuring": "lower evaluation.max_batch_tokens",
    "rollout": f"lower trainer.max_completion_length, or trainer.{BATCH} (all its samples are written at once)",
    "scoring": "lower evaluation.max_batch_tokens, by which the reverse model is fed",
    "update": f"halve trainer.{BATCH} and double trainer.{PIECES} (the same batch in smaller pieces; "
    "trainer.auto_find_batch_size: true does so by itself), or set trainer.gradient_checkpointing: true",
}


@contextmanager
def explained(doing: Callable[[], str]) -> Iterator[None]:
    """Turn torch's error into ours, which names what is to be lowered for what was being done (a key of `CURES`)."""
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in SAID)):
            raise
        raise OutOfMemoryError(doing(), CURES[doing()], _size(error)) from None


def _size(error: RuntimeError) -> str:
    """Torch's sentence about how much was asked for, without its advice and the line of its code."""
    text = re.sub(r"^\[enforce fail.*?\. ", "", " ".join(str(error).split()))
    return text.split(". ")[0].strip().rstrip(".") or "out of memory"


def forget(error: OutOfMemoryError) -> None:
    """Let go of what did not fit: the frames of an error, and of the one it was made of, hold all that was computed."""
    error.__traceback__ = error.__context__ = None
    gc.collect()
    torch.cuda.empty_cache()


def halved(config: Config) -> Config | None:
    """The config with micro-batches of half the size and twice as many of them: the same samples in each step. None
    where they cannot be halved."""
    size = _size_of(config)
    if size % 2:
        return None
    pieces = config.trainer.get(PIECES, BATCH_DEFAULTS[PIECES])
    changed = {BATCH: size // 2, PIECES: pieces * 2}
    if rollout := config.trainer.get(ROLLOUT):
        changed[ROLLOUT] = rollout * 2
    return config.model_copy(update={"trainer": config.trainer | changed})


def same_batch(config: Config, other: Config) -> bool:
    """Whether two configs that may cut a batch into pieces that fit differ in these alone."""
    sizes = [_size_of(one) * one.trainer.get(PIECES, BATCH_DEFAULTS[PIECES]) for one in (config, other)]
    return bool(config.trainer.get("auto_find_batch_size")) and sizes[0] == sizes[1]


def adopt_batch(config: Config, earlier: Config) -> Config:
    """The config with an earlier one's pieces of the batch, if the batch is the same: those that were found to fit."""
    smaller: Config | None = config if same_batch(config, earlier) else None
    while smaller is not None and _size_of(smaller) > _size_of(earlier):
        smaller = halved(smaller)
    return smaller or config


def _size_of(config: Config) -> int:
    return int(config.trainer.get(BATCH, BATCH_DEFAULTS[BATCH]))
