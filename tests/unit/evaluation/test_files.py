"""Predictions files: what goes in comes out, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtrl_chem.durable import write_json
from rtrl_chem.errors import RtrlError
from rtrl_chem.evaluation.files import Prediction, read_json, read_predictions, write_predictions
from rtrl_chem.rewards.verdict import Verdict

ROWS = [
    Prediction("CCO", "ethanol", "OCC", "ethanol", Verdict.OK, True, -0.5, 4, False),
    Prediction("CCC", "", "", None, Verdict.EMPTY, False),
    Prediction("C\\C=C/C", 'β\u2028\n"\ud800', None, None, None, None),
]


def test_predictions_survive_the_file(tmp_path: Path) -> None:
    write_predictions(tmp_path / "deep" / "predictions.jsonl", ROWS)
    assert read_predictions(tmp_path / "deep" / "predictions.jsonl") == ROWS


def test_line_holds_the_documented_keys(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.jsonl", ROWS[:1])
    assert (tmp_path / "p.jsonl").read_text() == (
        '{"source": "CCO", "output": "ethanol", "reconstruction": "OCC", "target": "ethanol", "verdict": "OK",'
        ' "referee": true, "nats": -0.5, "tokens": 4, "truncated": false}\n'
    )


def test_predictions_of_others_may_lack_all_but_source_and_output(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"source": "CCO", "output": "ethanol", "extra": 1}\n\n')
    assert read_predictions(tmp_path / "p.jsonl") == [Prediction("CCO", "ethanol")]


@pytest.mark.parametrize("line", ["{", "[]", "1", '{"source": "C"}', '{"source": "C", "output": "", "verdict": "?"}'])
def test_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"source": "CCO", "output": "ethanol"}\n' + line + "\n")
    with pytest.raises(RtrlError, match=r"p\.jsonl, line 2: not a prediction"):
        read_predictions(path)


def test_missing_and_broken_files_are_user_errors(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(RtrlError, match="cannot be read"):
        read_predictions(tmp_path / "none.jsonl")
    with pytest.raises(RtrlError, match="is not JSON"):
        read_json(tmp_path / "broken.json")


def test_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "m.json", {"old": True})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_json(tmp_path / "m.json", {"new": True})
    assert read_json(tmp_path / "m.json") == {"old": True}
