"""The finished model: plain folders that transformers loads by itself, and one upload when asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rtrl_chem.config import Config, ModelConfig, config_from_mapping
from rtrl_chem.models.policy import load_policy
from rtrl_chem.tasks import NAMING, Direction
from rtrl_chem.training.export import export_model, push_model

LORA = {"r": 4, "target_modules": ["q_proj", "v_proj"], "init_lora_weights": "gaussian"}
SOURCES = ["CCO", "c1ccccc1"]


def make_config(model: Path, models: str = "shared", **changes: Any) -> Config:
    raw = {
        "task": "naming",
        "model": {"path": str(model), "prompt_style": "compact", "lora": LORA},
        "models": models,
        "data": {"molecules": "my.smi"},
        "output_dir": "runs/mine",
    }
    return config_from_mapping(raw | changes)


def loaded(config: Config) -> Any:
    """The policy of a config, its adapters moved away from nothing, each elsewhere."""
    policy = load_policy(config.model, NAMING, None, config.models, config.reverse_model)
    for seed, direction in enumerate(policy.folders(Path())):
        with policy.along(direction) as one:
            generator = torch.Generator().manual_seed(seed)
            for name, weight in one.model.named_parameters():
                if "lora_B.default" in name:
                    weight.data.normal_(std=0.1, generator=generator)
    return policy


def logits(model: Any, codec: Any, direction: Direction) -> torch.Tensor:
    ids = codec.prompt_ids(direction, SOURCES[:1])
    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor(ids)).logits


@pytest.mark.parametrize("models", ["shared", "adapters"])
def test_merged_weights_answer_as_the_adapters_do(model_folder: Path, tmp_path: Path, models: str) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    config = make_config(model_folder, models, save_merged=True)
    policy = loaded(config)
    export_model(policy, config, tmp_path / "model")
    seen = []
    for direction, folder in policy.folders(tmp_path / "model").items():
        model = AutoModelForCausalLM.from_pretrained(folder)
        assert type(model).__name__ == "LlamaForCausalLM"
        assert not (folder / "adapter_config.json").exists()
        assert len(AutoTokenizer.from_pretrained(folder)) == len(policy.tokenizer)
        with policy.along(direction) as one:
            adapted = logits(one.model, one.codec, direction)
            merged = logits(model, one.codec, direction)
            with one.model.disable_adapter():
                base = logits(one.model, one.codec, direction)
        assert (adapted - merged).abs().max() < 1e-5
        assert (base - merged).abs().max() > 1e-3  # the adapter does something
        seen.append(merged)
    assert len(seen) == (2 if models == "adapters" else 1)
    again = load_policy(ModelConfig(path=str(tmp_path / "model"), prompt_style="compact"), NAMING)
    with again.along(Direction.FORWARD) as one:
        assert (logits(one.model, one.codec, Direction.FORWARD) - seen[0]).abs().max() < 1e-5


@pytest.mark.parametrize("models", ["shared", "adapters"])
def test_without_the_option_the_adapter_alone_is_kept(model_folder: Path, tmp_path: Path, models: str) -> None:
    from peft import AutoPeftModelForCausalLM

    config = make_config(model_folder, models)
    policy = loaded(config)
    export_model(policy, config, tmp_path / "model")
    for direction, folder in policy.folders(tmp_path / "model").items():
        files = {file.name for file in folder.iterdir()}
        assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "generation_config.json"} <= files
        assert not files & {"model.safetensors", "README.md"}
        with policy.along(direction) as one:
            mine = logits(one.model, one.codec, direction)
            assert torch.equal(logits(AutoPeftModelForCausalLM.from_pretrained(folder), one.codec, direction), mine)


def test_generation_ends_and_pads_as_in_training(
    make_policy: Callable[..., Any], model_folder: Path, tmp_path: Path
) -> None:
    policy = make_policy("chat")
    end = policy.tokenizer.convert_tokens_to_ids("<|end|>")
    policy.codec.eos_token_ids.append(end)  # a chat model ends a turn by another token than a text
    policy.model.generation_config.eos_token_id = None
    policy.model.generation_config.pad_token_id = None
    export_model(policy, make_config(model_folder), tmp_path / "model")
    written = json.loads((tmp_path / "model" / "generation_config.json").read_text())
    assert written["eos_token_id"] == [policy.tokenizer.eos_token_id, end]
    assert not written.get("_from_model_config")  # generate() would go by config.json
    assert written["pad_token_id"] == policy.tokenizer.pad_token_id
    assert written["bos_token_id"] == policy.tokenizer.bos_token_id


def test_an_earlier_export_is_replaced_as_a_whole(
    make_policy: Callable[..., Any], model_folder: Path, tmp_path: Path
) -> None:
    for name in ("model", "model.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "old").touch()
    export_model(make_policy(), make_config(model_folder), tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").is_file()
    assert not (tmp_path / "model" / "old").exists()
    assert not (tmp_path / "model.partial").exists()


def test_what_links_lead_to_stays_and_is_not_exported(
    make_policy: Callable[..., Any], model_folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").touch()
    for name in ("model", "model.partial"):
        (tmp_path / name).symlink_to(outside)
    export_model(make_policy(), make_config(model_folder), tmp_path / "model")
    assert [file.name for file in outside.iterdir()] == ["secret"]
    assert not (tmp_path / "model").is_symlink()
    assert not (tmp_path / "model" / "secret").exists()
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_an_adapter_over_quantized_weights_is_merged_into_whole_ones(model_folder: Path, tmp_path: Path) -> None:
    config = make_config(model_folder, save_merged=True)
    policy = loaded(config)  # not quantized: that needs bitsandbytes
    quantized = config.model.model_copy(update={"quantization": {"load_in_4bit": True}})
    export_model(policy, config.model_copy(update={"model": quantized}), tmp_path / "model")
    assert "quantization_config" not in json.loads((tmp_path / "model" / "config.json").read_text())


# ---- the Hub --------------------------------------------------------------------------------------------------------


class FakeHub:
    """Stands in for huggingface_hub.HfApi and remembers what it was asked."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.fails = fails

    def __call__(self) -> FakeHub:
        return self

    def create_repo(self, name: str, **given: Any) -> Any:
        self.calls.append(("create_repo", {"name": name} | given))
        return SimpleNamespace(repo_id=name if "/" in name else f"me/{name}")

    def create_branch(self, repo: str, **given: Any) -> None:
        self.calls.append(("create_branch", {"repo": repo} | given))

    def upload_folder(self, **given: Any) -> None:
        self.calls.append(("upload_folder", given))
        if self.fails is not None:
            raise self.fails


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    import huggingface_hub

    fake = FakeHub()
    monkeypatch.setattr(huggingface_hub, "HfApi", fake)
    return fake


def test_the_model_is_pushed_once(hub: FakeHub, tmp_path: Path) -> None:
    trainer = {"push_to_hub": True, "hub_model_id": "org/x", "hub_private_repo": True, "hub_revision": "v1"}
    said: list[str] = []
    push_model(tmp_path, make_config(tmp_path, trainer=trainer), said.append, pytest.fail)
    assert hub.calls[0] == ("create_repo", {"name": "org/x", "private": True, "exist_ok": True})
    assert hub.calls[1] == ("create_branch", {"repo": "org/x", "branch": "v1", "exist_ok": True})
    name, given = hub.calls[2]
    assert (name, given["repo_id"], given["folder_path"], given["revision"]) == (
        "upload_folder",
        "org/x",
        tmp_path,
        "v1",
    )
    assert len(hub.calls) == 3
    assert "pushed to" in said[0]
    assert not any("token" in given for _, given in hub.calls)  # the library's own: HF_TOKEN or `hf auth login`


def test_a_repository_without_a_name_is_called_as_the_run(hub: FakeHub, tmp_path: Path) -> None:
    push_model(tmp_path, make_config(tmp_path, trainer={"push_to_hub": True}), print, pytest.fail)
    assert hub.calls[0][1]["name"] == "mine"
    assert hub.calls[1][1]["repo_id"] == "me/mine"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(OSError("no network\nand more"), "(no network)", id="network"),
        pytest.param(ValueError(), "(ValueError)", id="without words"),
    ],
)
def test_a_failed_push_says_how_to_do_it_by_hand(hub: FakeHub, tmp_path: Path, error: Exception, reason: str) -> None:
    hub.fails = error
    folder = tmp_path / "a run" / "model"
    trainer = {"push_to_hub": True, "hub_model_id": "org/x", "hub_private_repo": True}
    warned: list[str] = []
    push_model(folder, make_config(tmp_path, trainer=trainer), pytest.fail, warned.append)
    [said] = warned
    assert said.startswith("model/ was not pushed to the Hub " + reason)
    assert said.endswith(f"by hand: hf upload org/x '{folder}' . --private")
