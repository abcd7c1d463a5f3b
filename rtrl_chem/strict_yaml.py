"""YAML as people expect it: `1e-4` is a number, `no` is a word, a key given twice is a problem.

PyYAML follows YAML 1.1, where `1e-4` is text, `no` is false, `1:30` is 90 and the last of two equal keys silently wins.
This is its safe loader with the scalars of YAML 1.2's core schema (plus `10_000`), and a dumper that quotes to match.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

__all__ = ["YamlError", "dump", "parse"]

_DIGITS = "0123456789"
_FLOAT = "|".join(
    [
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?",
        r"[-+]?[0-9]+[eE][-+]?[0-9]+",
        r"[-+]?\.(?:inf|Inf|INF)",
        r"\.(?:nan|NaN|NAN)",
    ]
)
_SCALARS = [
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*)", list("-+" + _DIGITS)),
    ("float", _FLOAT, list("-+." + _DIGITS)),
    ("merge", r"<<", ["<"]),
]


# Far beyond any config; what is read is checked, compared and written out value by value.
MAX_VALUES = 100_000


class YamlError(ValueError):
    """The text is not YAML; the message says where and why, on one line."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 (PyYAML declares it so)


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 (PyYAML declares it so)

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _name, _pattern, _first in _SCALARS:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), _first)


def parse(text: str) -> tuple[Any, list[str]]:
    """The data in a YAML text, and a line for each key that is given twice; YamlError if it cannot be read."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, []
        nodes: dict[int, tuple[yaml.Node, int]] = {}
        if _size(node, nodes) > MAX_VALUES:
            raise YamlError(f"its aliases write out to more than {MAX_VALUES:,} values; write them without")
        # Before anything is made of the nodes: `<<` copies the keys of one mapping into another.
        repeats = [line for one, _ in nodes.values() if isinstance(one, yaml.MappingNode) for line in _repeats(one)]
        return loader.construct_document(node), repeats
    except RecursionError:  # an alias inside its own anchor has no end
        raise YamlError("nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise YamlError(" ".join(str(error).split())) from None


def _size(node: yaml.Node, known: dict[int, tuple[yaml.Node, int]]) -> int:
    """How many values a node holds when each alias is written out: nine lines of aliases of aliases hold a billion.
    `known` gets each node that is in it, with its size."""
    if id(node) not in known:
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        inner = (one for part in parts for one in (part if isinstance(part, tuple) else (part,)))
        known[id(node)] = node, 1 + sum(_size(one, known) for one in inner)
    return known[id(node)][1]


def _repeats(mapping: yaml.MappingNode) -> Iterator[str]:
    """A line for each key of a mapping that is given twice."""
    lines: dict[tuple[str, str], int] = {}
    for key, _ in mapping.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        line, same = key.start_mark.line + 1, (key.tag, key.value)
        if same in lines:
            yield f"{key.value}: given twice, in lines {lines[same]} and {line}; keep one"
        lines[same] = line


def dump(data: Any) -> str:
    """`data` as YAML text, in ASCII, that `parse` reads back to the same: unescaped, some line separators would not."""
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=120))
