"""`bundled:NAME` is a file of the package and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtrl_chem.data import bundled_names, bundled_path
from rtrl_chem.data.bundled import is_bundled
from rtrl_chem.errors import ConfigError


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    for name in ("naming/test.tsv.gz", "naming/unlabelled.tsv.gz", "naming/manifest.json"):
        path = tmp_path / "assets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "outside.tsv.gz").touch()
    return tmp_path / "assets"


def test_names_are_the_data_files(assets: Path) -> None:
    assert bundled_names(assets) == ["naming/test", "naming/unlabelled"]


@pytest.mark.parametrize("name", ["naming/test", "bundled:naming/test"])
def test_path_of_a_name_with_or_without_prefix(assets: Path, name: str) -> None:
    assert bundled_path(name, assets) == assets / "naming/test.tsv.gz"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("bundled:naming/unlabeled", "did you mean 'naming/unlabelled'"), ("bundled:../outside", "no bundled data set")],
)
def test_unknown_name_is_a_config_error(assets: Path, name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        bundled_path(name, assets)


@pytest.mark.parametrize(("path", "expected"), [("bundled:x", True), ("my/bundled:x", False), (Path("x.smi"), False)])
def test_prefix(path: str | Path, expected: bool) -> None:
    assert is_bundled(path) is expected


def test_the_package_brings_the_naming_splits() -> None:
    assert {f"naming/{split}" for split in ("labelled", "unlabelled", "validation", "test")} <= set(bundled_names())
