"""`rtrl-chem evaluate` up to the model: which model is loaded how, and a run with the bundled one."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rtrl_chem.config import ModelConfig, dump_config
from rtrl_chem.data.bundled import PREFIX
from rtrl_chem.evaluation.run import evaluate, load_for_evaluation, model_for_evaluation, progress_bar
from rtrl_chem.preflight import bundled_models
from rtrl_chem.tasks import Direction, Task

from .conftest import make_config

ASSETS = Path(__import__("rtrl_chem").__file__).parent / "assets"


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What `load_policy` was called with."""
    policy = pytest.importorskip("rtrl_chem.models.policy")
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(policy, "load_policy", lambda *args: calls.append(args))
    return calls


@pytest.mark.parametrize(
    ("model", "own", "expected"),
    [
        pytest.param(None, {"path": "org/a", "lora": {"r": 4}}, {"path": "org/a", "lora": {"r": 4}}, id="the config's"),
        pytest.param("org/a", {"path": "org/a", "revision": "v1"}, {"revision": "v1"}, id="the config's by name"),
        pytest.param(
            "org/b",
            {"path": "org/a", "revision": "v1", "lora": {"r": 4}},
            {"path": "org/b", "revision": None, "lora": None, "prompt_style": None},
            id="another model",
        ),
        pytest.param("WHOLE", {"path": "bundled:tiny"}, {"prompt_style": "compact"}, id="trained from a bundled one"),
        pytest.param("WHOLE", {"path": "org/a"}, {"prompt_style": None}, id="trained from one of the Hub"),
        pytest.param(
            "WHOLE", {"path": "bundled:tiny", "prompt_style": "plain"}, {"prompt_style": "plain"}, id="style as given"
        ),
        pytest.param("ADAPTER", {"path": "org/a", "lora": {"r": 4}}, {"path": "org/a", "lora": {"r": 4}}, id="adapter"),
        pytest.param("ADAPTER", {"path": "org/a"}, {"path": "org/a", "lora": {}}, id="adapter not in the config"),
    ],
)
def test_model_to_evaluate(
    tmp_path: Path, naming: Task, loaded: list, model: str | None, own: dict, expected: dict
) -> None:
    if model in ("WHOLE", "ADAPTER"):
        (tmp_path / ("adapter_config.json" if model == "ADAPTER" else "config.json")).write_text("{}")
    given = str(tmp_path) if model in ("WHOLE", "ADAPTER") else model
    load_for_evaluation(make_config(model=own), given, naming)
    ((asked, _, *weights),) = loaded
    assert {key: getattr(asked, key) for key in expected} == expected
    assert weights[:1] == ([tmp_path] if model == "ADAPTER" else [None] if given in (None, own["path"]) else [])


@pytest.mark.parametrize(
    ("run", "own", "expected"),
    [
        pytest.param({"path": "bundled:tiny"}, None, "compact", id="of a run from a bundled model"),
        pytest.param({"path": "org/a", "prompt_style": "chemdfm"}, None, "chemdfm", id="as the run asked"),
        pytest.param({"path": "org/a", "prompt_style": "chemdfm"}, "plain", "plain", id="as the user says"),
        pytest.param(None, None, None, id="no run's model"),
    ],
)
def test_a_suite_asks_the_model_of_a_run_as_the_run_did(
    tmp_path: Path, naming: Task, loaded: list, run: dict | None, own: str | None, expected: str | None
) -> None:
    if run is not None:
        dump_config(make_config(model=run), tmp_path / "config.yaml")
    model_for_evaluation(ModelConfig(path=str(tmp_path / "model"), prompt_style=own), naming)
    assert loaded[0][0].prompt_style == expected


def test_a_suite_puts_an_adapter_over_the_base_it_names(tmp_path: Path, naming: Task, loaded: list) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "org/base"}))
    model_for_evaluation(ModelConfig(path=str(tmp_path)), naming)
    [(config, _, weights)] = loaded
    assert (config.path, config.lora, weights) == ("org/base", {}, tmp_path)


def test_stages_with_the_same_words_get_bars_of_their_own() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with progress_bar(console) as on_progress:
        for done in (0, 2, 0, 1):
            on_progress("forward: molecule -> name", done, 2)
    assert "2/2" in console.file.getvalue()  # type: ignore[attr-defined]


def test_bundled_model_end_to_end(tmp_path: Path) -> None:
    models = [name for name in bundled_models() if list((ASSETS / name.removeprefix(PREFIX)).glob("*.safetensors"))]
    if not models:
        pytest.skip("no bundled model has weights")
    config = make_config(
        model={"path": models[0]},
        evaluation={"pairs": "bundled:naming/test", "size": 4, "max_new_tokens": 64, "resamples": 100},
    )
    console = Console(file=io.StringIO(), width=140)
    found = evaluate(config, out=tmp_path, console=console)
    assert set(found) == set(Direction)
    for direction in Direction:
        lines = (tmp_path / direction.value / "predictions.jsonl").read_text().splitlines()
        keys = {"source", "output", "reconstruction", "target", "verdict", "referee", "nats", "tokens", "truncated"}
        assert [set(json.loads(line)) for line in lines] == [keys] * 4
        assert all(json.loads(line)["nats"] < 0 < json.loads(line)["tokens"] for line in lines)
        assert json.loads((tmp_path / direction.value / "metrics.json").read_text())["n"] == 4
    assert "round trip, molecule -> name -> molecule, exact" in console.file.getvalue()  # type: ignore[attr-defined]
