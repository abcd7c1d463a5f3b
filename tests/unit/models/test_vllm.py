"""What is handed to vLLM and what is read from it; vLLM itself is a stand-in here."""

from __future__ import annotations

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
