"""The figures that the reference scripts print for released predictions, to the last digit."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtrl_chem.evaluation.metrics import reactions, wordnet
from rtrl_chem.evaluation.metrics.dialects import load_dialect, rxn
from rtrl_chem.evaluation.metrics.dialects.report import Settings
from rtrl_chem.evaluation.metrics.score import Unavailable
from rtrl_chem.evaluation.predictions import read_saved
from rtrl_chem.evaluation.scoring import infer_direction
from rtrl_chem.tasks import TASKS, Direction

MOLECULES = "molt5-large-caption2smiles-public.tsv"
CAPTIONS = "molt5-large-smiles2caption-public.tsv"
REACTIONS = "uspto50k_top5.jsonl"


@pytest.fixture(scope="module")
def golden(shared_data: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((shared_data / "golden" / "golden.json").read_text(encoding="utf-8"))
    return content


def reproduced(shared_data: Path, file: str, task: str, dialect: str, fcd: bool = False) -> dict[str, Any]:
    predictions = read_saved(shared_data / "golden" / file)
    direction = infer_direction(TASKS[task], predictions)
    vocabulary = shared_data / "golden" / "scibert_vocab.txt"
    settings = Settings(vocabulary=vocabulary, fcd=fcd)
    return dict(load_dialect(dialect).report(predictions, TASKS[task], direction, settings).values)


@pytest.mark.parametrize(
    ("file", "task", "dialect"),
    [
        pytest.param(MOLECULES, "captioning", "molt5", id="molecules as MolT5"),
        pytest.param(MOLECULES, "captioning", "smolinstruct", id="molecules as SMolInstruct"),
        pytest.param(REACTIONS, "reaction", "smolinstruct", id="reactants as SMolInstruct"),
    ],
)
def test_figures(shared_data: Path, golden: dict[str, Any], file: str, task: str, dialect: str) -> None:
    wanted = {name: value for name, value in golden[file][dialect].items() if name != "fcd"}
    found = reproduced(shared_data, file, task, dialect)
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=1e-5, rel=0)


def test_caption_figures(shared_data: Path, golden: dict[str, Any]) -> None:
    for package in ("nltk", "rouge_score"):
        pytest.importorskip(package)
    try:
        version = wordnet.load().version
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert version == "3.0"
    wanted = golden[CAPTIONS]["molt5"]
    found = reproduced(shared_data, CAPTIONS, "captioning", "molt5")
    assert found == pytest.approx(wanted, abs=1e-5, rel=0)


@pytest.mark.slow
def test_frechet_distance(shared_data: Path, golden: dict[str, Any]) -> None:
    if find_spec("fcd") is None:
        pytest.skip("the package fcd is not installed")
    found = reproduced(shared_data, MOLECULES, "captioning", "molt5", fcd=True)
    assert found["fcd"] == pytest.approx(golden[MOLECULES]["molt5"]["fcd"], abs=1e-2)


def test_top_k_of_reactants(shared_data: Path, golden: dict[str, Any]) -> None:
    wanted = golden[REACTIONS]["canonical isomeric SMILES, whole answer"]
    rows = read_saved(shared_data / "golden" / REACTIONS).rows
    right = reactions.hits([row.outputs for row in rows], [row.target or "" for row in rows], 5, "isomeric")
    found = {score.name: float(score.items.mean()) for score in reactions.ranked_scores(right)}
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=1e-12)


def test_round_trips_by_hand(shared_data: Path, golden: dict[str, Any], tmp_path: Path) -> None:
    case = golden["rxn, by hand"]
    truth, predictions = case["ground truth"], case["predictions, two each"]
    assert rxn.round_trip_accuracy(truth, predictions) == pytest.approx(case["round_trip_accuracy"], abs=1e-12)
    assert rxn.coverage(truth, predictions) == pytest.approx(case["coverage"], abs=1e-12)
    rows = [
        {"source": x, "target": "C.O", "outputs": ["C.O", "N.O"], "reconstructions": predictions[2 * i : 2 * i + 2]}
        for i, x in enumerate(truth)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    saved = read_saved(tmp_path / "rows.jsonl")
    values = rxn.report(saved, TASKS["reaction"], Direction.REVERSE, Settings()).values
    assert values["round_trip_accuracy"] == pytest.approx(case["round_trip_accuracy"], abs=1e-12)
    assert np.isclose(values["coverage"]["2"], case["coverage"]["2"])
