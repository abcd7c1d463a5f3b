"""Checkpoints of a run: whole or not there, and put back into the policy in place."""

from __future__ import annotations

import shutil
from pathlib import Path

from rtrl_chem.config import Config
from rtrl_chem.durable import PARTIAL, move_into_place
from rtrl_chem.models.policy import Policy, restore_policy, save_policy
from rtrl_chem.models.value_head import save_heads

__all__ = ["drop_checkpoint", "load_checkpoint", "save_checkpoint"]


def save_checkpoint(policy: Policy, folder: Path) -> None:
    """Under a temporary name first: a folder with the final name is complete."""
    partial = folder.with_name(folder.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    save_policy(policy, partial)
    save_heads(policy.value_heads, partial)
    move_into_place(partial, folder)


def load_checkpoint(policy: Policy, config: Config, folder: Path) -> None:
    """Give the policy, where it is, the weights of a checkpoint."""
    restore_policy(policy, config.model, folder, config.reverse_model)


def drop_checkpoint(folder: Path) -> None:
    """Remove a checkpoint, and the folder of its phase if it held nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.is_dir() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()
