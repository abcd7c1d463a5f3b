"""LoRA on weights of 4 bits, end to end."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from rtrl_chem.cli import main

TINY = Path(__file__).parents[2] / "rtrl_chem" / "assets" / "tiny"


@pytest.fixture
def model_of_64(tmp_path: Path) -> Path:
    """bitsandbytes quantizes 64 weights together and wants rows of whole blocks."""
    config = AutoConfig.from_pretrained(TINY)
    config.update({"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2})
    config.update({"num_key_value_heads": 2, "head_dim": 32})
    torch.manual_seed(0)
    folder = tmp_path / "model64"
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    AutoTokenizer.from_pretrained(TINY).save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs bitsandbytes (the extra `qlora`)")
def test_an_adapter_is_trained_on_four_bits(
    write_config: Callable[..., str], model_of_64: Path, tmp_path: Path
) -> None:
    model = {
        "path": str(model_of_64),
        "lora": {"r": 4, "target_modules": "all-linear"},
        "quantization": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "float32"},
    }
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("smiles\tname\n" + "".join(f"{'C' * n}O\tname {n}\n" for n in range(1, 31)))
    config = write_config(model=model, rounds=1, directions=["forward"], algorithm="sft", data={"pairs": str(pairs)})
    own = ["--set", "trainer={learning_rate: 0.01, per_device_train_batch_size: 4}", "--set", "rewards={}"]
    assert main(["train", config, "--quiet", *own]) == 0
    weights = load_file(tmp_path / "run" / "model" / "adapter_model.safetensors")
    assert all("lora_" in name for name in weights)
    # Gradients reach every adapter, those below other 4-bit layers too, after the model has written in evaluation mode.
    assert all(tensor.abs().sum() > 0 for name, tensor in weights.items() if "lora_B" in name)
