"""The quirks of the reference scripts, one by one; their figures as a whole are among the golden ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rtrl_chem.errors import ConfigError
from rtrl_chem.evaluation.metrics.dialects import DIALECTS, load_dialect, rxn, smolinstruct
from rtrl_chem.evaluation.metrics.dialects.report import Settings
from rtrl_chem.evaluation.predictions import SavedPredictions, read_saved
from rtrl_chem.tasks import TASKS, Direction

SETTINGS = Settings(fcd=False)


def saved(tmp_path: Path, *rows: dict[str, Any]) -> SavedPredictions:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"source": "x"} | row) + "\n" for row in rows), encoding="utf-8")
    return read_saved(path)


def values(dialect: str, predictions: SavedPredictions, task: str = "captioning") -> dict[str, Any]:
    report = load_dialect(dialect).report(predictions, TASKS[task], Direction.REVERSE, SETTINGS)
    return dict(report.values)


@pytest.mark.parametrize(
    ("output", "target", "name", "expected"),
    [
        pytest.param("Oc1ccccn1", "O=c1cccc[nH]1", "exact_match", 1.0, id="tautomers are equal"),
        pytest.param("*CO", "*CCN", "exact_match", 1.0, id="no InChI equals no InChI"),
        pytest.param("", "CCO", "validity", 1.0, id="empty is valid"),
        pytest.param("CCO and prose", "CCO", "validity", 1.0, id="prose is a title"),
        pytest.param("C(", "CCO", "validity", 0.0, id="invalid"),
        pytest.param("C" * 10_000, "CCO", "validity", 0.0, id="too long to be tried"),
        pytest.param("OCC", "CCO", "maccs", 1.0, id="similarity of valid rows"),
    ],
)
def test_molt5_on_one_molecule(tmp_path: Path, output: str, target: str, name: str, expected: float) -> None:
    assert values("molt5", saved(tmp_path, {"output": output, "target": target}))[name] == expected


def test_molt5_similarity_is_over_valid_rows_only(tmp_path: Path) -> None:
    rows = saved(tmp_path, {"output": "CCO", "target": "CCO"}, {"output": "C(", "target": "CCO"})
    found = values("molt5", rows)
    assert (found["maccs"], found["validity"]) == (1.0, 0.5)
    for dialect, metric in (("molt5", "maccs"), ("smolinstruct", "t1_maccs_fps")):
        invalid = saved(tmp_path, {"output": "C(", "target": "CCO"})
        report = load_dialect(dialect).report(invalid, TASKS["captioning"], Direction.REVERSE, SETTINGS)
        assert report.values[metric] is None and "output is valid" in report.not_measured[metric]


@pytest.mark.parametrize(
    ("smiles", "same_as"),
    [
        pytest.param("CCO and prose", "CCO", id="text behind white space"),
        pytest.param("O;CC", "CC.O", id="semicolon"),
        pytest.param("[CH3:1]C", "CC", id="atom map"),
        pytest.param("[13CH4]", "C", id="isotope"),
        pytest.param("[CH2]C", "CC", id="radical"),
        pytest.param("C[S@@](=O)CC", "C[S@](=O)CC", id="stereo of a sulfoxide"),
    ],
)
def test_smolinstruct_takes_for_the_same(smiles: str, same_as: str) -> None:
    assert smolinstruct.rewrite(smiles) == smolinstruct.rewrite(same_as) is not None


@pytest.mark.parametrize("smiles", ["CC..O", "CC.", "C(", "", "C" * 10_000])
def test_smolinstruct_calls_invalid(smiles: str) -> None:
    assert smolinstruct.rewrite(smiles) is None


def test_smolinstruct_keeps_other_stereo() -> None:
    assert smolinstruct.rewrite("C[C@H](N)O") != smolinstruct.rewrite("C[C@@H](N)O")
    assert smolinstruct.rewrite("C/C=C/C") != smolinstruct.rewrite("C/C=C\\C")


def test_smolinstruct_counts_by_rank(tmp_path: Path) -> None:
    rows = saved(
        tmp_path,
        {"outputs": ["", "C("], "target": "CCO.O"},
        {"outputs": ["C(", "O(", "O.OCC"], "target": "CCO.O"},
        {"outputs": ["CCO.O.O"], "target": "CCO.O"},
        {"outputs": ["CCO.N"], "target": "CCO.O"},
    )
    found = values("smolinstruct", rows, "reaction")
    assert (found["num_all"], found["num_t1_no_answer"], found["num_t2_no_answer"]) == (4, 1, 0)
    assert (found["num_t1_invalid"], found["num_t2_invalid"], found["num_t3_invalid"]) == (1, 1, 0)
    assert (found["num_t1_exact_match"], found["num_t3_exact_match"]) == (1, 2)
    assert (found["num_t1_subset"], found["num_t1_intersection"]) == (2, 2)


def test_smolinstruct_names_match_in_parts(tmp_path: Path) -> None:
    predictions = saved(tmp_path, {"output": "azane;methane", "target": "methane;azane"}, {"output": "", "target": "a"})
    report = smolinstruct.report(predictions, TASKS["naming"], Direction.FORWARD, SETTINGS)
    assert report.values == {"num_all": 2, "num_t1_no_answer": 1, "num_t1_split_match": 1}


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([{"output": "CCN", "target": ["CCO.O", "CCN"]}], id="a row with several"),
        pytest.param([{"output": "CCN", "target": "CCO.O"}, {"output": "", "target": "CCN"}], id="rows of one source"),
    ],
)
def test_smolinstruct_takes_every_target_of_a_source(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    found = values("smolinstruct", saved(tmp_path, *rows), "reaction")
    assert (found["num_t1_exact_match"], found["num_t1_intersection"], found["t1_maccs_fps"]) == (1, 1, 1.0)
    apart = [row | {"source": f"source {i}"} for i, row in enumerate(rows)]
    if len(rows) > 1:
        assert values("smolinstruct", saved(tmp_path, *apart), "reaction")["num_t1_exact_match"] == 0


def test_smolinstruct_takes_every_name_of_a_source(tmp_path: Path) -> None:
    predictions = saved(tmp_path, {"output": "b", "target": ["a", " b "]}, {"output": "c", "target": "a"})
    report = smolinstruct.report(predictions, TASKS["naming"], Direction.FORWARD, SETTINGS)
    assert report.values["num_t1_split_match"] == 1


def test_rxn_without_forward_predictions_says_so(tmp_path: Path) -> None:
    predictions = saved(tmp_path, {"outputs": ["O.CCO", "CCO.O"], "target": "CCO.O"})
    report = rxn.report(predictions, TASKS["reaction"], Direction.REVERSE, SETTINGS)
    assert report.values["top_n_accuracy"] == {"1": 1.0, "2": 1.0}
    assert report.values["coverage"] is None
    assert "reconstructions" in report.not_measured["coverage"]


@pytest.mark.parametrize(
    ("predictions", "classes", "expected"),
    [
        pytest.param("AABBC0", ["1.1", "1.1", "2.2", "1.1", "3.3", "2.2"], {"1": 1.0, "2": 4 / 3}, id="right ones"),
        pytest.param("010BC0", ["1.1", "1.1", "2.2", "1.1", "", "2.2"], {"1": 0.0, "2": 1 / 3}, id="without a class"),
    ],
)
def test_rxn_class_diversity(predictions: str, classes: list[str], expected: dict[str, float]) -> None:
    pairs = [classes[i : i + 2] for i in (0, 2, 4)]
    assert rxn.class_diversity(list("ABC"), list(predictions), pairs) == pytest.approx(expected)


def test_rxn_needs_as_many_predictions_for_each() -> None:
    with pytest.raises(ValueError, match="no multiple"):
        rxn.coverage(["A", "B"], ["A", "B", "C"])


@pytest.mark.parametrize(
    ("dialect", "task"),
    [pytest.param("molt5", "naming", id="molt5 on names"), pytest.param("rxn", "naming", id="rxn on names")],
)
def test_outputs_a_script_knows_nothing_of_are_refused(tmp_path: Path, dialect: str, task: str) -> None:
    predictions = saved(tmp_path, {"output": "ethanol", "target": "ethanol"})
    with pytest.raises(ConfigError, match="IUPAC name"):
        load_dialect(dialect).report(predictions, TASKS[task], Direction.FORWARD, SETTINGS)


def test_a_misspelt_dialect_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'molt5'"):
        load_dialect("molt6")
    assert [load_dialect(name).__name__.rsplit(".", 1)[1] for name in DIALECTS] == list(DIALECTS)
