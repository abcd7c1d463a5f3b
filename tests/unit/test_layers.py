"""Imports point up the list in CONTRIBUTING.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "rtrl_chem"
# As in CONTRIBUTING.md; what stands in one line may import each other.
LAYERS = [
    {"__init__", "errors", "durable", "locks", "closed", "strict_yaml", "terminal", "time_limit"},
    {"chem", "prose"},
    {"tasks"},
    {"config", "passthrough", "regimes", "preflight"},
    {"data"},
    {"models"},
    {"rewards"},
    {"evaluation"},
    {"reporting"},
    {"training"},
    {"cli", "__main__"},
]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
# The options of the rewards are a part of the config.
EXCEPTIONS = {("config", "rewards")}


def imported(statements: list[ast.stmt]) -> Iterator[str]:
    """The modules of ours that are imported when a module is loaded."""
    for one in statements:
        if isinstance(one, ast.ImportFrom) and one.module and one.module.split(".")[0] == "rtrl_chem":
            yield (one.module + ".__init__").split(".")[1]
        elif isinstance(one, ast.Import):
            yield from (name.name.split(".")[1] for name in one.names if name.name.startswith("rtrl_chem."))


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*")), ids=lambda path: path.stem)
def test_imports_point_up(path: Path) -> None:
    files = [path] if path.suffix == ".py" else sorted(path.rglob("*.py"))
    own = path.stem
    for file in files:
        for other in imported(ast.parse(file.read_text(encoding="utf8")).body):
            if (own, other) not in EXCEPTIONS:
                assert LAYER[other] <= LAYER[own], f"{file.relative_to(PACKAGE)} imports {other}"


def test_every_part_has_its_place() -> None:
    parts = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert parts == LAYER.keys()
