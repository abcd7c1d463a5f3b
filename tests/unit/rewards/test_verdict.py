"""The gates in front of a reward, and their order."""

from __future__ import annotations

import pytest

from rtrl_chem.models.codec import Answer
from rtrl_chem.rewards import verdict
from rtrl_chem.rewards.verdict import Judgement, Verdict, judge, judge_batch
from rtrl_chem.tasks import TASKS, Direction

FORWARD, REVERSE = Direction.FORWARD, Direction.REVERSE
ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def answer(text: str, truncated: bool = False) -> Answer:
    return Answer(text, text, len(text), truncated)


@pytest.mark.parametrize(
    ("task", "direction", "source", "given", "expected"),
    [
        pytest.param("naming", FORWARD, "CCO", answer("ethanol"), Verdict.OK, id="a name"),
        pytest.param("naming", FORWARD, "CCO", answer("no such name"), Verdict.OK, id="a wrong text is judged later"),
        pytest.param("naming", REVERSE, "ethanol", answer("CCC"), Verdict.OK, id="a wrong molecule is judged later"),
        pytest.param("naming", FORWARD, "CCO", answer(""), Verdict.EMPTY, id="empty"),
        pytest.param("naming", FORWARD, "CCO", answer("", True), Verdict.EMPTY, id="empty before truncated"),
        pytest.param("naming", FORWARD, "CCO", answer("ethan", True), Verdict.TRUNCATED, id="truncated"),
        pytest.param(
            "naming", REVERSE, "ethanol", answer("CC(", True), Verdict.TRUNCATED, id="truncated before invalid"
        ),
        pytest.param("naming", FORWARD, "CCO", answer("CCO", True), Verdict.TRUNCATED, id="truncated before copied"),
        pytest.param("naming", REVERSE, "ethanol", answer("CC("), Verdict.INVALID, id="invalid"),
        pytest.param("naming", REVERSE, "ethanol", answer("ethanol"), Verdict.INVALID, id="invalid before copied"),
        pytest.param("naming", FORWARD, ASPIRIN, answer(ASPIRIN), Verdict.COPIED_SOURCE, id="copy"),
        pytest.param(
            "naming", FORWARD, ASPIRIN, answer("OC(=O)c1ccccc1OC(C)=O"), Verdict.COPIED_SOURCE, id="copy respelt"
        ),
        pytest.param("naming", FORWARD, ASPIRIN, answer(f"acid {ASPIRIN}"), Verdict.LEAKED_SOURCE, id="leak in a name"),
        pytest.param("captioning", FORWARD, "CCO", answer("It is an alcohol."), Verdict.OK, id="a caption"),
        pytest.param("captioning", FORWARD, "CCO", answer("It is CCO."), Verdict.LEAKED_SOURCE, id="leak in a caption"),
        pytest.param("reaction", FORWARD, "CCO.CC(=O)O", answer("CCOC(C)=O"), Verdict.OK, id="a product"),
        pytest.param(
            "reaction", FORWARD, "CCO.CC(=O)O", answer("CC(=O)O.OCC"), Verdict.COPIED_SOURCE, id="reactants copied"
        ),
        pytest.param(
            "reaction", REVERSE, ASPIRIN, answer(f"{ASPIRIN}.O"), Verdict.LEAKED_SOURCE, id="product among reactants"
        ),
    ],
)
def test_first_gate_that_fails(task: str, direction: Direction, source: str, given: Answer, expected: Verdict) -> None:
    assert judge(TASKS[task], direction, source, given).verdict is expected


def test_batch_judges_each_distinct_pair_once_and_keeps_order(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(*args: object) -> Judgement:
        calls.append(args)
        return judge(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(verdict, "judge", counted)
    sources = ["CCO", "CCO", "CCO", "CCC"]
    answers = [answer("ethanol"), answer("CCO"), answer("ethanol"), answer("propane", True)]
    found = judge_batch(TASKS["naming"], FORWARD, sources, answers)
    assert [one.verdict for one in found] == [Verdict.OK, Verdict.COPIED_SOURCE, Verdict.OK, Verdict.TRUNCATED]
    assert [one.evidence for one in found] == ["", "CCO", "", ""]
    assert len(calls) == 3


def test_batch_refuses_lists_of_unequal_length() -> None:
    with pytest.raises(ValueError, match="zip"):
        judge_batch(TASKS["naming"], FORWARD, ["CCO", "CCC"], [answer("ethanol")])


def test_verdict_is_its_name_in_text() -> None:
    assert [f"{v}" for v in Verdict] == [v.name for v in Verdict]
