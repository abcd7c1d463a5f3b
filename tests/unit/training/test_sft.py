"""Supervised phases: what is learned, and which samples expert iteration keeps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rtrl_chem.config import config_from_mapping
from rtrl_chem.models.codec import Answer
from rtrl_chem.rewards.compose import Judged, RoundTripReward, Stopwatch
from rtrl_chem.rewards.verdict import Verdict
from rtrl_chem.tasks import Direction
from rtrl_chem.training import sft
from rtrl_chem.training.arguments import sft_arguments
from rtrl_chem.training.phase import plan
from rtrl_chem.training.sft import Example, best_of, encode, run_sft

FORWARD, REVERSE = Direction.FORWARD, Direction.REVERSE


@pytest.mark.parametrize("style", ["compact", "plain", "tagged", "chat", "answer"])
def test_the_answer_alone_is_learned(make_policy: Callable[..., Any], style: str) -> None:
    codec = make_policy(style).codec
    rows = encode(codec, [Example(FORWARD, "CCO", "ethanol"), Example(REVERSE, "propan-1-ol", "CCCO")])
    for ids, labels, (direction, source, answer) in zip(
        rows["input_ids"],
        rows["labels"],
        [(FORWARD, "CCO", "ethanol"), (REVERSE, "propan-1-ol", "CCCO")],
        strict=True,
    ):
        [prompt] = codec.prompt_ids(direction, [source])
        assert ids[: len(prompt)] == prompt
        assert labels[: len(prompt)] == [-100] * len(prompt)
        assert labels[len(prompt) :] == ids[len(prompt) :]
        assert ids[-1] == codec.tokenizer.eos_token_id
        assert codec.read(direction, labels[len(prompt) :]).text == answer


class Rewards:
    """Rewards by output; what is not in the table is gated."""

    def __init__(self, table: dict[str, float]) -> None:
        self.direction, self.stopwatch, self.table = FORWARD, Stopwatch(), table
        self.passing = {Verdict.OK}
        self.is_whole = False

    @contextmanager
    def whole(self) -> Iterator[None]:
        self.is_whole = True
        yield
        self.is_whole = False

    def judge(self, sources: list[str], answers: list[Answer], targets: list[str | None]) -> list[Judged]:
        assert self.is_whole, "a process whose share has nothing to score must gather the reverse model too"
        return [
            Judged(
                FORWARD,
                x,
                a.text,
                a.text,
                target,
                self.table.get(a.text, 9.0),
                Verdict.OK if a.text in self.table else Verdict.LEAKED_SOURCE,
                "",
                {"a term": None if a.text == "not counted" else 0.0},
            )
            for x, a, target in zip(sources, answers, targets, strict=True)
        ]


def kept(monkeypatch: pytest.MonkeyPatch, written: dict[str, list[str]], table: dict[str, float]) -> dict[str, str]:
    def generate(model: Any, codec: Any, direction: Direction, sources: list[str], **options: Any) -> Any:
        return [[Answer(text, text, 1, truncated=False) for text in written[x]] for x in sources]

    monkeypatch.setattr(sft, "generate", generate)
    reward: RoundTripReward = Rewards(table)  # type: ignore[assignment]
    best, judged = best_of(SimpleNamespace(model=None, codec=None), reward, list(written), 0)  # type: ignore[arg-type]
    assert len(judged) == sum(map(len, written.values()))
    return {one.source: one.output for one in best}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param({"x": ["low", "high", "low"]}, {"x": "high"}, id="the best"),
        pytest.param({"x": ["low", "cheat"]}, {"x": "low"}, id="a gated sample is never kept, whatever it earns"),
        pytest.param({"x": ["cheat"], "z": ["low"]}, {"z": "low"}, id="a source may have none"),
        pytest.param({"x": ["high", "also high"]}, {"x": "high"}, id="the first of equals"),
        pytest.param({"x": ["not counted"], "z": ["low"]}, {"z": "low"}, id="no term has a word on it"),
    ],
)
def test_the_best_sample_of_each_source_is_kept(
    monkeypatch: pytest.MonkeyPatch, written: dict[str, list[str]], expected: dict[str, str]
) -> None:
    assert kept(monkeypatch, written, {"low": 0.1, "high": 0.9, "also high": 0.9, "not counted": 0.0}) == expected


def test_it_logs_how_far_the_policy_has_gone(
    make_policy: Callable[..., Any], tmp_path: Path, logs: Any, light_collections: None
) -> None:
    """Exactly, over the vocabulary, at the first eight tokens of the answers."""
    policy, examples = make_policy(), [Example(FORWARD, "CCO", "ethanol"), Example(REVERSE, "propane", "CCC")]
    before = copy.deepcopy(policy.model).eval()
    config = config_from_mapping(
        {
            "task": "naming",
            "model": {"path": "unused"},
            "data": {"pairs": "unused.tsv"},
            "algorithm": "sft",
            "trainer": {"learning_rate": 0.01},
            "output_dir": "unused",
        }
    )
    arguments = sft_arguments(config, plan(config)[0], tmp_path, max_steps=2)
    run_sft(policy, examples, arguments, [logs])
    rows, total, tokens = encode(policy.codec, examples), 0.0, 0
    policy.model.eval()
    for ids, labels in zip(rows["input_ids"], rows["labels"], strict=True):
        first = labels.count(-100)
        old, new = (m(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1) for m in (before, policy.model))
        for at in range(first - 1, min(first + 7, len(ids) - 1)):
            total, tokens = total + float((new[at].exp() * (new[at] - old[at])).sum()), tokens + 1
    assert [row["kl"] > 0 for row in logs.rows] == [True, True]
    assert logs.rows[-1]["kl"] == pytest.approx(total / tokens, rel=1e-4)
    assert all(row["entropy"] > 0 for row in logs.rows)


def test_nothing_to_learn_is_no_step(make_policy: Callable[..., Any]) -> None:
    result = run_sft(make_policy(), [], None, [])  # type: ignore[arg-type]
    assert (result.steps, result.samples, result.reward_first) == (0, 0, None)
