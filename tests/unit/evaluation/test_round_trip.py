"""The round trip with a model made of two dictionaries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rtrl_chem.errors import RtrlError
from rtrl_chem.evaluation import round_trip as evaluation
from rtrl_chem.evaluation.files import Prediction, read_predictions
from rtrl_chem.evaluation.held_out import HeldOut, Item
from rtrl_chem.evaluation.referee import Referee, opsin_referee
from rtrl_chem.evaluation.round_trip import evaluate, round_trip
from rtrl_chem.rewards.verdict import Verdict
from rtrl_chem.tasks import Direction, Task

from .conftest import FakeLikelihood, FakeModel, make_config, make_policy

FORWARD, REVERSE = Direction.FORWARD, Direction.REVERSE
MODEL_NAMES = {"CCO": "ethanol", "OCC": "ethanol", "CCC": "propan", "C": "methane", "CCN": "CCN"}
MODEL_STRUCTURES = {"ethanol": "OCC", "propan": "CCCC", "methane": "C(", "propane": "CCC", "CCN": "NCC"}
ITEMS = tuple(Item(x, y) for x, y in [("CCO", "ethanol"), ("CCC", "propane"), ("C", "methane"), ("CCN", "ethanamine")])
HELD_OUT = HeldOut((*ITEMS, Item("CCCC", "butane")), tuple(Item(i.target or "", i.source) for i in ITEMS[:2]), "")


def make_model() -> FakeModel:
    return FakeModel(MODEL_NAMES, MODEL_STRUCTURES, truncated=frozenset({"propan"}))


def read_name(names: list[str]) -> list[str | None]:
    return [{"ethanol": "CCO", "methane": "C", "propan": "C"}.get(name) for name in names]


def test_each_item_becomes_a_line(naming: Task) -> None:
    assert round_trip(naming, FORWARD, HELD_OUT.forward, make_model()) == [
        Prediction("CCO", "ethanol", "OCC", "ethanol", Verdict.OK, truncated=False),
        Prediction("CCC", "propan", "CCCC", "propane", Verdict.TRUNCATED, truncated=True),
        Prediction("C", "methane", "C(", "methane", Verdict.OK, truncated=False),
        Prediction("CCN", "CCN", "NCC", "ethanamine", Verdict.COPIED_SOURCE, truncated=False),
        Prediction("CCCC", "", "", "butane", Verdict.EMPTY, truncated=False),
    ]


def test_likelihood_goes_with_each_line(naming: Task) -> None:
    likelihood, seen = FakeLikelihood(), []
    found = round_trip(naming, FORWARD, HELD_OUT.forward, make_model(), lambda *report: seen.append(report), likelihood)
    assert [(p.nats, p.tokens) for p in found] == [(-3, 3), (-3, 3), (-1, 1), (-3, 3), (-8, 4)]
    [(direction, sources, outputs)] = likelihood.asked
    assert (direction, sources) == (FORWARD, [item.source for item in HELD_OUT.forward])
    assert outputs == ["ethanol", "propan", "methane", "CCN", ""], "an empty output is scored like any other"
    assert seen[-2:] == [("forward: log p(molecule | name)", 0, 5), ("forward: log p(molecule | name)", 5, 5)]


def test_equal_sources_are_asked_once_and_empty_outputs_never(naming: Task) -> None:
    model = make_model()
    found = round_trip(naming, FORWARD, [Item("CCO", "a"), Item("CCCC"), Item("CCO", "b")], model)
    assert model.asked == [(FORWARD, ["CCO", "CCCC"]), (REVERSE, ["ethanol"])]
    assert [(p.output, p.target) for p in found] == [("ethanol", "a"), ("", None), ("ethanol", "b")]


def test_model_that_writes_nothing_is_measured(naming: Task) -> None:
    model = FakeModel({}, {})
    found = round_trip(naming, FORWARD, ITEMS, model)
    assert {p.verdict for p in found} == {Verdict.EMPTY}
    assert len(model.asked) == 1


def test_values_have_all_rows_as_denominator(naming: Task, tmp_path: Path) -> None:
    found = evaluate(
        make_policy(naming),
        make_config(),
        HELD_OUT,
        tmp_path,
        generate=make_model(),
        likelihood=FakeLikelihood(),
        referee=Referee(read_name),
    )
    values = {name: value.value for name, value in found[FORWARD].values.items()}
    assert values == pytest.approx(
        {
            "rtc": 2 / 5,
            "rtc_isomeric": 2 / 5,
            "rtc_stereo_free": 2 / 5,
            "rtc_inchi": 2 / 5,
            "rtc_inchi_set": 2 / 5,
            "log_p": -18 / 5,
            "log_p_per_token": -6 / 5,
            "similarity": values["similarity"],
            "exact_match": 2 / 5,
            "referee": 2 / 5,
            "leak_rate": 1 / 5,
            "copy_rate": 1 / 5,
            "empty_rate": 1 / 5,
            "truncated_rate": 1 / 5,
        }
    )
    assert 2 / 5 < values["similarity"] < 3 / 5  # two right, one near, two 0
    assert {value.n for value in found[FORWARD].values.values()} == {5}
    assert found[FORWARD].not_applicable == {"validity": "outputs are text"}


def test_reverse_direction_has_its_own_metrics(naming: Task, tmp_path: Path) -> None:
    options = {"generate": make_model(), "likelihood": FakeLikelihood()}
    found = evaluate(make_policy(naming), make_config(), HELD_OUT, tmp_path, **options)[REVERSE]
    assert {name: value.value for name, value in found.values.items()} == {
        "rtc": 0.5,  # ethanol comes back, though through another spelling; propane comes back as "propan"
        "log_p": -7.0,
        "log_p_per_token": -1.0,
        "exact_match": 1.0,
        "validity": 1.0,
        "leak_rate": 0.0,
        "copy_rate": 0.0,
        "empty_rate": 0.0,
        "truncated_rate": 0.0,
    }
    assert {name for name in found.not_applicable if not name.startswith("rtc_")} == {"similarity", "referee"}


def test_files_hold_what_was_measured(naming: Task, tmp_path: Path) -> None:
    found = evaluate(
        make_policy(naming), make_config(), HELD_OUT, tmp_path, generate=make_model(), referee=Referee(read_name)
    )
    rows = read_predictions(tmp_path / "forward" / "predictions.jsonl")
    record = json.loads((tmp_path / "forward" / "metrics.json").read_text())
    assert [p.referee for p in rows] == [True, False, True, False, False]
    assert record["metrics"]["rtc"]["value"] == found[FORWARD].values["rtc"].value
    assert record["metrics"]["validity"] is None
    assert record["not_applicable"] == {"validity": "outputs are text"}
    assert (record["n"], record["direction"], record["denominator"]) == (5, "forward", "all rows")
    assert sorted(p.name for p in tmp_path.rglob("*.*")) == ["metrics.json"] * 2 + ["predictions.jsonl"] * 2


def fail(names: list[str]) -> list[str | None]:
    raise RtrlError("Java went away")


@pytest.mark.parametrize(
    ("referee", "reason"),
    [
        pytest.param(opsin_referee(False), "evaluation.referee is off", id="off"),
        pytest.param(Referee(None, "OPSIN not installed"), "OPSIN not installed", id="absent"),
        pytest.param(Referee(fail), "Java went away", id="failed"),
    ],
)
def test_missing_referee_is_one_metric_less(naming: Task, tmp_path: Path, referee: Referee, reason: str) -> None:
    options = {"generate": make_model(), "likelihood": FakeLikelihood(), "referee": referee}
    found = evaluate(make_policy(naming), make_config(), HELD_OUT, tmp_path, **options)
    assert found[FORWARD].not_measured == {"referee": reason}
    assert "rtc" in found[FORWARD].values
    assert {p.referee for p in read_predictions(tmp_path / "forward" / "predictions.jsonl")} == {None}


def test_direction_without_items_is_left_out(naming: Task, tmp_path: Path) -> None:
    held_out = HeldOut((Item("CCO"),), (), "")
    found = evaluate(make_policy(naming), make_config(), held_out, tmp_path, generate=make_model())
    assert list(found) == [FORWARD]
    assert not (tmp_path / "reverse").exists()
    assert found[FORWARD].not_measured["exact_match"] == "no labels: give evaluation.pairs"


def test_reactions_are_compared_as_sets_of_molecules(reaction: Task, tmp_path: Path) -> None:
    model = FakeModel({"CCO.CC(=O)O": "CCOC(C)=O", "CC(=O)O.OCC": "CCOC(C)=O"}, {"CCOC(C)=O": "CC(=O)O.OCC"})
    held_out = HeldOut((Item("CCO.CC(=O)O", "CC(=O)OCC"),), (Item("CCOC(C)=O", "CCO.CC(=O)O"),), "")
    found = evaluate(make_policy(reaction), make_config(), held_out, tmp_path, generate=model)
    for direction in Direction:
        values = [found[direction].values[name].value for name in ("rtc", "exact_match", "validity")]
        assert values == [1.0, 1.0, 1.0]


def test_only_the_main_process_writes(naming: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "is_main_process", lambda: False)
    model = make_model()
    assert evaluate(make_policy(naming), make_config(), HELD_OUT, tmp_path, generate=model) == {}
    assert len(model.asked) == 4
    assert not list(tmp_path.iterdir())


def test_progress_covers_both_legs(naming: Task) -> None:
    seen: list[tuple[str, int, int]] = []
    round_trip(naming, FORWARD, ITEMS, make_model(), lambda *report: seen.append(report))
    assert seen == [
        ("forward: molecule -> name", 0, 4),
        ("forward: molecule -> name", 4, 4),
        ("reverse: name -> molecule", 0, 4),
        ("reverse: name -> molecule", 4, 4),
    ]
