"""What is handed to vLLM and what is read from it; vLLM itself is a stand-in here."""

from __future__ import annotations

import inspect
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from rtrl_chem.config import ModelConfig
from rtrl_chem.errors import ModelError
from rtrl_chem.models import vllm
from rtrl_chem.models.decoding import Decoding
from rtrl_chem.tasks import Direction


def test_without_vllm_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install 'rtrl-chem\[vllm\]'"):
        vllm.load_engine(ModelConfig(path="m"), "m")


def test_prompts_go_in_as_tokens_and_answers_come_out_in_order(
    taught_policy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = taught_policy.codec
    settings: list[dict[str, Any]] = []

    def generate(chunk: list[dict[str, Any]], params: Any, use_tqdm: bool) -> list[Any]:
        end = codec.tokenizer.eos_token_id
        return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=[*c["prompt_token_ids"][1:2], end])]) for c in chunk]

    fake = SimpleNamespace(SamplingParams=lambda **given: settings.append(given))
    monkeypatch.setitem(sys.modules, "vllm", fake)
    monkeypatch.setattr(vllm, "CHUNK", 2)
    prompts = [codec.prompt(Direction.FORWARD, source) for source in ("CCO", "NCC", "OCC")]
    done: list[int] = []
    engine = SimpleNamespace(generate=generate)
    answers = vllm.answer_prompts(engine, codec, Direction.FORWARD, prompts, Decoding(max_new_tokens=9), done.append)
    assert [answer.text for [answer] in answers] == ["C", "N", "O"]
    assert done == [2, 1]
    [given] = settings
    assert (given["temperature"], given["max_tokens"], given["n"]) == (0.0, 9, 1)
    assert codec.tokenizer.eos_token_id in given["stop_token_ids"]


class Engine:
    """What TRL makes, as far as it is handed on; vLLM itself is not here."""

    def __init__(self, model: Any, accelerator: Any, processing_class: Any, **settings: Any) -> None:
        self.model, self.accelerator, self.processing_class = model, accelerator, processing_class
        self._dist = Backend(accelerator)


class Backend:
    def __init__(self, accelerator: str) -> None:
        self.accelerator = accelerator


def test_the_phases_of_a_run_share_an_engine_where_model_and_settings_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vllm, "_KEPT", [])
    trainers = SimpleNamespace(VLLMGeneration=Engine)

    def made(phase: str, path: str = "mine", **settings: Any) -> Any:
        with vllm.engines_kept(trainers):
            model = SimpleNamespace(name_or_path=path, phase=phase)
            return trainers.VLLMGeneration(model=model, accelerator=phase, processing_class="t", **settings)

    first = made("one", mode="colocate", temperature=1.0)
    assert made("two", mode="colocate", temperature=1.0) is first
    assert (first.model.phase, first.accelerator, first._dist.accelerator) == ("two", "two", "two")
    assert made("three", mode="server", temperature=1.0) is not first
    assert made("three", path="another", mode="colocate", temperature=1.0) is not first
    assert trainers.VLLMGeneration is Engine


@pytest.mark.parametrize("name", ["grpo_trainer", "rloo_trainer"])
def test_trl_has_what_is_kept(name: str) -> None:
    """`engines_kept` stands in the place of a class of TRL's and sets these fields."""
    from importlib import import_module

    source = inspect.getsource(import_module(f"trl.trainer.{name}").VLLMGeneration.__init__)
    for field in ("model", "accelerator", "processing_class"):
        assert f"self.{field} = " in source
