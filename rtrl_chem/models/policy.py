"""Loading a policy: any causal LM with its tokenizer, in full or under LoRA, on whatever device is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

from rtrl_chem.config import ModelConfig
from rtrl_chem.data.bundled import model_path
from rtrl_chem.errors import ModelError
from rtrl_chem.models.codec import Codec
from rtrl_chem.models.processes import processes
from rtrl_chem.models.snapshot import Snapshot, take_snapshot
from rtrl_chem.models.value_head import ValueHead, load_heads
from rtrl_chem.tasks import Direction, Task, get_style

__all__ = ["Judge", "Policy", "load_codec", "load_policy", "restore_forward", "save_policy"]


@dataclass(frozen=True)
class Judge:
    """What scores a phase's answers: a frozen model and the codec that speaks its format."""

    snapshot: Snapshot
    codec: Codec


@dataclass
class Policy:
    """The model in training with the codec that speaks its format, and PPO's value heads by name. This one writes in
    both directions."""

    model: Any
    codec: Codec
    value_heads: dict[str, ValueHead] = field(default_factory=dict)
    _snapshot: Snapshot | None = field(default=None, repr=False)

    @property
    def tokenizer(self) -> Any:
        """The codec's tokenizer."""
        return self.codec.tokenizer

    @contextmanager
    def along(self, direction: Direction) -> Iterator[Policy]:
        """The policy that writes in a direction, ready to generate and to be trained inside."""
        yield self

    def judge(self, direction: Direction) -> Judge:
        """A frozen copy of the policy as it is now, to score what it writes along `direction`. There is one: the next
        call moves it on."""
        if self._snapshot is None:
            self._snapshot = take_snapshot(self.model)
        else:
            self._snapshot.refresh(self.model)
        return Judge(self._snapshot, self.codec)


def load_policy(config: ModelConfig, task: Task, weights: Path | None = None) -> Policy:
    """The policy of a config; `weights` names a folder (a checkpoint of ours) that replaces `config.path`.

    Raises ModelError, in one line, where the folder lacks a tokenizer, the architecture is no causal LM, or nothing can
    be loaded. Weights come from safetensors or GGUF only, and code from a model's repository runs only under
    `trust_remote_code: true`.
    """
    origin = model_path(config.path)
    tokenizer = _load_tokenizer(origin, config)
    model = _load_model(origin, config)
    if config.lora is not None:
        model = _add_lora(model, config.lora, weights)
    elif weights is not None:
        saved = config.model_copy(update={"gguf_file": None, "revision": None})  # checkpoints of ours are safetensors
        model.load_state_dict(_load_model(str(weights), saved).state_dict())
    model.config.use_cache = True
    model = model.to(processes().device)
    heads = load_heads(weights, model.device) if weights is not None else {}
    return Policy(model, _codec(config, task, tokenizer, model.generation_config), heads)


def load_codec(config: ModelConfig, task: Task) -> Codec:
    """The codec alone, for a model whose weights are loaded elsewhere; ModelError without a usable tokenizer."""
    origin = model_path(config.path)
    tokenizer = _load_tokenizer(origin, config)
    try:
        settings = GenerationConfig.from_pretrained(origin, revision=config.revision)
    except OSError:  # few folders lack one; then the tokenizer's end-of-sequence is the only one
        settings = GenerationConfig()
    return _codec(config, task, tokenizer, settings)


def _codec(config: ModelConfig, task: Task, tokenizer: Any, settings: GenerationConfig) -> Codec:
    eos = settings.eos_token_id
    return Codec(task, _style(config, tokenizer), tokenizer, [eos] if isinstance(eos, int) else eos)


def save_policy(policy: Policy, folder: Path) -> None:
    """Write a plain Hugging Face folder (the adapter alone under LoRA) with the tokenizer."""
    extra = {"selected_adapters": ["default"]} if hasattr(policy.model, "peft_config") else {}
    policy.model.save_pretrained(folder, **extra)
    policy.tokenizer.save_pretrained(folder)


def restore_forward(model: Any) -> None:
    """Undo the wrappers that a trainer leaves on `forward`: each new trainer would wrap them once more."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    for module in (model, inner):
        module.__dict__.pop("forward", None)
        module.__dict__.pop("_original_forward", None)


def _dtype(name: str) -> torch.dtype | str:
    return name if name == "auto" else getattr(torch, name)


def _loading_options(config: ModelConfig) -> dict[str, Any]:
    options = {"revision": config.revision, "trust_remote_code": config.trust_remote_code}
    if config.gguf_file:
        options["gguf_file"] = config.gguf_file
    return {key: value for key, value in options.items() if value is not None}


def _load_tokenizer(origin: str, config: ModelConfig) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(origin, **_loading_options(config))
    except (*_LOADING_ERRORS, TypeError) as error:
        raise ModelError(f"model {config.path!r} has no usable tokenizer ({_first_line(error)}); {_CURE}") from None
    if tokenizer.eos_token_id is None:
        raise ModelError(f"the tokenizer of {config.path!r} has no end-of-sequence token; set one and save it")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


# What transformers raises for a folder, an id or a file that it cannot use: missing, cut off, of other shapes, or in
# need of a package that is not installed.
_LOADING_ERRORS = (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError)
_CURE = "model.path must be a Hub id or a folder with weights, config.json and tokenizer files"


def _load_model(origin: str, config: ModelConfig) -> Any:
    options = _loading_options(config)
    if config.attn_implementation:
        options["attn_implementation"] = config.attn_implementation
    dtype = _dtype(config.dtype)
    if dtype == "auto" and not torch.cuda.is_available():
        # Half precision is slow or missing on CPUs, and tiny updates vanish in it.
        dtype = torch.float32
    try:
        if not config.gguf_file:
            options |= {"use_safetensors": True}
            _refuse_encoder_decoder(origin, config)
        else:
            options |= {"quantization_config": _dequantize(config.gguf_file)}
        model, found = AutoModelForCausalLM.from_pretrained(origin, dtype=dtype, output_loading_info=True, **options)
    except _LOADING_ERRORS as error:
        raise ModelError(f"model {config.path!r} cannot be loaded ({_first_line(error)}); {_CURE}") from None
    if missing := sorted(found["missing_keys"]):
        # transformers draws them at random and says so in a warning.
        raise ModelError(
            f"model {config.path!r} lacks weights for {len(missing)} parameters of a {type(model).__name__}, such as "
            f"{missing[0]}; give a model that was saved as a causal LM"
        )
    return model


def _refuse_encoder_decoder(origin: str, config: ModelConfig) -> None:
    architecture = AutoConfig.from_pretrained(origin, **_loading_options(config))
    if getattr(architecture, "is_encoder_decoder", False):
        raise ModelError(
            f"model {config.path!r} is an encoder-decoder ({architecture.model_type}); round-trip RL needs a "
            "causal LM, such as Llama, Qwen or GPT-2"
        )


def _dequantize(gguf_file: str) -> Any:
    # Without it the model is marked quantized, and can be neither trained nor saved.
    from transformers import GgufConfig

    return GgufConfig(gguf_file=gguf_file, dequantize=True)


def _add_lora(model: Any, lora: dict[str, Any], weights: Path | None) -> Any:
    """The model under a trainable adapter: fresh, or the one saved in `weights`."""
    from peft import LoraConfig, PeftModel, get_peft_model

    if weights is not None:
        # is_trainable=False, the default, would train nothing and say nothing.
        return PeftModel.from_pretrained(model, weights, is_trainable=True)
    try:
        return get_peft_model(model, LoraConfig(**({"task_type": "CAUSAL_LM"} | lora)))
    except (TypeError, ValueError) as error:
        raise ModelError(f"model.lora does not fit this model: {_first_line(error)}") from None


def _style(config: ModelConfig, tokenizer: PreTrainedTokenizerBase) -> Any:
    if config.prompt_style is not None:
        return get_style(config.prompt_style)
    if config.path.startswith("bundled:"):
        return get_style("compact")
    return get_style("chat" if getattr(tokenizer, "chat_template", None) else "plain")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
