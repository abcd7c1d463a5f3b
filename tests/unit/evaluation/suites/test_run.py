"""What is looked up before a model is asked, and how it is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rtrl_chem.errors import ConfigError
from rtrl_chem.evaluation.suites.run import SUITE_FILE, check_headline, evaluate_suite
from rtrl_chem.evaluation.suites.schema import Suite, load_suite, suite_names

PARTS = [(name, part) for name in suite_names() for part in load_suite(name).parts]


@pytest.mark.parametrize(("name", "part"), PARTS, ids=[f"{name} {part}" for name, part in PARTS])
def test_the_headlines_of_our_suites_are_metrics(name: str, part: str) -> None:
    check_headline(part, load_suite(name).parts[part])


def small(tmp_path: Path, **changes: Any) -> Suite:
    (tmp_path / "rows.tsv").write_text("kind\tsmiles\tname\n1\tCCO\tethanol\n2\tCC\tethane\n")
    part = {"task": "naming", "direction": "forward", "data": "rows", "source": "{smiles}", "target": "{name}"}
    data = {"rows": {"file": str(tmp_path / "rows.tsv"), "licence": "x", "split": "all"}}
    whole = {"name": "s", "description": "d", "data": data, "referee": False, "resamples": 20}
    part |= {"metrics": ["exact_match"], "decoding": {"max_new_tokens": 4}}
    return Suite.model_validate(whole | {"parts": {"p": part | changes}})


def with_model(suite: Suite, path: Path | str, style: Any) -> Suite:
    return Suite.model_validate(suite.model_dump(mode="json") | {"model": {"path": str(path), "prompt_style": style}})


def test_an_unknown_metric_is_said_before_the_model_is_loaded(tmp_path: Path) -> None:
    suite = with_model(small(tmp_path, metrics=["exakt_match"]), "org/no-model", "plain")
    with pytest.raises(ConfigError, match="did you mean 'exact_match'"):
        evaluate_suite(suite, out=tmp_path / "out")


def test_a_style_without_words_cannot_take_a_column(tmp_path: Path, model_folder: Path) -> None:
    prompt = {"prompt": "Name {source}, which is of kind {kind}."}
    suite = with_model(small(tmp_path, **prompt), model_folder, "compact")
    with pytest.raises(ConfigError, match="so kind would be lost"):
        evaluate_suite(suite, out=tmp_path / "out")


def test_a_part_that_cannot_be_asked_is_said_before_another_is(tmp_path: Path, model_folder: Path) -> None:
    suite = with_model(small(tmp_path), model_folder, "compact")
    unasked = suite.parts["p"].model_copy(update={"prompt": "Name {source}, which is of kind {kind}."})
    both = suite.model_copy(update={"parts": suite.parts | {"q": unasked}})
    with pytest.raises(ConfigError, match=r"q: .* or name the other parts with --part"):
        evaluate_suite(both, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_there_is_said_before_the_data_is_read(tmp_path: Path) -> None:
    suite = with_model(small(tmp_path), tmp_path / "no-model", "plain")
    (tmp_path / "rows.tsv").unlink()
    with pytest.raises(ConfigError, match="no folder"):
        evaluate_suite(suite, out=tmp_path / "out")


def test_a_round_trip_says_how_likely_the_source_is(tmp_path: Path, model_folder: Path) -> None:
    decoding = {"method": "sampling", "outputs": 2, "max_new_tokens": 4}
    found = evaluate_suite(
        with_model(small(tmp_path, round_trip=True, decoding=decoding), model_folder, "compact"), out=tmp_path / "out"
    )["p"]
    rows = [json.loads(line) for line in (tmp_path / "out" / "p" / "predictions.jsonl").read_text().splitlines()]
    assert found.metrics["log_p"].value == pytest.approx(sum(row["nats"] for row in rows) / 2)
    assert found.metrics["log_p_per_token"].value == pytest.approx(sum(row["nats"] / row["tokens"] for row in rows) / 2)
    assert [len(row["truncated"]) for row in rows] == [2, 2]
    assert found.metrics["truncated_rate"].value == sum(row["truncated"][0] for row in rows) / 2


def test_each_row_is_asked_with_its_own_columns(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtrl_chem.models import generate

    asked: list[str] = []
    answer = generate.answer_prompts

    def listen(model: Any, codec: Any, direction: Any, prompts: list[str], *args: Any, **kwargs: Any) -> Any:
        asked.extend(prompts)
        return answer(model, codec, direction, prompts, *args, **kwargs)

    monkeypatch.setattr(generate, "answer_prompts", listen)
    prompt = {"prompt": "Name {source}, which is of kind {kind}."}
    style = {"template": "{instruction}", "adds_special_tokens": False}
    found = evaluate_suite(with_model(small(tmp_path, **prompt), model_folder, style), out=tmp_path / "out")
    assert asked == ["Name CCO, which is of kind 1.", "Name CC, which is of kind 2."]
    assert found["p"].metrics["exact_match"].n == 2
    kept = load_suite(tmp_path / "out" / SUITE_FILE)
    assert kept.parts["p"].prompt == prompt["prompt"], "what was asked can be asked again"
