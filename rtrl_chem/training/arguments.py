"""TRL's arguments of a phase: the config's `trainer` section, passed through, over our few defaults."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import torch
from trl import GRPOConfig, RLOOConfig, SFTConfig

from rtrl_chem.config import Config, PPOOptions
from rtrl_chem.errors import ConfigError
from rtrl_chem.models.processes import processes
from rtrl_chem.passthrough import RUN_WIDE
from rtrl_chem.training.phase import Phase

__all__ = [
    "OnPolicyArguments",
    "PPOArguments",
    "grpo_arguments",
    "samples_per_step",
    "sft_arguments",
    "sources_per_phase",
]


@dataclass
class PPOArguments(GRPOConfig):
    """TRL's GRPOConfig with PPO's own options, those of `rtrl_chem.config.PPOOptions`."""

    gamma: float = 1.0
    lam: float = 0.95
    vf_coef: float = 0.1
    cliprange_value: float = 0.2
    kl_coef: float = 0.05
    whiten_rewards: bool = False
    whiten_advantages: bool = True
    value_learning_rate: float | None = None

    def __post_init__(self) -> None:
        these: Any = self
        group = these.num_generations
        if group == 1:
            # GRPO refuses groups of one. All it does with the number here is to ask that the batch holds whole groups.
            these.num_generations = self._generation_size()
        super().__post_init__()
        these.num_generations = group

    def _generation_size(self) -> int:
        steps = self.steps_per_generation or self.gradient_accumulation_steps
        return self.generation_batch_size or self.per_device_train_batch_size * processes().num_processes * steps


OnPolicyArguments: TypeAlias = GRPOConfig | RLOOConfig
Arguments = TypeVar("Arguments", GRPOConfig, RLOOConfig, SFTConfig)


def grpo_arguments(config: Config, phase: Phase, folder: Path) -> OnPolicyArguments:
    """Arguments of a phase of GRPO, RLOO or PPO, as `config.algorithm` says. ConfigError, with TRL's own words, where
    TRL refuses them."""
    fixed = _fixed(phase, folder) | {"max_steps": phase.steps, "shuffle_dataset": False}
    ours, given = {"disable_dropout": True}, dict(config.trainer)
    if config.algorithm == "rloo":
        return _build(RLOOConfig, ours, given, fixed)
    if config.algorithm == "ppo":
        return _build(PPOArguments, ours, given, fixed | (config.ppo or PPOOptions()).model_dump())
    return _build(GRPOConfig, ours, given, fixed)


def sft_arguments(config: Config, phase: Phase, folder: Path, max_steps: int = -1) -> SFTConfig:
    """Arguments of an SFT phase of `max_steps` optimizer steps (-1: one pass over the data)."""
    fixed = _fixed(phase, folder) | {"max_steps": max_steps, "dataset_kwargs": {"skip_prepare_dataset": True}}
    return _build(SFTConfig, {"max_length": None, "num_train_epochs": 1}, dict(config.trainer), fixed)


def samples_per_step(arguments: OnPolicyArguments | SFTConfig) -> int:
    """Completions (of SFT: examples) that one optimizer step learns from, over all processes."""
    return arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size


def sources_per_phase(arguments: OnPolicyArguments) -> int:
    """How many sources a phase takes: one pass and never a second, so the order is ours and resuming stays simple."""
    samples = arguments.max_steps * samples_per_step(arguments)
    generations = -(-samples // (arguments.generation_batch_size * arguments.num_iterations))
    return generations * arguments.generation_batch_size // arguments.num_generations


def _fixed(phase: Phase, folder: Path) -> dict[str, Any]:
    """What the round loop decides. The config refuses these names under `trainer`, but for report_to, which is the
    whole run's (`training.trackers`): a trainer's own reports would begin at step 0 in each phase."""
    return {
        "output_dir": str(folder),
        "seed": phase.seed,
        "data_seed": phase.seed,
        "save_strategy": "no",
        "disable_tqdm": True,
        "report_to": "none",
    }


def _build(kind: type[Arguments], ours: dict[str, Any], given: dict[str, Any], fixed: dict[str, Any]) -> Arguments:
    # TRL's own defaults suit a GPU and a large model; bf16 is refused on a CPU and checkpointing only slows small ones.
    on_gpu = torch.cuda.is_available()
    common = {
        "bf16": on_gpu and torch.cuda.is_bf16_supported(),
        "gradient_checkpointing": False,
        "logging_steps": 1,
    }
    if not on_gpu:
        # Without `use_cpu` transformers takes each of several CPU processes for the only one.
        common |= {"dataloader_pin_memory": False, "use_cpu": True}
    own = {name: value for name, value in given.items() if name not in RUN_WIDE}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return kind(**(common | ours | own | fixed))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from None
