"""Loading and saving a policy: what is refused in one line, what comes back the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rtrl_chem.config import ModelConfig
from rtrl_chem.errors import ConfigError, ModelError
from rtrl_chem.models.policy import coarse_weights, load_policy, save_policy
from rtrl_chem.tasks import NAMING

LORA = {"r": 4, "target_modules": ["q_proj", "v_proj"], "init_lora_weights": "gaussian"}


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model's folder, to be spoilt."""
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def without_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def with_pickled_weights(folder: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    without_weights(folder)


def with_cut_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def with_weights_of_another_size(folder: Path) -> None:
    edit(folder / "config.json", intermediate_size=48)


def without_a_layer(folder: Path) -> None:
    edit(folder / "config.json", num_hidden_layers=3)


def as_encoder_decoder(folder: Path) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=724, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    T5ForConditionalGeneration(config).save_pretrained(folder)


def of_an_unknown_architecture(folder: Path) -> None:
    edit(folder / "config.json", model_type="no_such_model", architectures=["NoSuchModel"])


def without_end_of_sequence(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", eos_token=None)


def edit(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(without_tokenizer, "no usable tokenizer", id="no tokenizer"),
        pytest.param(without_end_of_sequence, "no end-of-sequence token", id="no end of sequence"),
        pytest.param(without_weights, "cannot be loaded", id="no weights"),
        pytest.param(with_pickled_weights, "are pickled (pytorch_model.bin)", id="pickled weights only"),
        pytest.param(with_cut_weights, "cannot be loaded", id="weights cut off"),
        pytest.param(with_weights_of_another_size, "cannot be loaded", id="weights of another size"),
        pytest.param(without_a_layer, "lacks weights", id="a layer without weights"),
        pytest.param(as_encoder_decoder, "encoder-decoder (t5)", id="encoder-decoder"),
        pytest.param(of_an_unknown_architecture, "no_such_model", id="unknown architecture"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_in_one_line(
    folder: Path, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(folder)
    with pytest.raises(ModelError) as error:
        load_policy(ModelConfig(path=str(folder), prompt_style="compact"), NAMING)
    assert said in str(error.value)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("lora", "said"),
    [
        pytest.param({"r": 4, "target_modules": ["no_such_layer"]}, "no_such_layer", id="unknown target"),
        pytest.param({"r": 0, "target_modules": ["q_proj"]}, "`r`", id="rank 0"),
    ],
)
def test_a_lora_section_that_does_not_fit_is_refused_in_one_line(
    model_folder: Path, lora: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelError, match=r"model\.lora does not fit this model") as error:
        load_policy(ModelConfig(path=str(model_folder), lora=lora), NAMING)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_bundled_model_is_named() -> None:
    with pytest.raises(ConfigError, match="bundled:huge"):
        load_policy(ModelConfig(path="bundled:huge"), NAMING)


def logits(policy: Any) -> torch.Tensor:
    with torch.no_grad():
        return policy.model.eval()(input_ids=torch.arange(5, 15)[None]).logits


def trained(policy: Any) -> Any:
    """After one step, so that an adapter is no longer the identity."""
    optimizer = torch.optim.SGD([p for p in policy.model.parameters() if p.requires_grad], lr=0.1)
    ids = torch.arange(5, 15)[None]
    policy.model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    return policy


@pytest.mark.parametrize("lora", [pytest.param(None, id="full"), pytest.param(LORA, id="lora")])
def test_a_checkpoint_comes_back_the_same_and_trains(
    model_folder: Path, lora: dict[str, Any] | None, tmp_path: Path
) -> None:
    config = ModelConfig(path=str(model_folder), prompt_style="compact", lora=lora)
    policy = trained(load_policy(config, NAMING))
    save_policy(policy, tmp_path / "saved")
    again = load_policy(config, NAMING, tmp_path / "saved")
    assert torch.equal(logits(again), logits(policy))
    assert not torch.equal(logits(again), logits(load_policy(config, NAMING)))
    before = logits(again)
    assert not torch.equal(logits(trained(again)), before)


def test_a_saved_model_is_a_plain_folder(model_folder: Path, tmp_path: Path) -> None:
    config = ModelConfig(path=str(model_folder), prompt_style="compact")
    policy = trained(load_policy(config, NAMING))
    save_policy(policy, tmp_path / "saved")
    again = load_policy(config.model_copy(update={"path": str(tmp_path / "saved")}), NAMING)
    assert torch.equal(logits(again), logits(policy))
    assert again.tokenizer.get_vocab() == policy.tokenizer.get_vocab()


def test_an_adapters_checkpoint_holds_the_live_adapter_alone(model_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from rtrl_chem.models.snapshot import take_snapshot

    policy = trained(load_policy(ModelConfig(path=str(model_folder), lora=LORA), NAMING))
    take_snapshot(policy.model)
    save_policy(policy, tmp_path)
    names = set(load_file(tmp_path / "adapter_model.safetensors"))
    assert len(names) == 2 * 2 * 2  # layers x projections x (A, B)
    assert not any("snapshot" in path.name for path in tmp_path.rglob("*"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, "plain", id="plain without a chat template"),
        pytest.param({"prompt_style": "tagged"}, "tagged", id="named"),
        pytest.param({"prompt_style": {"template": "Q: {instruction}\nA:"}}, "custom", id="one's own"),
    ],
)
def test_the_prompt_style(model_folder: Path, options: dict[str, Any], expected: str) -> None:
    assert load_policy(ModelConfig(path=str(model_folder), **options), NAMING).codec.style.name == expected


def test_a_tokenizer_with_a_chat_template_makes_chat_the_default(
    make_policy: Callable[..., Any], tmp_path: Path
) -> None:
    save_policy(make_policy("chat"), tmp_path)
    policy = load_policy(ModelConfig(path=str(tmp_path)), NAMING)
    assert policy.codec.style.name == "chat"
    assert policy.codec.prompt_ids("forward", ["CCO"]) == make_policy("chat").codec.prompt_ids("forward", ["CCO"])


def test_a_chat_template_that_cannot_be_used_is_found_when_loading(
    make_policy: Callable[..., Any], tmp_path: Path
) -> None:
    save_policy(make_policy("chat"), tmp_path)
    (tmp_path / "chat_template.jinja").write_text("{{ raise_exception('no') }}")
    with pytest.raises(ModelError, match="chat template"):
        load_policy(ModelConfig(path=str(tmp_path)), NAMING)


def test_padding_is_on_the_left_and_there_is_a_padding_token(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", pad_token=None, padding_side="right")
    tokenizer = load_policy(ModelConfig(path=str(folder), prompt_style="compact"), NAMING).tokenizer
    assert tokenizer.padding_side == "left"
    assert tokenizer.pad_token_id == tokenizer.eos_token_id


def test_every_end_token_of_the_model_ends_an_answer(folder: Path) -> None:
    edit(folder / "generation_config.json", eos_token_id=[1, 7])
    codec = load_policy(ModelConfig(path=str(folder), prompt_style="compact"), NAMING).codec
    assert codec.eos_token_ids == [codec.tokenizer.eos_token_id, *({1, 7} - {codec.tokenizer.eos_token_id})]


@pytest.mark.parametrize(
    ("dtype", "expected"), [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_the_number_format(folder: Path, dtype: str, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    edit(folder / "config.json", dtype="bfloat16")
    assert load_policy(ModelConfig(path=str(folder), dtype=dtype), NAMING).model.dtype is expected


# ---- an adapter as a start ------------------------------------------------------------------------------------------


@pytest.fixture
def adapter(model_folder: Path, tmp_path: Path) -> tuple[Path, torch.Tensor]:
    """The folder of a trained adapter, and what the model says with it."""
    policy = trained(trained(load_policy(ModelConfig(path=str(model_folder), lora=LORA), NAMING)))
    save_policy(policy, tmp_path / "adapter")
    return tmp_path / "adapter", logits(policy)


@pytest.mark.parametrize(
    ("dtype", "lora", "models", "expected"),
    [
        ("bfloat16", None, "shared", "bfloat16"),
        ("float16", None, "separate", "float16"),
        ("float32", None, "shared", ""),
        ("bfloat16", {"r": 2}, "shared", ""),
        ("bfloat16", {"r": 2}, "adapters", ""),
    ],
)
def test_which_weights_are_too_coarse_to_be_trained(
    model_folder: Path, dtype: str, lora: dict[str, Any] | None, models: str, expected: str
) -> None:
    config = ModelConfig.model_validate({"path": str(model_folder), "dtype": dtype, "lora": lora})
    assert coarse_weights(load_policy(config, NAMING, models=models)) == expected


@pytest.mark.parametrize("lora", [None, {}, {"r": 4}], ids=["merged", "trained on", "trained on as it is"])
def test_an_adapter_is_a_start_and_trains(adapter: tuple[Path, torch.Tensor], lora: dict[str, Any] | None) -> None:
    folder, before = adapter
    policy = load_policy(ModelConfig(path=str(folder), lora=lora), NAMING)
    assert torch.allclose(logits(policy), before, atol=1e-4)
    names = {name for name, weight in policy.model.named_parameters() if weight.requires_grad}
    assert names == {name for name, _ in policy.model.named_parameters() if lora is None or ".default." in name}
    assert not torch.allclose(logits(trained(policy)), before, atol=1e-4)


@pytest.mark.parametrize(
    ("lora", "said"),
    [
        pytest.param({"r": 8}, "model.lora.r: got 8, the adapter in", id="another rank"),
        pytest.param({"use_dora": True}, "model.lora.use_dora: got True", id="another kind"),
    ],
)
def test_an_adapter_is_not_what_the_config_says(
    adapter: tuple[Path, torch.Tensor], lora: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelError) as error:
        load_policy(ModelConfig(path=str(adapter[0]), lora=lora), NAMING)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def lose_the_base(folder: Path) -> None:
    edit(folder / "adapter_config.json", base_model_name_or_path="/no/such/model")


def shrink(folder: Path) -> None:
    edit(folder / "adapter_config.json", r=2)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(lose_the_base, "is an adapter over '/no/such/model': ", id="no base"),
        pytest.param(shrink, "does not fit its model", id="weights of another rank"),
    ],
)
@pytest.mark.parametrize("lora", [None, {}], ids=["merged", "trained on"])
def test_a_spoilt_adapter_is_one_line(
    adapter: tuple[Path, torch.Tensor], spoil: Callable[[Path], None], said: str, lora: dict[str, Any] | None
) -> None:
    spoil(adapter[0])
    with pytest.raises(ModelError) as error:
        load_policy(ModelConfig(path=str(adapter[0]), lora=lora), NAMING)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
