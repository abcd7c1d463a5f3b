"""The committed list of TRL's and PEFT's fields is that of the installed versions."""

import re
from enum import Enum
from importlib.resources import files
from typing import Any, Literal, Optional

import pytest

from rtrl_chem.passthrough import (
    BATCH_DEFAULTS,
    CHOICES,
    NOT_OF_PPO,
    OWNED,
    OWNED_LORA,
    RLOO_BETA,
    RLOO_GENERATIONS,
    SAMPLING,
    TRAINERS,
)

script = pytest.importorskip("list_trl_fields")


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("annotation", "kinds"),
    [
        (int, {"int"}),
        (Optional[float], {"float", "null"}),  # noqa: UP045 - PEFT still writes it so
        (list[str] | str, {"list", "str"}),
        (dict[str, Any] | None, {"dict", "null"}),
        (Literal["a", True], {"str", "bool"}),
        (Colour | str, {"str"}),
        (Any, None),
        (Optional[Colour | object], None),  # noqa: UP045
    ],
    ids=["plain", "optional", "list or text", "mapping", "literal", "enum", "any", "a class"],
)
def test_kinds_of_an_annotation(annotation: Any, kinds: set[str] | None) -> None:
    assert script.kinds(annotation) == kinds


def test_the_committed_list_is_current() -> None:
    committed = (files("rtrl_chem") / "assets" / "trl_fields.json").read_text(encoding="utf-8")
    assert committed == script.as_text(script.build()), (
        "run: python scripts/list_trl_fields.py > rtrl_chem/assets/trl_fields.json"
    )


def test_what_the_checks_name_is_there() -> None:
    content = script.build()
    assert set(OWNED) <= set(content["GRPOConfig"]) | set(content["SFTConfig"])
    assert set(OWNED_LORA) <= set(content["LoraConfig"])
    assert set(SAMPLING) <= set(content["GRPOConfig"])
    assert set(NOT_OF_PPO) <= set(content["GRPOConfig"])
    assert set(TRAINERS.values()) <= set(content)


def test_every_loss_of_trl_is_known() -> None:
    help_text = script.GRPOConfig.__dataclass_fields__["loss_type"].metadata["help"]
    named = help_text.partition("Supported values are")[2].partition(".")[0]
    assert set(re.findall(r"'(\w+)'", named)) == set(CHOICES["loss_type"])
    assert set(CHOICES) <= set(script.build()["GRPOConfig"])


def test_the_batch_defaults_are_those_of_trl() -> None:
    fields = script.GRPOConfig.__dataclass_fields__
    assert {name: fields[name].default for name in BATCH_DEFAULTS} == BATCH_DEFAULTS
    of_rloo = script.RLOOConfig.__dataclass_fields__
    assert {name: of_rloo[name].default for name in BATCH_DEFAULTS} == BATCH_DEFAULTS | {
        "num_generations": RLOO_GENERATIONS
    }
    assert of_rloo["beta"].default == RLOO_BETA
