"""Saved predictions to numbers: which metrics apply, over how many rows, and the same by an independent count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rdkit import Chem, rdBase

from rtrl_chem.evaluation.metrics.dialects import DIALECTS, load_dialect
from rtrl_chem.evaluation.metrics.dialects.report import Settings
from rtrl_chem.evaluation.predictions import SavedPredictions, read_saved
from rtrl_chem.evaluation.scoring import Measured, Options, infer_direction, score_saved
from rtrl_chem.tasks import TASKS, Direction

OPTIONS = Options(resamples=50, opsin=False)
NASTY = [
    "",
    "CCO and prose",
    "*",
    "[CH3:1][OH:2]",
    "[Na+].[Cl-]",
    "CC(=O)[O-]",
    "C[C@@H](N)O",
    "C" * 10_000,
    "c1ccccc",
    "C\nO",
    "\ud800",
    "β-alanine",
    "..",
    "\0",
    "[H][H]",
    "(" * 5_000,
]


def saved(tmp_path: Path, rows: list[dict[str, Any]]) -> SavedPredictions:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_saved(path)


def measured(tmp_path: Path, task: str, direction: Direction, rows: list[dict[str, Any]]) -> Measured:
    return score_saved(saved(tmp_path, rows), TASKS[task], direction, OPTIONS)


ROUTES = [
    pytest.param("naming", Direction.FORWARD, "CCO", "ethanol", id="names"),
    pytest.param("naming", Direction.REVERSE, "ethanol", "CCO", id="molecules"),
    pytest.param("captioning", Direction.FORWARD, "CCO", "It is an alcohol.", id="descriptions"),
    pytest.param("reaction", Direction.REVERSE, "CCOC(C)=O", "CCO.CC(=O)O", id="reactants"),
    pytest.param("reaction", Direction.FORWARD, "CCO.CC(=O)O", "CCOC(C)=O", id="products"),
]


@pytest.mark.parametrize(("task", "direction", "source", "target"), ROUTES)
def test_every_metric_answers_for_nasty_rows(
    tmp_path: Path, task: str, direction: Direction, source: str, target: str
) -> None:
    rows: list[dict[str, Any]] = [
        {"source": source, "target": target, "outputs": [nasty, target], "reconstructions": [source, nasty]}
        for nasty in NASTY
    ]
    found = measured(tmp_path, task, direction, rows)
    assert found.rows == {"rows_in": len(NASTY), "scored": len(NASTY), "empty": 1, "set_aside": {}}
    assert all(one.low is not None and one.low <= one.value <= one.high for one in found.metrics.values() if one.high)
    all_rows = [one for one in found.metrics.values() if one.denominator.startswith("all rows")]
    assert {one.n for one in all_rows} == {len(NASTY)}
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects_answer_for_nasty_rows(tmp_path: Path, dialect: str) -> None:
    rows = saved(tmp_path, [{"source": "CCO", "target": "CCO.O", "outputs": [nasty, "CCO"]} for nasty in NASTY])
    report = load_dialect(dialect).report(rows, TASKS["reaction"], Direction.REVERSE, Settings(fcd=False))
    assert report.values
    json.dumps(report.values, allow_nan=False)  # raises where a value is no number


def test_nasty_targets_are_wrong_and_not_a_crash(tmp_path: Path) -> None:
    rows = [{"source": "ethanol", "target": nasty, "output": "CCO"} for nasty in NASTY]
    found = measured(tmp_path, "naming", Direction.REVERSE, rows)
    assert found.metrics["exact_isomeric"].value == 0
    for dialect in DIALECTS:
        load_dialect(dialect).report(saved(tmp_path, rows), TASKS["naming"], Direction.REVERSE, Settings(fcd=False))


@pytest.mark.parametrize(("task", "direction", "source", "target"), ROUTES)
def test_direction_is_told_by_the_rows(
    tmp_path: Path, task: str, direction: Direction, source: str, target: str
) -> None:
    rows = saved(tmp_path, [{"source": source, "target": target, "output": ""}])
    assert infer_direction(TASKS[task], rows) is direction


def test_rows_without_targets_have_their_round_trip(tmp_path: Path) -> None:
    rows = [{"source": "CCO", "output": "ethanol", "reconstruction": x_hat} for x_hat in ("OCC", "CCN", "")]
    found = measured(tmp_path, "naming", Direction.FORWARD, rows)
    assert found.metrics["rtc"].value == pytest.approx(1 / 3)
    assert "rows have no target" in found.not_measured.values()


def test_what_only_the_asker_can_tell_is_measured_where_it_is_told(tmp_path: Path) -> None:
    told = [
        {"source": "CCO", "output": "a", "nats": -3.0, "tokens": 3, "truncated": True},
        {"source": "CCN", "output": "b", "nats": -1.0, "tokens": 2, "truncated": False},
    ]
    found = measured(tmp_path, "naming", Direction.FORWARD, told).metrics
    assert {name: found[name].value for name in ("log_p", "log_p_per_token", "truncated_rate")} == {
        "log_p": -2.0,
        "log_p_per_token": -0.75,
        "truncated_rate": 0.5,
    }
    assert {found[name].n for name in ("log_p", "truncated_rate")} == {2}
    silent = [*told, {"source": "CCC", "output": "c"}]
    found, reasons = (lambda m: (m.metrics, m.not_measured))(measured(tmp_path, "naming", Direction.FORWARD, silent))
    for name in ("log_p", "log_p_per_token", "truncated_rate"):
        assert name not in found, "a mean over some rows is not one over all"
        assert reasons[name].startswith("not known: 1 of 3 rows")


@pytest.mark.parametrize("task", ["naming", "captioning"])
def test_without_sources_nothing_is_said_of_them(tmp_path: Path, task: str) -> None:
    rows = [{"target": "CCO", "output": "OCC", "reconstruction": "ethanol"}]
    assert infer_direction(TASKS[task], saved(tmp_path, rows)) is Direction.REVERSE
    found = measured(tmp_path, task, Direction.REVERSE, rows)
    assert not {"rtc", "leak_rate", "copy_rate"} & set(found.metrics)
    assert found.not_measured["everything against a source"] == "not known: rows have no source"
    assert found.metrics["exact_isomeric"].value == 1


def test_every_equality_has_its_round_trip(tmp_path: Path) -> None:
    rows = [
        {"source": x, "output": "n", "reconstruction": x_hat} for x, x_hat in [("C[C@H](N)O", "CC(N)O"), ("C.C", "C")]
    ]
    found = measured(tmp_path, "naming", Direction.FORWARD, rows).metrics
    values = {name: one.value for name, one in found.items() if name.startswith("rtc_")}
    assert values == {"rtc_isomeric": 0, "rtc_stereo_free": 0.5, "rtc_inchi": 0, "rtc_inchi_set": 0.5}


def test_what_is_missing_has_its_reason(tmp_path: Path) -> None:
    found = measured(tmp_path, "reaction", Direction.REVERSE, [{"source": "CCO", "target": "CC.O", "output": "CC.O"}])
    assert {"top3", "rtc", "coverage", "class_diversity", "fcd"} <= set(found.not_measured)
    assert found.metrics["top1"].value == 1.0


def test_two_processes_find_the_same(tmp_path: Path) -> None:
    rows = saved(tmp_path, [{"source": "a", "target": "CCO", "outputs": ["OCC", "C" * (i % 9)]} for i in range(600)])
    one, two = (
        score_saved(rows, TASKS["naming"], Direction.REVERSE, Options(resamples=20, processes=processes))
        for processes in (1, 2)
    )
    assert one == two


def test_the_same_numbers_by_an_independent_count(shared_data: Path) -> None:
    path = shared_data / "golden" / "uspto50k_top5.jsonl"
    found = score_saved(read_saved(path), TASKS["reaction"], Direction.REVERSE, OPTIONS).metrics

    def canonical(smiles: str) -> str | None:
        mol = Chem.MolFromSmiles(smiles) if smiles else None
        return Chem.MolToSmiles(mol) if mol else None

    hits, ranks, valid = [0] * 5, 0.0, 0
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    with rdBase.BlockLogs():
        for row in rows:
            target, outputs = canonical(row["target"]), [canonical(output) for output in row["outputs"]]
            valid += outputs[0] is not None
            if target in outputs:
                first = outputs.index(target)
                ranks += 1 / (first + 1)
                hits = [count + (first <= k) for k, count in enumerate(hits)]
    wanted = {"top1": hits[0], "top3": hits[2], "top5": hits[4], "mrr": ranks, "validity": valid}
    assert {name: found[name].value * len(rows) for name in wanted} == pytest.approx(wanted)
