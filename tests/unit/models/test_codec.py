"""Prompts and answers as token ids: what is scored, what is read back, which special tokens there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtrl_chem.tasks import Direction

FORWARD, REVERSE = Direction.FORWARD, Direction.REVERSE
STYLES = ["compact", "plain", "chemdfm", "tagged", "chat", "answer"]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("direction", "answer"),
    [
        pytest.param(FORWARD, "2-acetyloxybenzoic acid", id="name"),
        pytest.param(FORWARD, "(2R,3S)-2,3-dihydroxybutanedioic acid", id="brackets"),
        pytest.param(REVERSE, "CC(=O)Oc1ccccc1C(=O)O", id="molecule"),
        pytest.param(REVERSE, "F/C=C\\F", id="backslash"),
        pytest.param(REVERSE, "C", id="one letter"),
    ],
)
def test_what_is_encoded_is_read_back(
    make_policy: Callable[..., Any], style: str, direction: Direction, answer: str
) -> None:
    codec = make_policy(style).codec
    [target] = codec.targets(direction, [answer])
    read = codec.read(direction, target.ids)
    assert (read.text, read.truncated, read.tokens) == (answer, False, len(target.ids))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=st.text("CNOcno()[]=#@+-123456789\\/.%é ,'", min_size=1, max_size=40).map(str.strip).filter(bool))
@pytest.mark.parametrize("style", ["plain", "tagged", "chat", "answer"])
def test_any_text_survives_encoding(make_policy: Callable[..., Any], style: str, answer: str) -> None:
    codec = make_policy(style).codec
    [target] = codec.targets(REVERSE, [answer])
    assert codec.read(REVERSE, target.ids).text == answer


@pytest.mark.parametrize(
    ("style", "end"),
    [
        pytest.param("compact", "<eos>", id="compact"),
        pytest.param("plain", "</s>", id="plain"),
        pytest.param("chat", "</s>", id="chat"),
        pytest.param("tagged", "Ġ", id="tagged"),
        pytest.param("answer", "</", id="answer"),
    ],
)
def test_the_answer_and_the_one_token_that_ends_it_are_scored(
    make_policy: Callable[..., Any], style: str, end: str
) -> None:
    codec = make_policy(style).codec
    [target] = codec.targets(REVERSE, ["CC(C)CCO"])
    scored = target.ids[target.first : target.last]
    assert codec.tokenizer.decode(scored[:-1]).strip() == "CC(C)CCO"
    assert codec.tokenizer.convert_ids_to_tokens(scored[-1]).startswith(end[:1])
    assert target.ids[-1] == codec.tokenizer.eos_token_id


def test_the_tags_around_an_answer_are_not_scored(make_policy: Callable[..., Any]) -> None:
    codec = make_policy("answer").codec
    [target] = codec.targets(REVERSE, ["CCO"])
    assert codec.tokenizer.decode(target.ids[: target.first]) == "<answer>"
    assert "CCO" not in codec.tokenizer.decode(target.ids[target.last :])


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        pytest.param("chat", 1, id="the chat template writes BOS, the tokenizer must not add one"),
        pytest.param("answer", 1, id="answer goes through the template too"),
        pytest.param("plain", 1, id="the tokenizer adds BOS to plain text"),
        pytest.param("tagged", 1, id="the tokenizer adds BOS to tagged text"),
    ],
)
def test_a_prompt_has_one_bos(make_policy: Callable[..., Any], style: str, expected: int) -> None:
    codec = make_policy(style).codec
    for ids in codec.prompt_ids(FORWARD, ["CCO", "C"]):
        assert ids.count(codec.tokenizer.bos_token_id) == expected
        assert ids[0] == codec.tokenizer.bos_token_id


@pytest.mark.parametrize("style", STYLES)
def test_an_answer_never_starts_with_bos(make_policy: Callable[..., Any], style: str) -> None:
    codec = make_policy(style).codec
    [target] = codec.targets(FORWARD, ["ethanol"])
    assert codec.tokenizer.bos_token_id not in target.ids


def test_a_completion_without_end_is_truncated(make_policy: Callable[..., Any]) -> None:
    codec = make_policy().codec
    [target] = codec.targets(REVERSE, ["CCO"])
    read = codec.read(REVERSE, target.ids[:-1])
    assert (read.text, read.truncated, read.tokens) == ("CCO", True, 3)


def test_reading_stops_at_the_first_end(make_policy: Callable[..., Any]) -> None:
    codec = make_policy().codec
    eos, pad = codec.tokenizer.eos_token_id, codec.tokenizer.pad_token_id
    [target] = codec.targets(REVERSE, ["CCO"])
    assert codec.read(REVERSE, [*target.ids, pad, pad]) == codec.read(REVERSE, [*target.ids, 9, 9, eos])


def test_a_model_may_end_with_another_token_than_the_tokenizer(make_policy: Callable[..., Any]) -> None:
    from rtrl_chem.models.codec import Codec

    own = make_policy("chat").codec
    end = own.tokenizer.convert_tokens_to_ids("<|end|>")
    codec = Codec(own.task, own.style, own.tokenizer, [end])
    ids = own.tokenizer("CCO", add_special_tokens=False)["input_ids"]
    assert codec.read(REVERSE, [*ids, end]).text == "CCO"
    assert not codec.read(REVERSE, [*ids, end]).truncated


def test_tags_that_are_special_tokens_are_seen(make_policy: Callable[..., Any]) -> None:
    import copy

    from rtrl_chem.models.codec import Codec

    own = make_policy("tagged").codec
    tokenizer = copy.deepcopy(own.tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<SMILES>", "</SMILES>"]})
    codec = Codec(own.task, own.style, tokenizer)
    [target] = codec.targets(REVERSE, ["CCO"])
    assert codec.read(REVERSE, target.ids).text == "CCO"
