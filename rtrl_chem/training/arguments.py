"""TRL's arguments of a phase: the config's `trainer` section, passed through, over our few defaults."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, TypeVar

import torch
from trl import GRPOConfig, SFTConfig

from rtrl_chem.config import Config
from rtrl_chem.errors import ConfigError
from rtrl_chem.training.phase import Phase

__all__ = ["grpo_arguments", "samples_per_step", "sft_arguments", "sources_per_phase"]

Arguments = TypeVar("Arguments", GRPOConfig, SFTConfig)


def grpo_arguments(config: Config, phase: Phase, folder: Path) -> GRPOConfig:
    """Arguments of a GRPO phase. ConfigError, with TRL's own words, where TRL refuses them."""
    fixed = _fixed(phase, folder) | {"max_steps": phase.steps, "shuffle_dataset": False}
    return _build(GRPOConfig, {"disable_dropout": True}, dict(config.trainer), fixed)


def sft_arguments(config: Config, phase: Phase, folder: Path, max_steps: int = -1) -> SFTConfig:
    """Arguments of an SFT phase of `max_steps` optimizer steps (-1: one pass over the data)."""
    fixed = _fixed(phase, folder) | {"max_steps": max_steps, "dataset_kwargs": {"skip_prepare_dataset": True}}
    return _build(SFTConfig, {"max_length": None, "num_train_epochs": 1}, dict(config.trainer), fixed)


def samples_per_step(arguments: GRPOConfig) -> int:
    """Completions that one optimizer step learns from, over all processes."""
    return arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size


def sources_per_phase(arguments: GRPOConfig) -> int:
    """How many sources a phase takes: one pass and never a second, so the order is ours and resuming stays simple."""
    samples = arguments.max_steps * samples_per_step(arguments)
    generations = -(-samples // (arguments.generation_batch_size * arguments.num_iterations))
    return generations * arguments.generation_batch_size // arguments.num_generations


def _fixed(phase: Phase, folder: Path) -> dict[str, Any]:
    """What the round loop decides; the config refuses these names under `trainer`."""
    return {
        "output_dir": str(folder),
        "seed": phase.seed,
        "data_seed": phase.seed,
        "save_strategy": "no",
        "disable_tqdm": True,
    }


def _build(kind: type[Arguments], ours: dict[str, Any], given: dict[str, Any], fixed: dict[str, Any]) -> Arguments:
    # TRL's own defaults suit a GPU and a large model; bf16 is refused on a CPU and checkpointing only slows small ones.
    on_gpu = torch.cuda.is_available()
    common = {
        "bf16": on_gpu and torch.cuda.is_bf16_supported(),
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "report_to": "none",
    }
    if not on_gpu:
        # Without `use_cpu` transformers takes each of several CPU processes for the only one.
        common |= {"dataloader_pin_memory": False, "use_cpu": True}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return kind(**(common | ours | given | fixed))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from None
