"""Directions, domains, tasks, and tasks from YAML."""

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from rtrl_chem.errors import ConfigError
from rtrl_chem.tasks import TASKS, Direction, Domain, Task, get_style, load_task
from rtrl_chem.tasks.base import EQUALITIES, fill, read_answer_text, task_from_mapping

EXAMPLE = Path(__file__).parents[3] / "configs" / "tasks" / "example_task.yaml"
FORWARD, REVERSE = Direction


def raw_task(**changes: Any) -> dict[str, Any]:
    """A right task as a mapping, with changes; None takes a key out."""
    task = {
        "name": "formula",
        "left": {"name": "molecule", "kind": "molecule", "tag": "SMILES"},
        "right": {"name": "formula", "kind": "text", "tag": "MOLFORMULA"},
        "forward_prompt": "Formula of {source}?",
        "reverse_prompt": "A molecule of formula {source}?",
    }
    return {key: value for key, value in (task | changes).items() if value is not None}


def test_the_opposite_of_the_opposite_is_the_direction() -> None:
    assert [FORWARD.opposite, REVERSE.opposite] == [REVERSE, FORWARD]
    assert [direction.opposite.opposite for direction in Direction] == [FORWARD, REVERSE]


def test_a_direction_reads_and_prints_as_its_word() -> None:
    assert Direction("forward") is FORWARD
    assert f"{FORWARD}" == str(FORWARD) == "forward"
    assert json.dumps({"direction": REVERSE}) == '{"direction": "reverse"}'


@pytest.mark.parametrize("direction", [FORWARD, "forward"], ids=["enum", "word"])
def test_forward_goes_from_left_to_right(direction: Direction | str) -> None:
    task = task_from_mapping(raw_task())
    assert (task.source(direction).tag, task.output(direction).tag) == ("SMILES", "MOLFORMULA")
    assert task.instruction(direction, "CCO") == "Formula of CCO?"


def test_reverse_goes_from_right_to_left() -> None:
    task = task_from_mapping(raw_task())
    assert (task.source(REVERSE).tag, task.output(REVERSE).tag) == ("MOLFORMULA", "SMILES")
    assert task.instruction(REVERSE, "C2H6O") == "A molecule of formula C2H6O?"


@pytest.mark.parametrize("method", ["source", "output"])
def test_an_unknown_direction_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match="sideways"):
        getattr(TASKS["naming"], method)("sideways")


def test_a_task_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        TASKS["naming"].name = "other"  # type: ignore[misc]


def test_fields_are_checked_in_python_too() -> None:
    with pytest.raises(ValidationError, match="letters and digits"):
        replace(TASKS["naming"].left, tag="<SMILES>")


@pytest.mark.parametrize(
    ("domain", "noun", "family"),
    [
        pytest.param(Domain("product", "molecule", "PRODUCT"), "SMILES of the product", "structure", id="molecule"),
        pytest.param(Domain("reactants", "molecules", "R"), "SMILES of the reactants", "structure", id="molecules"),
        pytest.param(Domain("IUPAC name", "text", "IUPAC"), "IUPAC name", "phrase", id="name"),
        pytest.param(Domain("description", "text", "D", prose=True), "description", "prose", id="prose"),
    ],
)
def test_a_domain_knows_its_noun_and_its_metrics(domain: Domain, noun: str, family: str) -> None:
    assert (domain.noun, domain.metric_family) == (noun, family)


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        pytest.param("a {source} b {source}", {"source": "x"}, "a x b x", id="every place"),
        pytest.param(
            "{source} {answer}", {"source": "{answer}", "answer": "y"}, "{answer} y", id="values stay as they are"
        ),
        pytest.param('{"smiles": "{source}"} {}', {"source": "x"}, '{"smiles": "x"} {}', id="other braces stay"),
        pytest.param("{source}", {"source": r"C\C=C\1"}, r"C\C=C\1", id="backslashes of SMILES stay"),
    ],
)
def test_fill(template: str, values: dict[str, str], text: str) -> None:
    assert fill(template, values) == text


@pytest.mark.parametrize(
    ("text", "pattern", "prose", "answer"),
    [
        pytest.param(" \n  ethanol \nIt is", None, False, "ethanol", id="first line that is not empty"),
        pytest.param(" One.\n\nTwo. ", None, True, "One.\n\nTwo.", id="all of prose"),
        pytest.param("x = A, x = B", r"x = (\w)", False, "A", id="first match"),
        pytest.param("no idea", r"x = (\w)", False, "", id="no match"),
        pytest.param("x = ", r"x = (\w)?", False, "", id="group that took no part"),
        pytest.param("", None, False, "", id="nothing"),
    ],
)
def test_read_answer_text(text: str, pattern: str | None, prose: bool, answer: str) -> None:
    assert read_answer_text(text, pattern, prose) == answer


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_built_in_tasks_pass_the_checks_of_a_users_task(task: Task) -> None:
    assert task_from_mapping(asdict(task)) == task
    assert load_task(task.name) is task


def test_the_example_file_is_a_whole_task(tmp_path: Path) -> None:
    """Through YAML, prompt, answer and reading, in both directions."""
    task, style = load_task(EXAMPLE), get_style("plain")
    assert style.render(task, "forward", "CCO") == "Write the molecule CCO as SELFIES.\nAnswer:"
    assert style.wrap_answer(task, "forward", "[C][C][O]") == (" Result: ", "[C][C][O]", "")
    completion = "<think>two carbons</think> I get this.\nResult: [C][C][O] as asked"
    assert style.read_answer(task, "forward", completion) == "[C][C][O]"
    expected = "Write the molecule with the SELFIES string [C][C][O] as SMILES.\nAnswer:"
    assert style.render(task, "reverse", "[C][C][O]") == expected
    assert style.read_answer(task, "reverse", "".join(style.wrap_answer(task, "reverse", "CCO"))) == "CCO"
    assert style.read_answer(task, "reverse", "CCO") == ""


def test_a_minimal_file_takes_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "formula.yaml"
    path.write_text(yaml.safe_dump(raw_task()))
    task = load_task(path)
    assert (task.equality, task.answer_template, task.answer_pattern, task.right.prose) == (
        "isomeric",
        "{answer}",
        None,
        False,
    )


LEFT = raw_task()["left"]
PATTERN = {"answer_pattern": r"Result: (\S+)", "answer_template": "Result: {answer}"}
BAD = [
    pytest.param({"name": None}, "name: missing, it has no default", id="missing key"),
    pytest.param(
        {"foward_prompt": "x"}, "foward_prompt: unknown key; did you mean 'forward_prompt'?", id="misspelt key"
    ),
    pytest.param(
        {"left": LEFT | {"tga": 1}}, "left.tga: unknown key; did you mean 'tag'?", id="misspelt key of a domain"
    ),
    pytest.param(
        {"left": "SMILES"}, "left: got 'SMILES', must be a mapping of keys to values", id="domain not a mapping"
    ),
    pytest.param({"left": LEFT | {"tag": False}}, "left.tag: got False, must be text", id="YAML reads NO as false"),
    pytest.param(
        {"left": LEFT | {"kind": "smiles"}},
        "left.kind: got 'smiles', must be 'molecule', 'molecules' or 'text'",
        id="unknown kind",
    ),
    pytest.param(
        {"left": LEFT | {"tag": "MOLFORMULA"}}, "right.tag: 'MOLFORMULA' is left.tag too", id="same tag twice"
    ),
    pytest.param({"left": LEFT | {"name": "formula"}}, "right.name: 'formula' is left.name too", id="same name twice"),
    pytest.param({"left": LEFT | {"prose": True}}, "left.prose: a structure is never prose", id="prose molecule"),
    pytest.param({"left": LEFT | {"tag": "think"}}, "left.tag: 'think' marks reasoning", id="tag of reasoning"),
    pytest.param({"forward_prompt": "Formula?"}, "forward_prompt: must contain {source}", id="prompt without source"),
    pytest.param(
        {"reverse_prompt": "{sorce} {source}"},
        "reverse_prompt: unknown placeholder {sorce}; did you mean 'source'?",
        id="unknown placeholder",
    ),
    pytest.param(
        {"equality": "same"}, "equality: got 'same', must be 'isomeric', 'stereo_free'", id="unknown equality"
    ),
    pytest.param({"answer_pattern": "("}, "answer_pattern: '(' is not a regular expression", id="broken pattern"),
    pytest.param({"answer_pattern": "a|b"}, "answer_pattern: must have exactly one group", id="pattern without group"),
    pytest.param(
        {"answer_template": "Result:"}, "answer_template: must contain {answer}", id="template without answer"
    ),
    pytest.param(PATTERN, "example: missing", id="pattern without example"),
    pytest.param(
        PATTERN | {"answer_template": "{answer}", "example": {"left": "CCO", "right": "C2H6O"}},
        "answer_pattern: reads '' in 'CCO', must read example.left, 'CCO'",
        id="pattern that does not read the template",
    ),
    pytest.param(
        PATTERN | {"example": {"left": "CCO", "right": "C2 H6 O"}},
        "answer_pattern: reads 'C2' in 'Result: C2 H6 O', must read example.right, 'C2 H6 O'",
        id="pattern that cuts the answer",
    ),
    pytest.param(
        {"answer_template": "Result: {answer}", "example": {"left": "CCO", "right": "C2H6O"}},
        "answer_pattern: reads 'Result: CCO' in 'Result: CCO'",
        id="template without pattern",
    ),
]


@pytest.mark.parametrize(("changes", "problem"), BAD)
def test_a_wrong_key_is_named(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        task_from_mapping(raw_task(**changes))
    assert any(line.startswith(problem) for line in caught.value.problems), caught.value.problems


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    right = {"name": "molecule", "kind": "txt", "tag": "A B"}
    path.write_text(yaml.safe_dump(raw_task(name=None, right=right, forward_prompt="x", equallity="isomeric")))
    with pytest.raises(ConfigError) as caught:
        load_task(path)
    keys = [problem.split(":")[0] for problem in caught.value.problems]
    assert sorted(keys) == ["equallity", "forward_prompt", "name", "right.kind", "right.name", "right.tag"]
    assert str(caught.value).startswith(f"task file {path}: 6 problems:\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("name: [", "is not YAML", id="not YAML"),
        pytest.param("- naming", "must hold keys and values", id="a list"),
        pytest.param("", "must hold keys and values", id="empty"),
        pytest.param("1: x", "1: unknown key", id="a key that is no text"),
    ],
)
def test_a_file_that_is_no_task(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_task(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param("namng", "neither a built-in task nor a path to a YAML file; did you mean 'naming'?", id="slip"),
        pytest.param("tasks/mine.yaml", "task file tasks/mine.yaml: cannot be read (No such file", id="missing file"),
        pytest.param("tasks/", "task file tasks/: cannot be read", id="folder"),
    ],
)
def test_a_task_that_is_not_there(given: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_task(given)
    assert message in str(caught.value)


def test_equalities_are_those_of_chem() -> None:
    molecule = pytest.importorskip("rtrl_chem.chem.molecule")
    assert set(EQUALITIES) == set(molecule.EQUALITIES)


def test_tasks_load_neither_torch_nor_rdkit_nor_transformers() -> None:
    code = (
        "import sys, rtrl_chem.tasks; print(sorted({'torch', 'rdkit', 'transformers', 'datasets'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.strip() == "[]"
