"""Before against after: matched items, right differences, a table one can read."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from rtrl_chem.errors import RtrlError
from rtrl_chem.evaluation.files import Prediction, write_predictions
from rtrl_chem.evaluation.measure import measure
from rtrl_chem.evaluation.summary import Summary, read_summary, summarise, table
from rtrl_chem.evaluation.tables import metrics_table
from rtrl_chem.rewards.verdict import Verdict
from rtrl_chem.tasks import Direction, Task

SOURCES = ["C" * n + "O" for n in range(1, 41)]


def rows(right: int, referee: bool = True) -> list[Prediction]:
    """40 molecules of which the first `right` come back."""
    return [
        Prediction(x, f"name {i}", x if i < right else "C", f"name {i if i < right else 'x'}", Verdict.OK, i < right)
        if referee
        else Prediction(x, f"name {i}", x if i < right else "C", None, Verdict.OK, None)
        for i, x in enumerate(SOURCES)
    ]


def write(folder: Path, predictions: list[Prediction], direction: str = "forward") -> Path:
    write_predictions(folder / direction / "predictions.jsonl", predictions)
    return folder


def relabelled(predictions: list[Prediction]) -> list[Prediction]:
    return [Prediction(p.source, p.output, p.reconstruction, "label", p.verdict, p.referee) for p in predictions]


@pytest.fixture
def summary(tmp_path: Path, naming: Task) -> Summary:
    before = write(tmp_path / "before", relabelled(rows(10)))
    after = write(tmp_path / "after", relabelled(rows(18))[::-1])
    return summarise(naming, before, after, tmp_path / "summary.json", resamples=2_000)


def printed(thing: object, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(thing)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_items_are_matched_by_source_not_by_line(summary: Summary) -> None:
    change = summary.directions[Direction.FORWARD].metrics["rtc"]
    assert (change.before, change.after, change.difference, change.n) == (0.25, 0.45, pytest.approx(0.2), 40)
    # All changes are gains: paired, the interval cannot reach below zero; unpaired it would.
    error = 1.96 * np.sqrt(0.2 * 0.8 / 40)
    assert change.low == pytest.approx(0.2 - error, abs=0.03) and change.low > 0
    assert change.high == pytest.approx(0.2 + error, abs=0.03)


def test_summary_survives_its_file(summary: Summary, tmp_path: Path) -> None:
    assert read_summary(tmp_path / "summary.json") == summary


def test_file_names_every_metric(summary: Summary, tmp_path: Path) -> None:
    record = json.loads((tmp_path / "summary.json").read_text())["directions"]["forward"]
    assert record["metrics"]["validity"] is None
    assert record["not_applicable"] == {"validity": "outputs are text"}
    assert set(record["metrics"]["rtc"]) == {"label", "unit", "before", "after", "difference", "low", "high", "n"}


def test_numbers_are_recomputable_from_the_predictions_alone(summary: Summary, tmp_path: Path) -> None:
    found = {}
    for side in ("before", "after"):
        lines = (tmp_path / side / "forward" / "predictions.jsonl").read_text().splitlines()
        records = {record["source"]: record for record in map(json.loads, lines)}
        found[side] = {source: record["source"] == record["reconstruction"] for source, record in records.items()}
    difference = np.mean([found["after"][source] - found["before"][source] for source in SOURCES])
    assert summary.directions[Direction.FORWARD].metrics["rtc"].difference == pytest.approx(difference)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(relabelled(rows(10))[:-1], id="an item less"),
        pytest.param([*relabelled(rows(10)), *relabelled(rows(10))[:1]], id="an item twice"),
        pytest.param(rows(10), id="other labels"),
        pytest.param([], id="nothing"),
    ],
)
def test_different_items_are_refused(tmp_path: Path, naming: Task, after: list[Prediction]) -> None:
    before = write(tmp_path / "before", relabelled(rows(10)))
    with pytest.raises(RtrlError, match="not the same items"):
        summarise(naming, before, write(tmp_path / "after", after))


def test_different_directions_are_refused(tmp_path: Path, naming: Task) -> None:
    before = write(tmp_path / "before", rows(10))
    with pytest.raises(RtrlError, match=r"for forward, .* for none"):
        summarise(naming, before, tmp_path / "after")


def test_source_with_two_labels_is_matched_by_label(tmp_path: Path, naming: Task) -> None:
    first, second = Prediction("CCO", "a", "CCO", "a"), Prediction("CCO", "a", "CCO", "b")
    before, after = write(tmp_path / "b", [first, second]), write(tmp_path / "a", [second, first])
    change = summarise(naming, before, after).directions[Direction.FORWARD].metrics["exact_match"]
    assert (change.before, change.difference, change.low, change.high) == (0.5, 0, 0, 0)


def test_metric_missing_on_one_side_has_no_change(tmp_path: Path, naming: Task) -> None:
    with_referee = [Prediction(p.source, p.output, p.reconstruction, None, p.verdict, True) for p in rows(10)]
    before, after = write(tmp_path / "b", with_referee), write(tmp_path / "a", rows(18, referee=False))
    (after / "forward" / "metrics.json").write_text('{"not_measured": {"referee": "OPSIN not installed"}}')
    changes = summarise(naming, before, after).directions[Direction.FORWARD]
    assert changes.not_measured["referee"] == "OPSIN not installed"
    assert changes.not_measured["exact_match"] == "40 of 40 rows have no target"
    assert "referee" not in changes.metrics and "rtc" in changes.metrics
    assert "not measured, forward: referee (OPSIN not installed)" in printed(table(summarise(naming, before, after)))


@pytest.mark.parametrize("content", ["[]", "{}", '{"directions": {"sideways": {}}}'])
def test_what_is_no_summary_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(RtrlError, match="no evaluation summary"):
        read_summary(tmp_path / "s.json")


def test_table_reads_as_a_result(summary: Summary) -> None:
    text = printed(table(summary))
    change = summary.directions[Direction.FORWARD].metrics["rtc"]
    row = next(line for line in text.splitlines() if "round trip, molecule -> name -> molecule, exact" in line)
    assert "25.0%" in row and "45.0%" in row
    assert f"+20.0 [+{100 * change.low:.1f}, +{100 * change.high:.1f}]" in row
    assert "difference with 95% CI" in text
    assert "forward: molecule -> name, 40 held-out items" in text
    for label in ("names exactly right", "names OPSIN reads back to the molecule", "leak rate"):
        assert label in text


def test_numbers_survive_a_narrow_terminal(summary: Summary) -> None:
    text = printed(table(summary), width=80)
    assert "…" not in text
    assert "25.0%" in text and "difference with 95% CI" in text


def test_table_of_one_evaluation_has_intervals(naming: Task) -> None:
    found = measure(naming, Direction.FORWARD, rows(10))
    value = found.values["rtc"]
    row = next(
        line for line in printed(metrics_table({Direction.FORWARD: found}, naming)).splitlines() if "exact" in line
    )
    assert "25.0%" in row
    assert f"[{100 * value.low:.1f}%, {100 * value.high:.1f}%]" in row
