"""Loading a policy: any causal LM with its tokenizer, in full or under LoRA, one or one for each direction, on whatever
device is there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

from rtrl_chem.config import ModelConfig
from rtrl_chem.errors import ModelError
from rtrl_chem.models.arrangement import Judge, Policy, TwoAdapters, TwoModels
from rtrl_chem.models.codec import Codec
from rtrl_chem.models.origin import Origin, origin_of, sides_of, style_of_run
from rtrl_chem.models.processes import processes
from rtrl_chem.models.value_head import load_heads
from rtrl_chem.tasks import Direction, Task, get_style

__all__ = [
    "Judge",
    "Policy",
    "coarse_weights",
    "load_codec",
    "load_policy",
    "merged_model",
    "restore_policy",
    "save_policy",
]

PICKLED = ("pytorch_model*.bin", "adapter_model.bin", "*.ckpt", "*.pt", "*.pth")


def load_policy(
    config: ModelConfig,
    task: Task,
    weights: Path | None = None,
    models: str | None = None,
    reverse: ModelConfig | None = None,
) -> Policy:
    """The policy of a config; `weights` names a folder (a checkpoint of ours) that replaces `config.path`.

    `models` and `reverse` are the config's `models` and `reverse_model`; without them the policy is arranged as what
    lies in the folder is. A path may be an adapter over another model: under `model.lora` it is trained on, otherwise
    it is merged and all weights are trained.

    Raises ModelError, in one line, where the folder lacks a tokenizer, the architecture is no causal LM, or nothing can
    be loaded. Weights come from safetensors or GGUF, from pickled files only under `use_safetensors: false`; code that
    comes with a model runs only under `trust_remote_code: true`.
    """
    sides = sides_of(str(weights or config.path))
    if models == "shared" and sides is not None and weights is None:
        raise ModelError(f"model {config.path!r} holds a model for each direction; set models: adapters or separate")
    if models in (None, "shared") and sides is None:
        return _load_one(config, task, weights)
    return _load_two(config, task, weights, models or _arrangement(sides), reverse)


def coarse_weights(policy: Policy) -> str:
    """The number format of the weights that are trained, where it has 16 bits; else "".

    A step of Adam is about as large as the learning rate. bfloat16 tells only 1 part in 256 from another, so that most
    weights would never move (docs/scale.md).
    """
    formats: set[torch.dtype] = set()
    for direction in Direction:
        with policy.along(direction) as one:
            formats |= {weight.dtype for weight in one.model.parameters() if weight.requires_grad}
    return ", ".join(str(one).removeprefix("torch.") for one in (torch.bfloat16, torch.float16) if one in formats)


def restore_policy(policy: Policy, config: ModelConfig, folder: Path, reverse: ModelConfig | None = None) -> None:
    """Put the weights of a checkpoint of ours back into the policy, in place."""
    for direction, own in policy.folders(folder).items():
        given = reverse if reverse is not None and direction is Direction.REVERSE else config
        with policy.along(direction) as one:
            _put_back(one.model, given, own)
    policy.value_heads.clear()
    policy.value_heads.update(load_heads(folder, policy.model.device))


def _load_one(config: ModelConfig, task: Task, weights: Path | None) -> Policy:
    origin = origin_of(config.path)
    tokenizer = _load_tokenizer(origin, config)
    model = _load_base(origin, config)
    if config.lora is not None:
        model = _add_lora(model, config, weights or origin.adapter)
    elif origin.adapter is not None:
        model = _merged(model, config, origin.adapter)
    if weights is not None and config.lora is None:
        _put_back(model, config, weights)
    model.config.use_cache = True
    if config.quantization is None:  # else it is there already, and may not be moved
        model = model.to(processes().device)
    heads = load_heads(weights, model.device) if weights is not None else {}
    return Policy(model, _codec(config, task, tokenizer, model.generation_config), heads)


def _load_two(
    config: ModelConfig, task: Task, weights: Path | None, models: str, reverse: ModelConfig | None
) -> Policy:
    """A policy of two adapters or two models; each starts from its side of `config.path`, where that has sides."""
    started = sides_of(config.path) or {}
    saved = sides_of(str(weights)) or {} if weights is not None else {}
    own = {way: config.model_copy(update={"path": str(started.get(way, config.path))}) for way in Direction}
    if models == "separate":
        if reverse is not None:
            own[Direction.REVERSE] = reverse
        sides = {way: _load_one(own[way], task, saved.get(way)) for way in Direction}
        device = sides[Direction.FORWARD].model.device
        return TwoModels(sides, load_heads(weights, device) if weights is not None else {})
    first = own[Direction.FORWARD].model_copy(update={"lora": config.lora or {}})
    one = _load_one(first, task, saved.get(Direction.FORWARD))
    heads = load_heads(weights, one.model.device) if weights is not None else {}
    policy = TwoAdapters(one.model, one.codec, heads)
    policy.other.take()
    other = saved.get(Direction.REVERSE) or started.get(Direction.REVERSE)
    if other is not None:
        with policy.along(Direction.REVERSE) as side:
            _put_back(side.model, config, other)
    return policy


def _arrangement(sides: dict[Direction, Path] | None) -> str:
    """What two folders hold: adapters over one base, or models of their own."""
    if sides is None:
        return "shared"
    origins = [origin_of(str(folder)) for folder in sides.values()]
    alike = origins[0].base == origins[1].base and all(origin.adapter is not None for origin in origins)
    return "adapters" if alike else "separate"


def load_codec(config: ModelConfig, task: Task) -> Codec:
    """The codec alone, for a model whose weights are loaded elsewhere; ModelError without a usable tokenizer."""
    origin = origin_of(config.path)
    tokenizer = _load_tokenizer(origin, config)
    try:
        settings = GenerationConfig.from_pretrained(origin.base, revision=_revision(origin, config))
    except OSError:  # few folders lack one; then the tokenizer's end-of-sequence is the only one
        settings = GenerationConfig()
    return _codec(config, task, tokenizer, settings)


def _codec(config: ModelConfig, task: Task, tokenizer: Any, settings: GenerationConfig) -> Codec:
    eos = settings.eos_token_id
    codec = Codec(task, _style(config, tokenizer), tokenizer, [eos] if isinstance(eos, int) else eos)
    codec.prompt(Direction.FORWARD, "C")  # a chat template that cannot be used must not cost an earlier run
    return codec


def save_policy(policy: Policy, folder: Path) -> None:
    """Write a plain Hugging Face folder (the adapter alone under LoRA) with the tokenizer; with a model for each
    direction, two of them."""
    for direction, own in policy.folders(folder).items():
        with policy.along(direction) as one:
            extra = {"selected_adapters": ["default"]} if hasattr(one.model, "peft_config") else {}
            one.model.save_pretrained(own, **extra)
            one.tokenizer.save_pretrained(own)


def _dtype(name: str) -> torch.dtype | str:
    return name if name == "auto" else getattr(torch, name)


def _loading_options(config: ModelConfig) -> dict[str, Any]:
    options = {"revision": config.revision, "trust_remote_code": config.trust_remote_code}
    if config.gguf_file:
        options["gguf_file"] = config.gguf_file
    return {key: value for key, value in options.items() if value is not None}


def _revision(origin: Origin, config: ModelConfig) -> str | None:
    """`model.revision` is that of the path: an adapter in a folder has a base without one."""
    return None if origin.adapter is not None else config.revision


def _load_tokenizer(origin: Origin, config: ModelConfig) -> PreTrainedTokenizerBase:
    adapter = origin.adapter
    own = adapter is not None and (adapter / "tokenizer_config.json").is_file()
    options = _loading_options(config) | {"revision": _revision(origin, config)}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(adapter) if own else origin.base, **options)
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
_LOADING_ERRORS = (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError, UnpicklingError)
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
            _refuse_pickled(Path(origin), config)
            # None lets transformers take either, safetensors first.
            options |= {"use_safetensors": config.use_safetensors or None, "weights_only": True} | _quantized(config)
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
    if config.quantization is not None:
        _keep_differentiable(model)
    return model


def _keep_differentiable(model: Any) -> None:
    """On CPUs that compute in bfloat16 bitsandbytes lays 4-bit weights out anew at their first use in evaluation mode,
    and has no gradient through them from then on: an adapter would be trained wrongly, with no more than a warning."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _load_base(origin: Origin, config: ModelConfig) -> Any:
    """The whole model that `config.path` is, or lies over."""
    if origin.adapter is None:
        model = _load_model(origin.base, config)
        if getattr(model, "_hf_peft_config_loaded", False):  # transformers puts adapters of the Hub on by itself
            raise ModelError(f"model {config.path!r} is an adapter; download it and give the folder")
        return model
    try:
        return _load_model(origin.base, config.model_copy(update={"path": origin.base, "revision": None}))
    except ModelError as error:
        raise ModelError(f"model {config.path!r} is an adapter over {origin.base!r}: {error}") from None


def merged_model(config: ModelConfig, adapter: Path, dtype: str) -> Any:
    """The whole model that `config.path` is or lies over, loaded anew on the CPU, with the weights of an adapter merged
    into its own."""
    base = _load_base(origin_of(config.path), config.model_copy(update={"dtype": dtype}))
    return _merged(base, config, adapter)


def _merged(model: Any, config: ModelConfig, adapter: Path) -> Any:
    """The model with the adapter's weights in its own."""
    from peft import PeftModel

    merged = _adapted(model, config, adapter, PeftModel.from_pretrained).merge_and_unload()
    merged.requires_grad_(True)  # an adapter freezes what it lies over
    return merged


def _adapted(model: Any, config: ModelConfig, adapter: Path, load: Callable[..., Any]) -> Any:
    _refuse_pickled(adapter, config, "adapter_model.safetensors")  # PEFT takes the pickled file where this is missing
    try:
        return load(model, adapter)
    except (*_LOADING_ERRORS, TypeError) as error:
        raise ModelError(f"the adapter in {str(adapter)!r} does not fit its model: {_first_line(error)}") from None


def _put_back(model: Any, config: ModelConfig, folder: Path) -> None:
    """Load a checkpoint of ours into the model, or into its live adapter."""
    if not hasattr(model, "peft_config"):
        # Checkpoints of ours are safetensors.
        saved = config.model_copy(update={"gguf_file": None, "revision": None, "use_safetensors": True})
        model.load_state_dict(_load_model(str(folder), saved).state_dict())
        return
    from peft import load_peft_weights, set_peft_model_state_dict

    def load(model: Any, folder: Path) -> None:
        saved = load_peft_weights(str(folder), device=str(model.device))
        set_peft_model_state_dict(model, saved, adapter_name="default")

    _adapted(model, config, folder, load)


def _refuse_pickled(folder: Path, config: ModelConfig, safe: str = "*.safetensors") -> None:
    """ModelError where the weights in a folder are pickled, none named `safe`: reading them may run code in them."""
    found = sorted(file.name for pattern in PICKLED for file in folder.glob(pattern))
    if config.use_safetensors and found and not any(folder.glob(safe)):
        raise ModelError(
            f"the weights in {str(folder)!r} are pickled ({found[0]}), and reading them may run code; save them as "
            "safetensors, or set model.use_safetensors: false if you trust where they come from"
        )


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


def _quantized(config: ModelConfig) -> dict[str, Any]:
    if config.quantization is None:
        return {}
    if find_spec("bitsandbytes") is None:
        raise ModelError("model.quantization: needs bitsandbytes; pip install 'rtrl-chem[qlora]', or leave it out")
    from transformers import BitsAndBytesConfig

    return {"quantization_config": BitsAndBytesConfig(**config.quantization), "device_map": {"": processes().device}}


def _add_lora(model: Any, config: ModelConfig, saved: Path | None) -> Any:
    """The model under a trainable adapter: fresh, or a saved one."""
    from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training

    lora = config.lora or {}
    if config.quantization is not None:
        # Layer norms and embeddings in float32; checkpointing is the trainer's business.
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    if saved is not None:
        # is_trainable=False, the default, would train nothing and say nothing.
        model = _adapted(model, config, saved, partial(PeftModel.from_pretrained, is_trainable=True))
        _refuse_other_fields(lora, model.peft_config["default"], saved)
        return model
    try:
        return get_peft_model(model, LoraConfig(**({"task_type": "CAUSAL_LM"} | lora)))
    except (TypeError, ValueError) as error:
        raise ModelError(f"model.lora does not fit this model: {_first_line(error)}") from None


def _refuse_other_fields(lora: dict[str, Any], own: Any, folder: Path) -> None:
    """A saved adapter is trained on as it is: what `model.lora` says of it must be so."""
    for key, wanted in lora.items():
        has = getattr(own, key, wanted)
        if isinstance(wanted, list) and isinstance(has, (set, list)):
            wanted, has = sorted(map(str, wanted)), sorted(map(str, has))
        if wanted != has and key not in ("target_modules", "init_lora_weights", "lora_dropout"):
            raise ModelError(
                f"model.lora.{key}: got {wanted!r}, the adapter in {str(folder)!r} has {has!r}; leave the field out to "
                "train that adapter on"
            )


def _style(config: ModelConfig, tokenizer: PreTrainedTokenizerBase) -> Any:
    if config.prompt_style is not None:
        return get_style(config.prompt_style)
    if (of_run := style_of_run(config.path)) is not None:
        return get_style(of_run)
    if origin_of(config.path).is_bundled:
        return get_style("compact")
    return get_style("chat" if getattr(tokenizer, "chat_template", None) else "plain")


def _first_line(error: Exception) -> str:
    if isinstance(error, UnpicklingError):  # torch's own words say how to run the code all the same
        return "its pickled file holds more than weights"
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
