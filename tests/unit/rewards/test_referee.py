"""Someone else's word on y."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rtrl_chem.chem import Opsin
from rtrl_chem.config import config_from_mapping
from rtrl_chem.rewards import referee as module
from rtrl_chem.rewards.options import RefereeReward
from rtrl_chem.rewards.referee import referee

NAMES = {"ethanol": "CCO", "ethyl alcohol": "CCO", "propane": "CCC", "L-alanine": "C[C@H](N)C(=O)O"}


class Reads:
    def read(self, names: Sequence[str]) -> list[str | None]:
        return [NAMES.get(name) for name in names]


@pytest.fixture
def opsin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.chem, "Opsin", Reads)


@pytest.mark.usefixtures("opsin")
@pytest.mark.parametrize(
    ("direction", "source", "output", "expected"),
    [
        pytest.param("forward", "CCO", "ethanol", 1.0, id="a right name"),
        pytest.param("forward", "CCO", "ethyl alcohol", 1.0, id="another right name"),
        pytest.param("forward", "CCO", "propane", 0.0, id="a wrong name"),
        pytest.param("forward", "CCO", "gibberish", 0.0, id="no name"),
        pytest.param("forward", "C[C@@H](N)C(=O)O", "L-alanine", 0.0, id="the mirror image"),
        pytest.param("reverse", "ethanol", "OCC", 1.0, id="the molecule of a name"),
        pytest.param("reverse", "ethanol", "CCC", 0.0, id="another molecule"),
        pytest.param("reverse", "gibberish", "CCC", None, id="a source that nobody can read is left out"),
    ],
)
def test_opsin_reads_the_name_on_either_side(
    make_batch: Any, direction: str, source: str, output: str, expected: float | None
) -> None:
    assert referee(RefereeReward())(make_batch([source], [output], direction=direction)) == [expected]


@pytest.mark.skipif(not Opsin.available(), reason="OPSIN needs Java and py2opsin")
def test_opsin_itself(make_batch: Any) -> None:
    batch = make_batch(["CCO", "CC(=O)Oc1ccccc1C(=O)O", "C"], ["ethanol", "2-acetyloxybenzoic acid", "ethane"])
    assert referee(RefereeReward())(batch) == [1.0, 1.0, 0.0]


def test_another_model_is_asked_as_the_likelihood_is(
    taught_policy: Any, model_folder: Path, make_batch: Any, make_reverse: Any
) -> None:
    raw = {
        "task": "naming",
        "model": {"path": "x"},
        "data": {"molecules": "x"},
        "output_dir": "x",
        "rewards": {"referee": {"model": {"path": str(model_folder), "prompt_style": "compact"}}},
    }
    term = referee(config_from_mapping(raw).rewards["referee"])
    own = make_reverse(taught_policy)  # only its batch size is used
    batch = make_batch(["CCO", "CCC"], ["ethanol", "ethanol"], reverse=own)
    expected = [
        math.exp(score.nats) for score in make_reverse(taught_policy).log_likelihood(["CCO", "CCC"], ["ethanol"] * 2)
    ]
    assert term(batch) == pytest.approx(expected, rel=1e-4)
    assert own.scored == 0
    assert term.floor == 0.0
