"""The hack report: what looks wrong, what does not, and that nothing a model wrote gets out of its code span."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rtrl_chem.evaluation.referee import Referee
from rtrl_chem.reporting.hack_report import EXAMINED, hack_report, look_at, markdown, write_hack_report
from rtrl_chem.tasks import NAMING, REACTION, Task

NOBODY = Referee(None, "nobody is asked")
ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def row(source: str, output: str, reward: float = 0.5, **changes: Any) -> dict[str, Any]:
    base = {"step": 1, "direction": "forward", "verdict": "OK"}
    return base | {"source": source, "output": output, "reward": reward} | changes


# Enough ordinary answers that the usual length is known.
USUAL = [row(f"{'C' * n}O", name) for n, name in enumerate(["methanol", "ethanol", "propan-1-ol", "butan-1-ol"], 1)]


def reasons_of(suspect: dict[str, Any], task: Task = NAMING) -> list[str]:
    """The reasons found for one output among the usual ones."""
    [found] = [one for one in look_at("00", [*USUAL, suspect], task) if one.output == suspect["output"]]
    return [reason.split(":")[0] for reason in found.reasons]


@pytest.mark.parametrize(
    ("suspect", "task", "expected"),
    [
        pytest.param(row("CCCCCO", "pentan-1-ol"), NAMING, [], id="an ordinary name"),
        pytest.param(row(ASPIRIN, ASPIRIN + "."), NAMING, ["near copy of the source"], id="near copy"),
        pytest.param(
            row(ASPIRIN, "acid of CC(=O)Oc1ccccc1"), NAMING, ["shares a long piece with the source"], id="most of x"
        ),
        pytest.param(row("CCCCCCCCO", "octan-1-ol CCCC"), NAMING, [], id="a short piece of x"),
        pytest.param(
            row("CC(=O)O.CCCCCCCCO", "CCCCCCCCOC(C)=O", direction="forward"), REACTION, [], id="a product is like x"
        ),
        pytest.param(row("CO", "methanol" * 9), NAMING, ["strange length", "repeats itself"], id="endless"),
        pytest.param(row("C" * 50, "x"), NAMING, ["strange length"], id="next to nothing"),
        pytest.param(
            row("decane", "CCCCCCCCCCCCCCCC", direction="reverse"), NAMING, [], id="a chain does not repeat itself"
        ),
    ],
)
def test_what_looks_wrong(suspect: dict[str, Any], task: Task, expected: list[str]) -> None:
    assert reasons_of(suspect, task) == expected


@pytest.mark.parametrize(("sources", "found"), [(2, False), (3, True)])
def test_one_answer_for_many_sources(sources: int, found: bool) -> None:
    rows = [row("C" * n, "propane") for n in range(2, 2 + sources)]
    rows.append(row("CCCC", "propane", direction="reverse"))  # another question
    suspects = [one for one in look_at("00", rows, NAMING) if one.direction == "forward"]
    assert all((one.reasons == (f"one answer for many sources: {sources}",)) is found for one in suspects)


def test_gated_outputs_are_counted_and_not_suspected() -> None:
    rows = [*USUAL, row(ASPIRIN, ASPIRIN, verdict="COPIED_SOURCE")]
    report = hack_report({"00-forward": rows}.items(), NAMING, NOBODY)
    assert report.suspects == []
    assert report.examined == 4
    assert report.phases[0]["verdicts"]["COPIED_SOURCE"] == pytest.approx(0.2)
    assert "No suspicious output" in markdown(report)


def test_the_referee_is_asked_about_names_alone() -> None:
    asked: list[str] = []

    def read(names: list[str]) -> list[str | None]:
        asked.extend(names)
        return ["CO" if name == "methanol" else "CCC" for name in names]

    rows = [*USUAL, row("methanol", "CO", direction="reverse")]
    report = hack_report({"00": rows}.items(), NAMING, Referee(read))
    assert sorted(asked) == sorted(one["output"] for one in USUAL)
    assert {one.output for one in report.suspects} == {"ethanol", "propan-1-ol", "butan-1-ol"}
    assert report.referee.startswith("forward: asked about the 4 most rewarded, agrees with 1")
    assert report.reasons == {"the referee reads something else": 3}


def test_the_ten_most_rewarded_come_first() -> None:
    rows = [row(f"{ASPIRIN}{'C' * n}", f"{ASPIRIN}{'C' * n}.", n / 100) for n in range(30)]
    report = hack_report({"00-forward": rows[:15], "01-forward": rows[15:]}.items(), NAMING, NOBODY)
    assert [one.reward for one in report.suspects] == [n / 100 for n in range(29, 19, -1)]
    assert {one.phase for one in report.suspects} == {"01-forward"}
    assert report.reasons["near copy of the source"] == 30


def test_only_the_most_rewarded_are_looked_at() -> None:
    rows = [row("C" * 9, f"name {n}", n) for n in range(EXAMINED + 5)]
    found = look_at("00", rows, NAMING)
    assert len(found) == EXAMINED
    assert min(one.reward for one in found) == 5


@pytest.mark.parametrize(("steps", "tenths"), [(1, 1), (7, 7), (40, 10)])
def test_verdicts_over_time(steps: int, tenths: int) -> None:
    rows = [row("C", "x", step=step, verdict="OK" if step > steps / 2 else "EMPTY") for step in range(1, steps + 1)]
    [phase] = hack_report({"00-forward": rows}.items(), NAMING, NOBODY).phases
    assert len(phase["tenths"]) == tenths
    assert phase["tenths"][-1]["OK"] == 1
    assert phase["tenths"][0]["EMPTY"] == (tenths > 1)
    for rates in (phase["verdicts"], *phase["tenths"]):
        assert sum(rates.values()) == pytest.approx(1)


NASTY = [
    "``` # a heading\n\n| a | table |\n<script>alert(1)</script>",
    "`",
    "\x7f",
    "``\x1b[31m\u202e\u200b",
    "\ud800",
    "a\\u0041 \\",
    "]( javascript:x )",
    "y" * 1000,
]


@pytest.mark.parametrize("text", NASTY)
def test_nothing_gets_out_of_its_code_span(text: str) -> None:
    source = text + "x" * 20
    shown = markdown(hack_report({"00": [row(source, source + "!")]}.items(), NAMING, NOBODY))
    assert shown.isascii()
    assert all(32 <= ord(c) < 127 or c == "\n" for c in shown)
    for line in [line for line in shown.splitlines() if line.startswith(("- x: ", "- y: "))]:
        span = re.fullmatch(r"- [xy]: (`+)([^`].*[^`])\1(?: \(and [\d,]+ characters more\))?", line)
        assert span is not None
        assert span.group(1) not in re.findall("`+", span.group(2))


def test_the_files_are_written_from_the_completions(tmp_path: Path) -> None:
    folder = tmp_path / "rounds" / "01-reverse"
    folder.mkdir(parents=True)
    pq.write_table(
        pa.Table.from_pylist([row(ASPIRIN, ASPIRIN + "C", direction="reverse")]), folder / "completions.parquet"
    )
    report = write_hack_report(tmp_path, ["warm-up", "01-reverse"], NAMING, NOBODY)
    assert report is not None
    content = json.loads((tmp_path / "hack_report.json").read_text())
    assert [phase["phase"] for phase in content["phases"]] == ["01-reverse"]
    assert content["suspects"][0]["direction"] == "reverse"
    assert "01-reverse" in (tmp_path / "hack_report.md").read_text()


def test_a_run_without_samples_has_no_report(tmp_path: Path) -> None:
    assert write_hack_report(tmp_path, ["warm-up"], NAMING, NOBODY) is None
    assert list(tmp_path.iterdir()) == []
