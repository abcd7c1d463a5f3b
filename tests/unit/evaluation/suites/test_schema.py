"""The file of a suite, and the files that come with the package."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from rtrl_chem.errors import ConfigError
from rtrl_chem.evaluation.suites.schema import columns_of, is_suite, load_suite, suite_names
from rtrl_chem.tasks import Direction

ROOT = Path(__file__).parents[4]
SMALL: dict[str, Any] = {
    "name": "small",
    "description": "Two names.",
    "data": {"test": {"file": "names.tsv", "licence": "none", "split": "all"}},
    "parts": {
        "names": {
            "task": "naming",
            "direction": "forward",
            "data": "test",
            "source": "{smiles}",
            "target": "{name}",
            "metrics": ["exact_match"],
        }
    },
}


def write(folder: Path, changes: dict[str, Any]) -> str:
    raw = deepcopy(SMALL)
    for key, value in changes.items():
        *way, last = key.split("/")
        level = raw
        for step in way:
            level = level[step]
        if value is None:
            del level[last]
        else:
            level[last] = value
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(raw))
    return str(path)


@pytest.mark.parametrize("name", suite_names())
def test_the_suites_of_the_package_say_everything(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    for data in suite.data.values():
        assert data.licence and data.split
        assert data.file or data.local or data.hub
        assert data.hub or data.file or data.origin or data.local
    for part in suite.parts.values():
        assert part.metrics and part.decoding.max_new_tokens


def test_every_suite_of_the_repository_is_in_the_wheel() -> None:
    tomllib = pytest.importorskip("tomllib")
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    expected = {f"eval/{path.name}": f"rtrl_chem/suites/{path.name}" for path in (ROOT / "eval").glob("*.yaml")}
    assert wheel["force-include"] == expected


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"parts/names/taks": "naming"}, "unknown key; did you mean 'task'?", id="misspelt key"),
        pytest.param({"discription": "x"}, "did you mean 'description'?", id="misspelt key at the top"),
        pytest.param({"data/test/licence": None}, "data.test.licence: missing", id="no licence"),
        pytest.param({"parts/names/data": "tset"}, "no data 'tset'; did you mean 'test'?", id="unknown data"),
        pytest.param({"parts/names/task": "namign"}, "did you mean 'naming'?", id="unknown task"),
        pytest.param({"parts/names/direction": "sideways"}, "forward", id="unknown direction"),
        pytest.param({"parts/names/source": "smiles"}, "must name a column in braces", id="column without braces"),
        pytest.param({"parts/names/prompt": "Name it."}, "must contain {source}", id="prompt without source"),
        pytest.param({"parts/names/target": None}, "set round_trip: true", id="nothing to measure"),
        pytest.param({"parts/names/decoding": {"beems": 5}}, "did you mean 'beams'?", id="misspelt decoding"),
        pytest.param({"parts/names/decoding": {"outputs": 5}}, "5 greedy answers", id="greedy outputs"),
        pytest.param({"data/test/file": None}, "says not where the rows are", id="data nowhere"),
        pytest.param(
            {"data/test/file": None, "data/test/hub": {"id": "a/b", "revision": "main", "split": "test"}},
            "data.test.hub.revision",
            id="a branch for a revision",
        ),
        pytest.param({"parts": {}}, "measures nothing", id="no parts"),
        pytest.param({"parts/..": SMALL["parts"]["names"]}, "it names a folder", id="name that leads out"),
        pytest.param(
            {"backend": "vllm", "parts/names/decoding": {"method": "beam", "outputs": 2}},
            "vllm has no beam search",
            id="beams by vllm",
        ),
    ],
)
def test_what_is_wrong_with_a_suite_is_said(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_suite(write(tmp_path, changes))
    assert problem in str(raised.value)


def test_overrides_reach_every_level(tmp_path: Path) -> None:
    path = write(tmp_path, {})
    suite = load_suite(path, ["size=3", "parts.names.decoding.max_new_tokens=7", "model.path=m"])
    assert (suite.size, suite.parts["names"].decoding.max_new_tokens) == (3, 7)
    assert suite.model is not None and suite.model.path == "m"
    assert suite.parts["names"].direction is Direction.FORWARD


def test_an_unknown_suite_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'chebi20'"):
        load_suite("chebi-20")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("naming", True),
        ("namign", True),
        ("SMALL", True),
        (str(ROOT / "configs/quickstart.yaml"), False),
        ("n.yaml", False),
    ],
)
def test_suites_are_told_from_configs(tmp_path: Path, given: str, expected: bool) -> None:
    assert is_suite(write(tmp_path, {}) if given == "SMALL" else given) is expected


def test_one_part_alone() -> None:
    suite = load_suite("uspto50k")
    assert suite.only(["forward"]).part_names == ["forward"]
    assert suite.only([]) is suite
    with pytest.raises(ConfigError, match="did you mean 'forward'"):
        suite.only(["foward"])


def test_columns_of_a_template_come_once_and_in_order() -> None:
    assert columns_of("{a}>{b}.{a}") == ["a", "b"]
