"""Models from elsewhere: no code of theirs runs here unless the user says so. Each would leave a file if it did."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from rtrl_chem.config import ModelConfig
from rtrl_chem.errors import ModelError, RtrlError
from rtrl_chem.models.policy import load_policy, restore_policy, save_policy
from rtrl_chem.models.value_head import load_heads
from rtrl_chem.tasks import NAMING

LORA = {"r": 4, "target_modules": ["q_proj", "v_proj"], "init_lora_weights": "gaussian"}


class Evil:
    """Pickled, it writes a file when it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.write_text, (self.trace, "was here")


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """The file that code from elsewhere would write."""
    return tmp_path / "trace"


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


@pytest.fixture
def adapter(model_folder: Path, tmp_path: Path) -> Path:
    policy = load_policy(ModelConfig(path=str(model_folder), lora=LORA), NAMING)
    save_policy(policy, tmp_path / "adapter")
    return tmp_path / "adapter"


def pickled(folder: Path, name: str, evil: Path | None = None) -> None:
    """Put a pickled file in the place of the safetensors; with `evil`, one that writes there when it is read."""
    from safetensors.torch import load_file

    [safe] = folder.glob("*.safetensors")
    weights: dict[str, Any] = load_file(safe)
    safe.unlink()
    torch.save(weights | ({"extra": Evil(evil)} if evil is not None else {}), folder / name)


def test_the_evil_file_would_work(trace: Path, tmp_path: Path) -> None:
    torch.save(Evil(trace), tmp_path / "x.bin")
    torch.load(tmp_path / "x.bin", weights_only=False)
    assert trace.exists()


@pytest.mark.parametrize("allowed", [False, True], ids=["by default", "use_safetensors: false"])
def test_code_in_pickled_weights_never_runs(folder: Path, trace: Path, allowed: bool) -> None:
    pickled(folder, "pytorch_model.bin", trace)
    with pytest.raises(ModelError) as error:
        load_policy(ModelConfig(path=str(folder), use_safetensors=not allowed), NAMING)
    said = "its pickled file holds more than weights" if allowed else "are pickled (pytorch_model.bin)"
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not trace.exists()


@pytest.mark.parametrize("allowed", [False, True], ids=["by default", "use_safetensors: false"])
@pytest.mark.parametrize("lora", [None, {}], ids=["merged", "trained on"])
def test_code_in_a_pickled_adapter_never_runs(
    adapter: Path, trace: Path, lora: dict[str, Any] | None, allowed: bool
) -> None:
    pickled(adapter, "adapter_model.bin", trace)
    (adapter / "other.safetensors").touch()  # is not what PEFT reads
    with pytest.raises(ModelError) as error:
        load_policy(ModelConfig(path=str(adapter), lora=lora, use_safetensors=not allowed), NAMING)
    said = "its pickled file holds more than weights" if allowed else "are pickled (adapter_model.bin)"
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not trace.exists()


def test_pickled_weights_are_taken_when_asked_for(folder: Path, taught_policy: Any) -> None:
    pickled(folder, "pytorch_model.bin")
    policy = load_policy(ModelConfig(path=str(folder), use_safetensors=False), NAMING)
    mine, theirs = policy.model.state_dict(), taught_policy.model.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("lora", [None, {}], ids=["merged", "trained on"])
def test_a_pickled_adapter_is_taken_when_asked_for(adapter: Path, lora: dict[str, Any] | None) -> None:
    pickled(adapter, "adapter_model.bin")
    loaded = load_policy(ModelConfig(path=str(adapter), lora=lora, use_safetensors=False), NAMING)
    assert hasattr(loaded.model, "peft_config") is (lora is not None)


def test_the_option_does_not_pass_over_safetensors(folder: Path, trace: Path) -> None:
    torch.save({"extra": Evil(trace)}, folder / "pytorch_model.bin")
    load_policy(ModelConfig(path=str(folder), use_safetensors=False), NAMING)
    assert not trace.exists()


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_a_checkpoint_is_never_unpickled(
    model_folder: Path, tmp_path: Path, trace: Path, lora: dict[str, Any] | None
) -> None:
    config = ModelConfig(path=str(model_folder), lora=lora)
    policy = load_policy(config, NAMING)
    save_policy(policy, tmp_path / "checkpoint")
    pickled(tmp_path / "checkpoint", "adapter_model.bin" if lora else "pytorch_model.bin", trace)
    with pytest.raises(ModelError, match="are pickled"):
        restore_policy(policy, config, tmp_path / "checkpoint")
    assert not trace.exists()


def test_value_heads_are_never_unpickled(tmp_path: Path, trace: Path) -> None:
    torch.save({"x": Evil(trace)}, tmp_path / "value_head.safetensors")
    with pytest.raises(SafetensorError):
        load_heads(tmp_path, torch.device("cpu"))
    assert not trace.exists()


# ---- code that comes with a model -----------------------------------------------------------------------------------


def with_code(folder: Path, trace: Path, what: str) -> None:
    """A model whose config or tokenizer is a class of its own, in a file beside it."""
    (folder / "evil.py").write_text(f"open({str(trace)!r}, 'w').write('was here')\nclass Evil: pass\n")
    file = folder / ("config.json" if what == "model" else "tokenizer_config.json")
    own: dict[str, Any] = {"AutoTokenizer": ["evil.Evil", None]}
    changes: dict[str, Any] = {"auto_map": own, "tokenizer_class": "Evil"}
    if what == "model":
        own = {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"}
        changes = {"auto_map": own, "model_type": "evil", "architectures": ["Evil"]}
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def _load_policy(path: str) -> None:
    load_policy(ModelConfig(path=path, prompt_style="compact"), NAMING)


def _adapter_over_it(path: str) -> None:
    folder = Path(path).parent / "over"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": path, "peft_type": "LORA"}))
    _load_policy(str(folder))


def _inspect(path: str) -> None:
    from rtrl_chem.reporting.inspect_corpus import _token_lengths

    _token_lengths(path)


def _prepare(path: str) -> None:
    from rtrl_chem.data.prepare.run import _tokenizer

    _tokenizer(path)


@pytest.mark.parametrize("what", ["model", "tokenizer"])
@pytest.mark.parametrize("load", [_load_policy, _adapter_over_it, _inspect, _prepare])
def test_code_beside_a_model_does_not_run(
    folder: Path, trace: Path, what: str, load: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is refused, or loads as what is known here, does not matter."""
    monkeypatch.setattr("builtins.input", lambda *args: pytest.fail("the user was asked"))
    with_code(folder, trace, what)
    with suppress(RtrlError):
        load(str(folder))
    assert not trace.exists()


def test_code_beside_a_model_runs_when_asked_for(folder: Path, trace: Path) -> None:
    with_code(folder, trace, "model")
    with suppress(Exception):  # the code is no model
        load_policy(ModelConfig(path=str(folder), trust_remote_code=True), NAMING)
    assert trace.exists()
