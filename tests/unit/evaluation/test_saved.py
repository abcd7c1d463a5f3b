"""`rtrl-chem metrics` from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rtrl_chem.cli import main

ROWS = [
    {"source": "ethanol", "target": "CCO", "outputs": ["OCC", "CC"], "reconstructions": ["ethanol", "ethane"]},
    {"source": "methane", "target": "C", "outputs": ["C(", "C"], "reconstructions": ["", "methane"]},
]


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS) + "not a row\n", encoding="utf-8")
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["metrics", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def test_json_is_one_object_on_stdout(capsys: pytest.CaptureFixture[str], predictions: Path) -> None:
    status, out, err = run(capsys, predictions, "--task", "naming", "--json", "--resamples", 20)
    assert status == 0 and out.count("\n") == 1
    found: dict[str, Any] = json.loads(out)
    assert found["direction"] == "reverse"
    assert found["rows"] == {"rows_in": 3, "scored": 2, "empty": 0, "set_aside": {"not JSON": 1}}
    exact = found["metrics"]["exact_isomeric"]
    assert (exact["value"], exact["n"], exact["denominator"]) == (0.5, 2, "all rows")
    assert exact["low"] <= 0.5 <= exact["high"]
    assert found["metrics"]["mrr"]["value"] == 0.75
    assert found["metrics"]["round_trip_accuracy_top1"]["value"] == 0.5
    assert "set aside: not JSON 1" in err


def test_the_table_names_interval_and_denominator(capsys: pytest.CaptureFixture[str], predictions: Path) -> None:
    status, out, _ = run(capsys, predictions, "--task", "naming", "--confidence", 0.9, "--resamples", 20)
    assert status == 0
    assert all(words in out for words in ("90% CI", "denominator", "all rows", "both valid", "exact: whole InChI"))


def test_a_dialect_prints_the_names_of_its_script(capsys: pytest.CaptureFixture[str], predictions: Path) -> None:
    status, out, _ = run(capsys, predictions, "--task", "naming", "--compat", "smolinstruct", "--json")
    assert status == 0
    assert json.loads(out)["num_t2_exact_match"] == 2
    assert run(capsys, predictions, "--task", "naming", "--compat", "rxn", "--direction", "reverse")[0] == 0


def test_the_seed_makes_the_interval(capsys: pytest.CaptureFixture[str], predictions: Path) -> None:
    call = (predictions, "--task", "naming", "--json", "--resamples", 50)
    first, again, other = (run(capsys, *call, "--seed", seed)[1] for seed in (1, 1, 2))
    assert first == again
    assert json.loads(first)["seed"] == 1 and json.loads(other)["seed"] == 2


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        pytest.param(["--task", "nameing"], 2, "did you mean 'naming'", id="task"),
        pytest.param(["--task", "naming", "--compat", "molt6"], 2, "did you mean 'molt5'", id="dialect"),
        pytest.param(["--task", "naming", "--direction", "back"], 2, "--direction", id="direction"),
        pytest.param(["--task", "naming", "--confidence", "95"], 2, "between 0 and 1", id="confidence"),
        pytest.param([], 2, "--task", id="no task"),
    ],
)
def test_a_wrong_call_is_one_line(
    capsys: pytest.CaptureFixture[str], predictions: Path, arguments: list[str], status: int, message: str
) -> None:
    found, out, err = run(capsys, predictions, *arguments)
    assert (found, out) == (status, "")
    assert message in err.splitlines()[-1] and err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    ("content", "status"),
    [pytest.param(None, 2, id="no file"), pytest.param("\n\n", 1, id="nothing in it")],
)
def test_a_file_that_cannot_be_scored(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str | None, status: int
) -> None:
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    found, _, err = run(capsys, path, "--task", "naming")
    assert found == status and err.startswith("error: ") and err.count("\n") == 1


def test_needs_no_torch(predictions: Path) -> None:
    code = (
        "import sys; from rtrl_chem.cli import main; "
        f"main(['metrics', {str(predictions)!r}, '--task', 'naming', '--json', '--resamples', '9']); "
        "sys.exit(bool({'torch', 'transformers', 'datasets'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
