"""What a run leaves for others: a model without this package, its card, and one upload when asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rtrl_chem.cli import main

LORA = {"r": 4, "target_modules": ["q_proj", "v_proj"], "init_lora_weights": "gaussian"}
MERGED: dict[str, Any] = {"model": {"lora": LORA}, "save_merged": True, "rounds": 1, "directions": ["forward"]}


def test_a_merged_model_is_loaded_by_its_folder_alone_and_pushed_once(
    write_config: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    import huggingface_hub
    from transformers import AutoModelForCausalLM

    from rtrl_chem.config import ModelConfig, load_config
    from rtrl_chem.models.policy import load_policy
    from rtrl_chem.tasks import NAMING

    pushed: list[dict[str, Any]] = []

    class Hub:
        def create_repo(self, name: str, **given: Any) -> Any:
            return huggingface_hub.RepoUrl(f"https://huggingface.co/{name}")

        def upload_folder(self, **given: Any) -> None:
            pushed.append(given | {"files": sorted(file.name for file in Path(given["folder_path"]).iterdir())})

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    monkeypatch.setenv("HF_TOKEN", "hf_thisIsSecret")
    trainer = {"push_to_hub": True, "hub_model_id": "me/mine"}
    path = write_config(**MERGED, trainer=trainer)
    assert main(["train", path]) == 0
    run, said = tmp_path / "run", capsys.readouterr().err
    assert [one["repo_id"] for one in pushed] == ["me/mine"]
    assert {"README.md", "model.safetensors", "tokenizer.json", "generation_config.json"} <= set(pushed[0]["files"])
    assert "pushed to https://huggingface.co/me/mine" in said
    written = [file.read_bytes() for file in run.rglob("*") if file.is_file()]
    assert not any(b"hf_thisIsSecret" in content for content in written)
    card = (run / "model" / "README.md").read_text()
    assert "the whole model, its LoRA adapter merged into it" in card
    assert "| `" + str(tmp_path / "my.smi") + "` | 30 | 30 | 0 | 0 | " in card
    assert "- forward: `" in card

    # The adapter itself is in the last checkpoint: both say the same.
    [checkpoint] = run.glob("rounds/*/checkpoint-*")
    config: ModelConfig = load_config(path).model
    adapted = load_policy(config, NAMING, checkpoint).model.eval()
    merged = AutoModelForCausalLM.from_pretrained(run / "model").eval()
    ids = torch.arange(5, 15)[None]
    with torch.no_grad():
        assert (adapted(input_ids=ids).logits - merged(input_ids=ids).logits).abs().max() < 1e-5
    assert main(["evaluate", path, "--model", str(run / "model"), "--out", str(tmp_path / "out")]) == 0
    again, after = tmp_path / "out/forward/predictions.jsonl", run / "evaluation/after/forward/predictions.jsonl"
    assert [json.loads(line)["output"] for line in again.open()] == [
        json.loads(line)["output"] for line in after.open()
    ]


def test_a_token_in_a_config_is_refused_and_never_repeated(
    write_config: Callable[..., str], tmp_path: Path, capsys: Any
) -> None:
    config = write_config(trainer={"push_to_hub": True, "hub_token": "hf_thisIsSecret"})
    assert main(["train", config]) == 2
    assert main(["validate", config]) == 2
    assert main(["train", config, "--set", "hub_token=hf_thisIsSecret"]) == 2
    said = capsys.readouterr()
    assert "trainer.hub_token: is not passed through; set HF_TOKEN or log in with `hf auth login`" in said.err
    assert "hf_thisIsSecret" not in said.err + said.out
    assert not (tmp_path / "run").exists()
