"""What a model's path stands for, told without loading anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rtrl_chem.config import config_from_mapping, dump_config
from rtrl_chem.data.bundled import model_path
from rtrl_chem.errors import ConfigError, ModelError
from rtrl_chem.models.origin import Origin, origin_of, sides_of, style_of_run
from rtrl_chem.tasks import Direction

ELSEWHERE = "/usr/lib/python3.12/site-packages/rtrl_chem/assets/tiny"


def adapter(folder: Path, **content: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(content))
    return folder


def whole(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_a_name_stands_for_itself(tmp_path: Path) -> None:
    assert origin_of("org/model") == Origin("org/model")
    assert origin_of(str(whole(tmp_path))) == Origin(str(tmp_path))
    assert origin_of("bundled:tiny") == Origin(model_path("bundled:tiny"))
    assert origin_of("bundled:tiny").is_bundled
    assert not origin_of("org/tiny").is_bundled


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        pytest.param("org/model", "org/model", id="on the Hub"),
        pytest.param("/a/folder", "/a/folder", id="a folder"),
        pytest.param(ELSEWHERE, model_path("bundled:tiny"), id="bundled, trained in another installation"),
        pytest.param("/my/assets/tiny", "/my/assets/tiny", id="a folder of such a name"),
    ],
)
def test_an_adapter_names_its_base(tmp_path: Path, base: str, expected: str) -> None:
    assert origin_of(str(adapter(tmp_path, base_model_name_or_path=base))) == Origin(expected, tmp_path)


def test_a_whole_model_with_an_adapter_beside_it_is_whole(tmp_path: Path) -> None:
    adapter(whole(tmp_path), base_model_name_or_path="org/model")
    assert origin_of(str(tmp_path)) == Origin(str(tmp_path))


@pytest.mark.parametrize("content", [{}, {"base_model_name_or_path": None}, {"base_model_name_or_path": ""}])
def test_an_adapter_without_a_base_is_one_line(tmp_path: Path, content: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="names no base_model_name_or_path"):
        origin_of(str(adapter(tmp_path, **content)))


def test_an_unknown_bundled_model_is_named() -> None:
    with pytest.raises(ConfigError, match="bundled:huge"):
        origin_of("bundled:huge")


def test_two_sides_are_two_models(tmp_path: Path) -> None:
    assert sides_of(str(tmp_path)) is None
    whole(tmp_path / "forward")
    assert sides_of(str(tmp_path)) is None
    adapter(tmp_path / "reverse")
    found = {Direction.FORWARD: tmp_path / "forward", Direction.REVERSE: tmp_path / "reverse"}
    assert sides_of(str(tmp_path)) == found


def run_of(folder: Path, model: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    raw = {"task": "naming", "model": model, "data": {"molecules": "x"}, "output_dir": str(folder)}
    dump_config(config_from_mapping(raw), folder / "config.yaml")


@pytest.mark.parametrize("model", ["model", "model/forward", "model/reverse"])
def test_the_style_of_a_run_is_that_of_its_start(tmp_path: Path, model: str) -> None:
    run_of(tmp_path / "named", {"path": "org/a", "prompt_style": "tagged"})
    run_of(tmp_path / "bundled", {"path": "bundled:tiny"})
    run_of(tmp_path / "again", {"path": str(tmp_path / "bundled" / model)})
    run_of(tmp_path / "plain", {"path": "org/a"})
    found = [style_of_run(tmp_path / run / model) for run in ("named", "bundled", "again", "plain", "none")]
    assert found == ["tagged", "compact", "compact", None, None]


def test_another_programs_config_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("trainer: x\nmodel: y\n")
    assert style_of_run(tmp_path / "model") is None
