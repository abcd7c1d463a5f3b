"""List the fields of TRL's and PEFT's configurations, so that a config is checked in a moment, without importing torch.

    python scripts/list_trl_fields.py > rtrl_chem/assets/trl_fields.json

Each field goes with the kinds of YAML value it takes (bool, int, float, str, list, dict, null); an empty list means
that its type says nothing YAML could be held to. Run it again after every upgrade; a test compares.
"""

import json
import types
import typing
from dataclasses import fields
from enum import Enum
from importlib.metadata import version
from typing import Any, Literal, Union

from peft import LoraConfig
from trl import GRPOConfig, RLOOConfig, SFTConfig

ORDER = ("bool", "int", "float", "str", "list", "dict", "null")
# Annotated more narrowly than documented: `scale_rewards (str or bool)`.
ALSO = {"scale_rewards": {"bool"}}


def kinds(annotation: Any) -> set[str] | None:
    """The kinds of value an annotation admits; None where it names a class that YAML cannot write."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        parts = [kinds(argument) for argument in arguments]
        return None if any(part is None for part in parts) else set().union(*(part for part in parts if part))
    if origin is Literal:
        return {"null" if value is None else type(value).__name__ for value in arguments}
    if annotation is type(None):
        return {"null"}
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return {"str"}
    plain = origin or annotation
    return {plain.__name__} if plain in (bool, int, float, str, list, dict) else None


def listing(config: type) -> dict[str, list[str]]:
    """Name and kinds of every field, by name."""
    hints = typing.get_type_hints(config)
    found = {f.name: (kinds(hints[f.name]) or set()) | ALSO.get(f.name, set()) for f in fields(config) if f.init}
    return {name: sorted(found[name], key=ORDER.index) for name in sorted(found)}


def build() -> dict[str, Any]:
    """The whole file."""
    versions = {name: version(name) for name in ("trl", "transformers", "peft")}
    configs = (GRPOConfig, RLOOConfig, SFTConfig, LoraConfig)
    return {"versions": versions} | {config.__name__: listing(config) for config in configs}


def as_text(content: dict[str, Any]) -> str:
    """One line a field, so that an upgrade shows as a readable diff."""
    blocks = []
    for section, entries in content.items():
        lines = [f"    {json.dumps(name)}: {json.dumps(value)}" for name, value in entries.items()]
        blocks.append(f"  {json.dumps(section)}: {{\n" + ",\n".join(lines) + "\n  }")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


if __name__ == "__main__":
    print(as_text(build()), end="")
