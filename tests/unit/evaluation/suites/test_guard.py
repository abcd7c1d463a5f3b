"""Texts and questions: numbers from a plain forward pass, files that cannot be used, the summary of a run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.evaluation.compare import compare_guard
from rtrl_chem.evaluation.suites.guard import guard_scores, load_guard, measure_guard, read_records
from rtrl_chem.evaluation.suites.schema import Suite, load_suite

TEXTS = ['{"text": "CCO"}', '{"text": "ethanol and propan-1-ol"}']
QUESTIONS = [
    '{"question": "CCO", "choices": ["ethanol", "methane"], "answer": 0}',
    '{"question": "CC", "choices": ["benzene", "ethane"], "answer": "ethane"}',
]


def guard(folder: Path, texts: list[str] = TEXTS, questions: list[str] = QUESTIONS, **part: Any) -> Suite:
    (folder / "texts.jsonl").write_text("\n".join(texts))
    (folder / "questions.jsonl").write_text("\n".join(questions))
    data = {
        name: {"file": str(folder / f"{name}.jsonl"), "licence": "x", "split": "all"} for name in ("texts", "questions")
    }
    parts = {"texts": {"t": {"data": "texts"} | part}, "questions": {"q": {"data": "questions"}}}
    return Suite.model_validate({"name": "g", "description": "d", "data": data} | parts)


def test_likelihoods_are_those_of_a_plain_forward_pass(taught_policy: Any, tmp_path: Path) -> None:
    found = measure_guard(guard(tmp_path), taught_policy.model, taught_policy.codec, tmp_path / "out")
    tokenizer, nats, tokens = taught_policy.tokenizer, 0.0, 0
    start = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    for line in TEXTS:
        ids = [start, *tokenizer(json.loads(line)["text"], add_special_tokens=False)["input_ids"]]
        with torch.no_grad():
            logs = taught_policy.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        nats -= sum(float(logs[i - 1, ids[i]]) for i in range(1, len(ids)))
        tokens += len(ids) - 1
    metrics = found["t"].metrics
    assert metrics["nats_per_token"].value == pytest.approx(nats / tokens, rel=1e-5)
    assert metrics["perplexity"].value == pytest.approx(math.exp(nats / tokens), rel=1e-4)
    assert metrics["nats_per_byte"].value == pytest.approx(nats / len("CCOethanol and propan-1-ol"), rel=1e-5)


def test_the_preferred_choice_counts_and_can_be_counted_again(taught_policy: Any, tmp_path: Path) -> None:
    found = measure_guard(guard(tmp_path), taught_policy.model, taught_policy.codec, tmp_path / "out")["q"]
    records = [json.loads(line) for line in (tmp_path / "out" / "q" / "predictions.jsonl").read_text().splitlines()]
    assert [record["answer"] for record in records] == [0, 1]
    right = [max(range(2), key=lambda i, r=record: r["nats"][i]) == record["answer"] for record in records]
    assert found.metrics["accuracy"].value == sum(right) / 2
    assert json.loads((tmp_path / "out" / "q" / "metrics.json").read_text())["kind"] == "questions"


def test_long_texts_are_cut_and_say_so_by_their_bytes(taught_policy: Any, tmp_path: Path) -> None:
    suite = guard(tmp_path, texts=['{"text": "CCCCCCCCCCCCCCCCCCCC"}'], max_tokens=5)
    measure_guard(suite, taught_policy.model, taught_policy.codec, tmp_path / "out")
    [record] = read_records(tmp_path / "out" / "t" / "predictions.jsonl")
    assert record["tokens"] == 4
    assert record["bytes"] < 20


@pytest.mark.parametrize(
    ("questions", "said"),
    [
        pytest.param(['{"question": "a"}'], "line 1: no 'choices'", id="no choices"),
        pytest.param([QUESTIONS[0], "not JSON"], "line 2", id="not JSON"),
        pytest.param(['{"question": "a", "choices": ["b"], "answer": 0}'], "two or more", id="one choice"),
        pytest.param(
            ['{"question": "a", "choices": ["b", "c"], "answer": 2}'], "one of the choices", id="no such place"
        ),
        pytest.param(['{"question": "a", "choices": ["b", "c"], "answer": "d"}'], "got 'd'", id="no such choice"),
        pytest.param([], "is empty", id="empty file"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, questions: list[str], said: str) -> None:
    with pytest.raises(CorpusError, match=said):
        measure_guard(guard(tmp_path, questions=questions, max_tokens=4).only(["q"]), None, None, tmp_path)  # type: ignore[arg-type]


def test_the_bundled_guard_is_sound() -> None:
    suite = load_guard("guard")
    assert suite.part_names == ["texts", "questions"]
    with pytest.raises(ConfigError, match="has parts"):
        load_guard("naming")
    assert load_suite("guard").data["questions"].rows == 36


def test_two_guards_of_one_file_are_compared(tmp_path: Path) -> None:
    base = {"question": "q", "choices": ["a", "b"], "answer": 0, "bytes": [1, 1]}
    for name, nats in (("a", [-2.0, -1.0]), ("b", [-1.0, -2.0])):
        (tmp_path / name).write_text(json.dumps(base | {"nats": nats}) + "\n")
    found = compare_guard("q", tmp_path / "a", tmp_path / "b", (50, 0, 0.95))
    assert (found.metrics["accuracy"].difference, found.metrics["accuracy"].wins) == (1.0, 1)
    assert {score.name for score in guard_scores(read_records(tmp_path / "a"))} == {"accuracy", "accuracy_per_byte"}


def test_the_likelier_text_is_the_better_one(tmp_path: Path) -> None:
    base = {"text": "CCO", "tokens": 3, "bytes": 3, "unknown": 0}
    for name, nats in (("a", -9.0), ("b", -6.0)):
        (tmp_path / name).write_text(json.dumps(base | {"nats": nats}) + "\n")
    found = compare_guard("t", tmp_path / "a", tmp_path / "b", (50, 0, 0.95)).metrics
    assert {name: (one.wins, one.losses) for name, one in found.items()} == dict.fromkeys(found, (1, 0))
    assert found["perplexity"].difference < 0
