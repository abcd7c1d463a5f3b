"""Rewards that run here ask nobody elsewhere: each is computed with every socket closed."""

from __future__ import annotations

import socket
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rtrl_chem.chem import Opsin
from rtrl_chem.config import config_from_mapping
from rtrl_chem.rewards.options import OPTIONS
from rtrl_chem.rewards.registry import build_terms

NAMES = (["CCO", "c1ccccc1"], ["ethanol", "benzene"], ["ethanol", None])
CAPTIONS = (["CCO"], ["It is an alcohol, C2H6O."], ["An alcohol."])
REACTIONS = (["CCO.CC(=O)O"], ["CCOC(C)=O"], ["CCOC(C)=O"])
ROUGE = pytest.mark.skipif(find_spec("rouge_score") is None, reason="needs rouge-score")
OPSIN = pytest.mark.skipif(not Opsin.available(), reason="OPSIN needs Java and py2opsin")
# Reward, its options, task, samples.
CASES: list[Any] = [
    pytest.param("likelihood", {}, "naming", NAMES, id="likelihood"),
    pytest.param("information", {}, "naming", NAMES, id="information"),
    pytest.param("any_order", {}, "naming", NAMES, id="any_order"),
    pytest.param("reconstruction", {"similarity": "morgan"}, "naming", NAMES, id="reconstruction"),
    pytest.param("format", {}, "naming", NAMES, id="format"),
    pytest.param("conservation", {}, "reaction", REACTIONS, id="conservation"),
    pytest.param("agreement", {}, "captioning", CAPTIONS, id="agreement"),
    pytest.param("referee", {}, "naming", NAMES, id="referee-OPSIN", marks=OPSIN),
    pytest.param("referee", {"model": {"prompt_style": "compact"}}, "naming", NAMES, id="referee-model"),
    pytest.param("supervised", {"phrase": "edit"}, "naming", NAMES, id="supervised"),
    pytest.param("supervised", {"prose": "rougeL"}, "captioning", CAPTIONS, id="supervised-ROUGE", marks=ROUGE),
    pytest.param("supervised", {"prose": "bleu4"}, "captioning", CAPTIONS, id="supervised-BLEU"),
]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError(f"the network was asked: {args[1:] or args}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(("name", "options", "task", "samples"), CASES)
def test_a_reward_is_computed_without_the_network(
    name: str,
    options: dict[str, Any],
    task: str,
    samples: tuple[list[str], list[str], list[str | None]],
    taught_policy: Any,
    model_folder: Path,
    make_batch: Callable[..., Any],
    make_reverse: Callable[..., Any],
) -> None:
    if "model" in options:
        options = {"model": options["model"] | {"path": str(model_folder)}}
    config = config_from_mapping(
        {
            "task": task,
            "model": {"path": "unused"},
            "data": {"molecules": "x", "pairs": "y"},
            "rewards": {name: options},
            "output_dir": "z",
        }
    )
    [term] = build_terms(config.rewards)
    reverse = make_reverse(taught_policy) if task == "naming" else None
    values = term.term(make_batch(*samples, task=task, reverse=reverse))
    assert len(values) == len(samples[0])
    assert all(value is None or value >= term.term.floor for value in values)


@pytest.mark.usefixtures("no_network")
def test_the_closed_network_is_closed() -> None:
    with pytest.raises(AssertionError, match="the network was asked"):
        socket.create_connection(("127.0.0.1", 9))
    with pytest.raises(AssertionError, match="the network was asked"):
        socket.socket().connect(("127.0.0.1", 9))


def test_every_built_in_reward_is_tried() -> None:
    assert {case.values[0] for case in CASES} == set(OPTIONS)
