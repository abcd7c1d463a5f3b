"""The finished model: RUN/model/, plain Hugging Face folders that load without this package, and its way to the Hub."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import GenerationConfig

from rtrl_chem.config import Config, ModelConfig
from rtrl_chem.durable import PARTIAL, move_into_place, remove
from rtrl_chem.models.policy import Policy, merged_model, save_policy
from rtrl_chem.tasks import Direction

__all__ = ["export_model", "push_model"]

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def export_model(policy: Policy, config: Config, folder: Path) -> None:
    """Write the model with its tokenizer and how it is to generate, as a whole or not at all: under LoRA the adapter,
    or with `save_merged` the whole model. With a model for each direction, two of them. For the main process."""
    partial = folder.with_name(folder.name + PARTIAL)
    remove(partial)
    save_policy(policy, partial)
    for direction, own in policy.folders(partial).items():
        (own / "README.md").unlink(missing_ok=True)  # PEFT's, with nothing filled in
        with policy.along(direction) as one:
            if config.save_merged and hasattr(one.model, "peft_config"):
                reverse = config.reverse_model if direction is Direction.REVERSE else None
                _merge(one, reverse or config.model, own)
            _generation_config(one).save_pretrained(own)
    move_into_place(partial, folder)


def _merge(policy: Policy, config: ModelConfig, folder: Path) -> None:
    """Put the whole model in the place of the adapter in a folder.

    The adapter goes into a fresh base, never into the live one: in half precision it could not be taken out again, and
    of two adapters each would be merged into what the other left. One that was trained on quantized weights goes into
    those they were made of.
    """
    dtype = config.dtype if config.quantization else str(policy.model.get_base_model().dtype).removeprefix("torch.")
    merged = merged_model(config.model_copy(update={"quantization": None}), folder, dtype)
    for name in ADAPTER_FILES:
        (folder / name).unlink()
    merged.save_pretrained(folder)


def _generation_config(policy: Policy) -> GenerationConfig:
    """The model's own, with every token that ends an answer and the one to pad with."""
    settings: Any = copy.deepcopy(policy.model.generation_config)
    settings._from_model_config = False  # or generate() would read what follows from the model's config anew
    ends = policy.codec.eos_token_ids
    settings.eos_token_id = ends[0] if len(ends) == 1 else ends
    settings.pad_token_id = policy.tokenizer.pad_token_id
    if settings.bos_token_id is None:
        settings.bos_token_id = policy.tokenizer.bos_token_id
    return settings


def push_model(folder: Path, config: Config, say: Callable[[str], None], warn: Callable[[str], None]) -> None:
    """Upload RUN/model/ to the Hub as `trainer.push_to_hub` and `hub_*` say; `say` gets where it went.

    Training is done and must not be lost to a network: whatever goes wrong is a line for `warn`.
    """
    from huggingface_hub import HfApi

    name = config.trainer.get("hub_model_id") or Path(config.output_dir).resolve().name
    private, revision = (config.trainer.get(key) for key in ("hub_private_repo", "hub_revision"))
    try:
        api = HfApi()
        repo = api.create_repo(name, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo.repo_id, branch=revision, exist_ok=True)
        api.upload_folder(
            repo_id=repo.repo_id, folder_path=folder, revision=revision, commit_message="Trained by rtrl-chem"
        )
    except Exception as error:  # the Hub's client raises everything from OSError to httpx's own
        reason = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
        by_hand = _by_hand(name, folder, private, revision)
        warn(f"model/ was not pushed to the Hub ({reason}); by hand: {by_hand}")
    else:
        say(f"pushed to {repo}")


def _by_hand(name: str, folder: Path, private: bool | None, revision: str | None) -> str:
    options = (["--private"] if private else []) + (["--revision", revision] if revision else [])
    return shlex.join(["hf", "upload", name, str(folder), ".", *options])
