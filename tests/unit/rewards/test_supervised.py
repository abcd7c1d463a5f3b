"""Outputs against their labels."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rtrl_chem.chem import tanimoto
from rtrl_chem.errors import RewardError
from rtrl_chem.evaluation.metrics import captions
from rtrl_chem.prose import rouge
from rtrl_chem.rewards.options import SupervisedReward
from rtrl_chem.rewards.supervised import Supervised

LABEL, NEAR = "The molecule is a carboxylic acid.", "The molecule is an acid."


def values_of(
    make_batch: Any, task: str, direction: str, outputs: list[str], targets: list[str], **options: Any
) -> Any:
    batch = make_batch(["x"] * len(outputs), outputs, targets, task=task, direction=direction)
    return Supervised(SupervisedReward(**options))(batch)


@pytest.mark.parametrize(
    ("task", "direction", "output", "target", "options", "expected"),
    [
        pytest.param("naming", "forward", "ethanol", "ethanol", {}, 1.0, id="the name"),
        pytest.param("naming", "forward", "ethanal", "ethanol", {}, 0.0, id="another name"),
        pytest.param("naming", "forward", "ethanal", "ethanol", {"phrase": "edit"}, 6 / 7, id="one letter of seven"),
        pytest.param("naming", "reverse", "OCC", "CCO", {}, 1.0, id="the molecule, respelt"),
        pytest.param("naming", "reverse", "CCN", "CCO", {}, 0.0, id="another molecule"),
        pytest.param("reaction", "reverse", "CCO.CC(=O)O", "CC(O)=O.OCC", {}, 1.0, id="a set of reactants"),
        pytest.param("reaction", "reverse", "CCO.CCO", "CCO", {}, 0.0, id="one too many"),
        pytest.param("reaction", "reverse", "CCO.CCO", "CCO", {"equality": "inchi_set"}, 1.0, id="a lenient equality"),
        pytest.param("captioning", "forward", LABEL, LABEL, {}, 1.0, id="the caption"),
        pytest.param("captioning", "forward", LABEL, LABEL, {"prose": "bleu4"}, 1.0, id="the caption, BLEU"),
        pytest.param("captioning", "forward", "nothing alike", LABEL, {}, 0.0, id="another caption"),
        # The longest common subsequence is the, molecule, is, acid: P = 4/5, R = 4/6.
        pytest.param("captioning", "forward", NEAR, LABEL, {}, 8 / 11, id="ROUGE-L by hand"),
        # 5 of 6 words (with the full stop), 2 of 5 pairs + "acid .": BP = exp(1 - 7/6).
        pytest.param(
            "captioning",
            "forward",
            NEAR,
            LABEL,
            {"prose": "bleu2"},
            (5 / 6 * 3 / 5) ** 0.5 * math.exp(1 - 7 / 6),
            id="BLEU-2 by hand",
        ),
    ],
)
def test_by_hand(
    make_batch: Any, task: str, direction: str, output: str, target: str, options: Any, expected: float
) -> None:
    assert values_of(make_batch, task, direction, [output], [target], **options) == [pytest.approx(expected)]


def test_similarity_of_structures(make_batch: Any) -> None:
    [like] = tanimoto([("CCN", "CCO")], "morgan")
    found = values_of(make_batch, "naming", "reverse", ["CCN", "CCO"], ["CCO", "CCO"], similarity="morgan")
    assert found == [pytest.approx((like or 0) / 2), 1.0]


@pytest.mark.parametrize("measure", ["rougeL", "rouge1", "rouge2", "bleu2", "bleu4"])
def test_a_caption_is_scored_as_the_metrics_score_it(make_batch: Any, measure: Any) -> None:
    rows = captions.statistics([NEAR], [LABEL], captions.Reading(missing=(("meteor", ""),)))
    [expected] = [s.items[0] for s in captions.scores(rows, captions.Reading()) if s.name == measure]
    assert values_of(make_batch, "captioning", "forward", [NEAR], [LABEL], prose=measure) == [expected]


def test_rouge_that_is_not_installed_is_one_line(make_batch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rouge, "find_spec", lambda name: None)
    assert values_of(make_batch, "captioning", "forward", [LABEL], [LABEL], prose="bleu4") == [1.0]
    with pytest.raises(RewardError, match=r"pip install 'rtrl-chem\[metrics\]'"):
        values_of(make_batch, "captioning", "forward", [LABEL], [LABEL])
