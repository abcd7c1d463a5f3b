"""Errors: what a user reads and the status the command line ends with."""

import pickle
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from rtrl_chem import __version__, errors
from rtrl_chem.errors import ConfigError, RtrlError, did_you_mean, problems_of

STATUS = {
    "RtrlError": 1,
    "ConfigError": 2,
    "CorpusError": 1,
    "ModelError": 1,
    "RunFolderError": 2,
    "ResumeError": 1,
    "RewardError": 1,
    "DivergedError": 1,
    "SavingError": 1,
}
# Those that are not made of a message.
MADE = {
    "OutOfMemoryError": (errors.OutOfMemoryError("update", "lower this", "2 GiB"), 1, "lower this"),
    "Interrupted": (errors.Interrupted(15), 143, "SIGTERM"),
}


@pytest.mark.parametrize(("name", "status"), STATUS.items(), ids=STATUS)
def test_every_error_is_ours_and_has_its_exit_status(name: str, status: int) -> None:
    error = getattr(errors, name)("what was given")
    assert isinstance(error, RtrlError)
    assert error.exit_status == status
    assert "what was given" in str(error)


def test_no_error_class_is_missing_from_the_table() -> None:
    classes = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, RtrlError)}
    assert classes == {*STATUS, *MADE}


@pytest.mark.parametrize(("error", "status", "said"), MADE.values(), ids=MADE)
def test_errors_with_a_message_of_their_own(error: RtrlError, status: int, said: str) -> None:
    assert error.exit_status == status
    assert said in str(error)


@pytest.mark.parametrize(
    ("problems", "where", "message"),
    [
        pytest.param("seed: wrong", None, "seed: wrong", id="one"),
        pytest.param("seed: wrong", "my.yaml", "my.yaml: seed: wrong", id="one with a file"),
        pytest.param(["a", "b"], "my.yaml", "my.yaml: 2 problems:\n  - a\n  - b", id="several"),
    ],
)
def test_config_error_shows_every_problem(problems: str | list[str], where: str | None, message: str) -> None:
    error = ConfigError(problems, where)
    assert str(error) == message
    assert error.problems == ([problems] if isinstance(problems, str) else problems)


def test_config_error_without_a_problem_is_a_bug() -> None:
    with pytest.raises(ValueError, match="at least one problem"):
        ConfigError([])


def test_config_error_survives_pickling() -> None:
    copy = pickle.loads(pickle.dumps(ConfigError(["a", "b"], "my.yaml")))
    assert (copy.problems, copy.where, str(copy)) == (["a", "b"], "my.yaml", "my.yaml: 2 problems:\n  - a\n  - b")


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        pytest.param("namng", "did you mean 'naming'?", id="slip"),
        pytest.param("q", "choose from 'naming', 'reaction'", id="nothing near"),
    ],
)
def test_did_you_mean(given: str, hint: str) -> None:
    assert did_you_mean(given, ["naming", "reaction"]) == hint


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    weight: float = 1.0


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    task: str
    on: bool = True
    mode: Literal["fast", "slow"] = "fast"
    inner: Inner = Inner()

    @field_validator("task")
    @classmethod
    def known(cls, value: str) -> str:
        if value == "bad":
            raise ValueError("must not be bad")
        return value


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        pytest.param({}, "task: missing, it has no default", id="missing"),
        pytest.param({"task": 3}, "task: got 3, must be text", id="not text"),
        pytest.param({"task": "bad"}, "task: must not be bad", id="own check"),
        pytest.param({"task": "x", "on": []}, "on: got [], must be true or false", id="not a switch"),
        pytest.param({"task": "x", "mode": "fst"}, "mode: got 'fst', must be 'fast' or 'slow'", id="choice"),
        pytest.param({"task": "x", "inner": 5}, "inner: got 5, must be a mapping of keys to values", id="section"),
        pytest.param({"task": "x", "taks": 1}, "taks: unknown key; did you mean 'task'?", id="misspelt"),
        pytest.param(
            {"task": "x", "inner": {"wieght": 1}},
            "inner.wieght: unknown key; did you mean 'weight'?",
            id="misspelt inside",
        ),
        pytest.param(
            {"task": "x", "inner": {"weight": "much"}},
            "inner.weight: got 'much'. Input should be a valid number, unable to parse string as a number",
            id="anything else in pydantic's words",
        ),
    ],
)
def test_a_pydantic_error_becomes_one_line_per_problem(raw: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(raw)
    lines = problems_of(caught.value, lambda location: list((Inner if location else Outer).model_fields))
    assert lines == [problem]


def test_version_is_a_version() -> None:
    assert __version__[0].isdigit()
