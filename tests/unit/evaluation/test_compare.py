"""Two prediction files on the same items: paired differences, and what cannot be compared."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from rtrl_chem.errors import ConfigError, RtrlError
from rtrl_chem.evaluation.bootstrap import paired_bootstrap
from rtrl_chem.evaluation.compare import compare, compare_scores
from rtrl_chem.evaluation.metrics.score import mean_score

MOLECULES = {"C": "methane", "CC": "ethane", "CCC": "propane", "CCO": "ethanol", "CO": "methanol", "CN": "methanamine"}


def write(path: Path, wrong: set[str], order: int = 1, **extra: str) -> Path:
    rows = [
        {"source": name, "target": smiles, "output": "" if smiles in wrong else smiles}
        for smiles, name in (MOLECULES | extra).items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[::order]))
    return path


def quiet() -> Console:
    return Console(file=io.StringIO(), width=160)


def test_wins_losses_and_ties_in_any_order_of_the_rows(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.jsonl", {"C", "CC", "CO"}), write(tmp_path / "b.jsonl", {"CC", "CCC"}, order=-1)
    console = quiet()
    found = compare(a, b, task="naming", out=tmp_path / "out", console=console)
    right = found["a.jsonl"].metrics["exact_isomeric"]
    assert (right.a, right.b) == (0.5, pytest.approx(4 / 6))
    assert (right.wins, right.losses, right.ties, right.n) == (2, 1, 3, 6)
    assert right.low <= right.difference <= right.high
    edits = found["a.jsonl"].metrics["levenshtein"]
    assert (edits.wins, edits.losses) == (2, 1), "fewer edits are better"
    assert "2/1/3" in console.file.getvalue()  # type: ignore[attr-defined]
    record = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert record["parts"]["a.jsonl"]["metrics"]["exact_isomeric"]["wins"] == 2


def test_the_same_seed_gives_the_same_interval(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.jsonl", {"C", "CC"}), write(tmp_path / "b.jsonl", {"CC", "CCC", "CO"})
    one, same, other = (
        compare(a, b, task="naming", seed=seed, resamples=200, console=quiet())["a.jsonl"].metrics for seed in (1, 1, 2)
    )
    assert one == same
    assert one["similarity_morgan"] != other["similarity_morgan"]


def test_the_interval_is_the_paired_one() -> None:
    rng = np.random.default_rng(0)
    a = rng.random(400)
    b = a + 0.01 + 0.01 * rng.random(400)
    found = compare_scores([mean_score("m", "m", a)], [mean_score("m", "m", b)], resamples=2000)["m"]
    reference = paired_bootstrap(a, b, 2000)
    assert found.difference == pytest.approx(reference.mean)
    assert (found.low, found.high) == (pytest.approx(reference.low, abs=2e-4), pytest.approx(reference.high, abs=2e-4))


def test_folders_are_compared_part_by_part(tmp_path: Path) -> None:
    for side, wrong in (("a", {"C"}), ("b", {"CC"})):
        for part in ("one", "two"):
            path = write(tmp_path / side / part / "predictions.jsonl", wrong)
            about = {"task": "naming", "direction": "reverse", "headline": ["exact_isomeric"]}
            path.with_name("metrics.json").write_text(json.dumps(about))
    found = compare(tmp_path / "a", tmp_path / "b", console=quiet())
    assert sorted(found) == ["one", "two"]
    assert found["one"].headline == ("exact_isomeric",)


@pytest.mark.parametrize(
    ("case", "error", "said"),
    [
        pytest.param("other items", RtrlError, "not the same items (0 of 6 are only in the first, 1 of 7", id="items"),
        pytest.param("missing", ConfigError, "no such file or folder", id="missing"),
        pytest.param("mixed", ConfigError, "one is a folder and one a file", id="folder and file"),
        pytest.param("no task", ConfigError, "--task: missing", id="no task"),
        pytest.param("other parts", RtrlError, "evaluate both on the same parts", id="parts"),
    ],
)
def test_what_cannot_be_compared_is_said(tmp_path: Path, case: str, error: type[Exception], said: str) -> None:
    a = write(tmp_path / "a" / "x" / "predictions.jsonl", set())
    b = write(
        tmp_path / "b" / "y" / "predictions.jsonl", set(), **({"CCCC": "butane"} if case == "other items" else {})
    )
    sides = {
        "missing": (a, tmp_path / "none"),
        "mixed": (a, tmp_path / "b"),
        "other parts": (tmp_path / "a", tmp_path / "b"),
    }.get(case, (a, b))
    with pytest.raises(error) as raised:
        compare(*sides, task=None if case == "no task" else "naming", console=quiet())
    assert said in str(raised.value)
