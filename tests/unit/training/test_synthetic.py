"""Pairs that the policy makes: what passes, what does not and why, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rtrl_chem.config import config_from_mapping
from rtrl_chem.rewards.compose import Stopwatch
from rtrl_chem.rewards.verdict import Verdict
from rtrl_chem.tasks import Direction
from rtrl_chem.training.synthetic import KEPT, Made, describe, make_pairs, write_made

FORWARD, REVERSE = Direction.FORWARD, Direction.REVERSE
KNOWN = {"CCO": "ethanol", "CCC": "propane", "c1ccccc1": "benzene"}


def pairs_of(policy: Any, answers: list[str], direction: Direction = REVERSE, **synthetic: Any) -> list[Made]:
    options = {"samples": 1, "temperature": 0.0, "min_probability": 0.0} | synthetic
    config = config_from_mapping(
        {
            "task": "naming",
            "model": {"path": "unused"},
            "data": {"molecules": "x", "outputs": "y"},
            "regime": "synthetic",
            "synthetic": options,
            "trainer": {"max_completion_length": 8},
            "output_dir": "unused",
        }
    )
    return make_pairs(policy, config, direction, answers, 5, Stopwatch())


def test_the_answer_is_real_and_the_source_is_what_the_policy_writes_for_it(taught_policy: Any) -> None:
    made = pairs_of(taught_policy, list(KNOWN))
    assert [(one.source, one.answer, one.reason) for one in made] == [(y, x, KEPT) for x, y in KNOWN.items()]
    assert {(one.direction, one.made_by) for one in made} == {(REVERSE, "policy, temperature 0")}


def test_a_structure_that_the_policy_writes_is_spelt_as_a_corpus_is(
    taught_policy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtrl_chem.models.codec import Answer
    from rtrl_chem.training import synthetic

    monkeypatch.setattr(synthetic, "generate", lambda *_, **__: [[Answer("OCC", "OCC", 3, truncated=False)]])
    [made] = pairs_of(taught_policy, ["ethanol"], FORWARD)
    assert (made.source, made.answer) == ("CCO", "ethanol")


def test_samples_are_drawn_from_the_seed(taught_policy: Any) -> None:
    first, again = (pairs_of(taught_policy, ["CCCCN", "CC(C)O"], samples=4, temperature=2.0) for _ in range(2))
    assert first == again
    assert len(first) == 8
    assert len({one.source for one in first}) > 2


def test_what_no_honest_reader_could_use_is_out(taught_policy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from rtrl_chem.models.codec import Answer
    from rtrl_chem.training import synthetic

    written = [Answer("ethanol", "", 1, truncated=False), Answer("", "", 1, truncated=False)]
    written += [Answer("CCO", "", 1, truncated=False), Answer("ethanol", "", 1, truncated=False)]
    monkeypatch.setattr(synthetic, "generate", lambda *_, **__: [written])
    made = pairs_of(taught_policy, ["CCO"], samples=4, temperature=1.0)
    assert [one.reason for one in made] == [KEPT, "EMPTY", "COPIED_SOURCE", "written before"]
    assert made[2].evidence == "CCO"
    assert describe(made) == "1 of 4 made pairs kept (left out: 1 EMPTY, 1 COPIED_SOURCE, 1 written before)"


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        pytest.param({"min_probability": 0.2}, "p(x | y) below 0.2", id="probability"),
        pytest.param({"round_trip": True}, "does not come back", id="round trip"),
    ],
)
def test_a_source_that_does_not_lead_back_is_out(taught_policy: Any, filters: dict[str, Any], reason: str) -> None:
    """The policy knows ethanol; of a molecule that it never saw it makes something else."""
    known, unknown = pairs_of(taught_policy, ["CCO", "CCOC(=O)c1ccncc1"], **filters)
    assert known.reason == KEPT
    assert unknown.reason == reason
    if "round_trip" in filters:
        assert (known.reconstruction, known.nats) == ("CCO", None)
        assert unknown.reconstruction != "CCOC(=O)c1ccncc1"
    else:
        assert known.nats is not None and unknown.nats is not None and known.nats > -1.61 > unknown.nats


def test_the_judge_is_gathered_where_no_pair_is_left_to_judge(
    taught_policy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several processes one may have none in its share, and the others would wait for its part of the weights."""
    from rtrl_chem.models.codec import Answer
    from rtrl_chem.models.snapshot import ModuleSnapshot
    from rtrl_chem.training import synthetic

    gathered: list[str] = []

    @contextmanager
    def whole(self: ModuleSnapshot) -> Iterator[None]:
        gathered.append("once")
        yield

    monkeypatch.setattr(ModuleSnapshot, "whole", whole)
    monkeypatch.setattr(synthetic, "generate", lambda *_, **__: [[Answer("", "", 1, truncated=False)]])
    [made] = pairs_of(taught_policy, ["CCO"], min_probability=0.5)
    assert made.reason == "EMPTY"
    assert gathered == ["once"]


def test_every_pair_is_written_with_its_reason(tmp_path: Path) -> None:
    made = [
        Made(REVERSE, "ethanol", "CCO", "policy, temperature 1", Verdict.OK, nats=-0.5),
        Made(REVERSE, "", "CCC", "policy, temperature 1", Verdict.EMPTY, reason="EMPTY"),
        Made(REVERSE, "methane", "C", "data.pairs"),
    ]
    write_made(tmp_path / "synthetic.parquet", made)
    rows = pq.read_table(tmp_path / "synthetic.parquet").to_pylist()
    assert [(row["source"], row["answer"], row["made_by"], row["verdict"], row["reason"]) for row in rows] == [
        ("ethanol", "CCO", "policy, temperature 1", "OK", KEPT),
        ("", "CCC", "policy, temperature 1", "EMPTY", "EMPTY"),
        ("methane", "C", "data.pairs", None, KEPT),
    ]
