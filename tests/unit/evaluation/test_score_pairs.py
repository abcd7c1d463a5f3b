"""`rtrl-chem score`: a line for each pair, in order; what is no pair is counted with its reason."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.cli import main
from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.evaluation.score_pairs import Pair, read_pairs_to_score
from rtrl_chem.tasks import NAMING, Direction

FORWARD, REVERSE = Direction.FORWARD, Direction.REVERSE


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_pairs_are_read_in_order_and_their_sources_spelt_as_in_a_corpus(tmp_path: Path) -> None:
    rows = [
        {"source": "OCC", "output": "ethanol"},
        {"source": " ethanol ", "output": "OCC", "direction": "reverse", "target": "CCO", "more": 1},
        {"source": "C", "output": ""},
        {"source": "C", "output": "methane", "direction": None, "target": None},
    ]
    assert read_pairs_to_score(write(tmp_path / "p.jsonl", rows), NAMING) == (
        [
            Pair("CCO", "ethanol", FORWARD, None),
            Pair("ethanol", "OCC", REVERSE, "CCO"),
            Pair("C", "", FORWARD, None),
            Pair("C", "methane", FORWARD, None),
        ],
        {},
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param("no json", "not JSON", id="no JSON"),
        pytest.param("", "empty line", id="empty"),
        pytest.param("[1]", "not a JSON object", id="a list"),
        pytest.param({"output": "x"}, "no source", id="no source"),
        pytest.param({"source": "C"}, "no output", id="no output"),
        pytest.param({"source": "C", "output": None}, "no output", id="null"),
        pytest.param({"source": 3, "output": "x"}, "source is not text", id="a number"),
        pytest.param({"source": "C", "output": "x", "target": 1}, "target is not text", id="target"),
        pytest.param({"source": "C", "output": "x", "direction": "up"}, "direction is neither", id="direction"),
        pytest.param({"source": "C", "output": "x", "direction": ["forward"]}, "direction is neither", id="a list"),
        pytest.param({"source": "C1CC", "output": "x"}, "source: does not parse", id="no molecule"),
    ],
)
def test_what_is_no_pair_is_set_aside(tmp_path: Path, row: Any, reason: str) -> None:
    path = write(tmp_path / "p.jsonl", [{"source": "C", "output": "methane"}, row])
    pairs, set_aside = read_pairs_to_score(path, NAMING)
    assert len(pairs) == 1
    [(said, lines)] = set_aside.items()
    assert said.startswith(reason)
    assert lines == [2]


@given(
    st.lists(
        st.one_of(st.text(), st.recursive(st.none() | st.text(), st.lists, max_leaves=5).map(json.dumps)), max_size=5
    )
)
def test_any_file_can_be_read(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    good = json.dumps({"source": "C", "output": "methane"})
    path.write_text("\n".join([good, *lines]), encoding="utf8", errors="surrogatepass")
    pairs, _ = read_pairs_to_score(path, NAMING)
    assert pairs[0] == Pair("C", "methane", FORWARD, None)


def test_no_pair_at_all_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"holds no pair to score \(not JSON: lines 1, 2, 3, 4, 5, \.\.\.\)"):
        read_pairs_to_score(write(tmp_path / "p.jsonl", ["x"] * 9), NAMING)
    with pytest.raises(CorpusError, match="it is empty"):
        read_pairs_to_score(write(tmp_path / "e.jsonl", []), NAMING)
    with pytest.raises(ConfigError, match="no file"):
        read_pairs_to_score(tmp_path / "none.jsonl", NAMING)


# ---- the verb -------------------------------------------------------------------------------------------------------

ROWS = [
    {"source": "CCO", "output": "ethanol", "target": "ethanol"},
    {"source": "ethanol", "output": "CCO", "direction": "reverse"},
    "not JSON",
    {"source": "CCO", "output": "benzene"},
    {"source": "CC(=O)Oc1ccccc1C(=O)O", "output": "OC(=O)c1ccccc1OC(C)=O"},
    {"source": "CCO", "output": ""},
    {"source": "ethanol", "output": "C1CC", "direction": "reverse"},
    {"source": "ethanol", "output": "CCO.ethanol", "direction": "reverse"},
]


@pytest.fixture
def config(tmp_path: Path, model_folder: Path) -> Callable[..., str]:
    def make(model: str = str(model_folder), **rewards: Any) -> str:
        raw = {
            "task": "naming",
            "model": {"path": model, "prompt_style": "compact"},
            "data": {"molecules": "none.smi"},
            "rewards": rewards or {"likelihood": 1.0, "format": 0.2, "supervised": 0.5},
            "output_dir": str(tmp_path / "run"),
        }
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(raw))
        return str(tmp_path / "c.yaml")

    return make


def test_every_pair_gets_its_reward_components_verdict_and_reason(
    tmp_path: Path,
    config: Callable[..., str],
    taught_policy: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from rtrl_chem.models.reverse import ReverseModel
    from rtrl_chem.models.snapshot import FrozenModel

    assert main(["score", config(), str(write(tmp_path / "p.jsonl", ROWS))]) == 0
    captured = capsys.readouterr()
    right, back, wrong, copied, empty, invalid, odd = map(json.loads, captured.out.splitlines())
    reverse = ReverseModel(FrozenModel(taught_policy.model), taught_policy.codec, FORWARD)
    p = math.exp(reverse.log_likelihood(["CCO"], ["ethanol"])[0].nats)
    assert right["components"] == {"likelihood": pytest.approx(p, rel=1e-4), "format": 1.0, "supervised": 1.0}
    assert right["reward"] == pytest.approx(p + 0.2 + 0.5, rel=1e-4)
    assert (right["verdict"], right["reason"], right["target"]) == ("OK", "", "ethanol")
    assert (back["direction"], back["components"]["supervised"]) == ("reverse", None)
    assert 0 < wrong["components"]["likelihood"] < p
    assert (copied["verdict"], copied["reason"], copied["reward"]) == ("COPIED_SOURCE", "the output is the source", 0.0)
    assert (empty["verdict"], empty["reason"]) == ("EMPTY", "there is no output")
    assert (invalid["verdict"], invalid["reason"]) == ("INVALID", "the output is no structure: does not parse")
    assert odd["verdict"] == "INVALID"
    assert "1 of 8 rows set aside (not JSON: line 3)" in captured.err


def test_the_leak_is_the_reason(tmp_path: Path, config: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "p.jsonl", [{"source": "CC(=O)Oc1ccccc1C(=O)O", "output": "acid CC(=O)Oc1ccccc1C(=O)O"}])
    assert main(["score", config(format=1.0), str(path)]) == 0
    [row] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (row["verdict"], row["reward"], row["nats"]) == ("LEAKED_SOURCE", 0.0, None)
    assert "CC(=O)Oc1ccccc1C(=O)O" in row["reason"]


def test_another_model_judges_and_a_file_takes_the_lines(
    tmp_path: Path, config: Callable[..., str], model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = write(tmp_path / "p.jsonl", ROWS), tmp_path / "new" / "scores.jsonl"
    assert main(["score", config("no/such-model"), str(path), "--model", str(model_folder), "--out", str(out)]) == 0
    assert capsys.readouterr().out == ""
    assert len(out.read_text().splitlines()) == len(ROWS) - 1


def test_a_reward_that_raises_names_the_pair(
    tmp_path: Path, config: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text("def mine(batch):\n    return [1 / (y != 'benzene') for y in batch.outputs]\n")
    rewards = {"mine": {"file": str(tmp_path / "mine.py")}}
    assert main(["score", config(**rewards), str(write(tmp_path / "p.jsonl", ROWS))]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "error: reward 'mine' failed on x='CCO', y='benzene': ZeroDivisionError: division by zero"
