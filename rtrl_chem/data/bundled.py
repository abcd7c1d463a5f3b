"""Data sets and models that come with the package: `bundled:naming/unlabelled` is a file under `rtrl_chem/assets`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from rtrl_chem.errors import ConfigError, did_you_mean

__all__ = ["PREFIX", "bundled_lines", "bundled_models", "bundled_names", "bundled_path", "is_bundled", "model_path"]

PREFIX = "bundled:"
SUFFIX = ".tsv.gz"


def is_bundled(path: str | Path) -> bool:
    """Whether `path` is written `bundled:NAME`."""
    return str(path).startswith(PREFIX)


def bundled_names(root: Path | None = None) -> list[str]:
    """Every bundled data set, sorted: `naming/labelled`, `naming/test`, ... `root` defaults to the package's assets."""
    root = root or _assets()
    return sorted(path.relative_to(root).as_posix()[: -len(SUFFIX)] for path in root.rglob("*" + SUFFIX))


def bundled_path(name: str, root: Path | None = None) -> Path:
    """The file of a bundled data set, named with or without the `bundled:` prefix; ConfigError if there is none."""
    bare = name.removeprefix(PREFIX)
    root = root or _assets()
    names = bundled_names(root)
    # Membership, not path arithmetic: `bundled:../../x` must not reach outside the assets.
    if bare not in names:
        raise ConfigError(f"no bundled data set {PREFIX + bare!r}: {did_you_mean(bare, names)}")
    return root / (bare + SUFFIX)


def bundled_lines(name: str) -> Path:
    """The file of `bundled:guard/texts.jsonl`: rows that are more than text cells. ConfigError if there is none."""
    bare = name.removeprefix(PREFIX)
    names = sorted(path.relative_to(_assets()).as_posix() for path in (_assets() / "guard").glob("*.jsonl"))
    if bare not in names:
        raise ConfigError(f"no bundled file {PREFIX + bare!r}: {did_you_mean(bare, names)}")
    return _assets() / bare


def _assets() -> Path:
    return Path(str(files("rtrl_chem"))) / "assets"


def bundled_models(root: Path | None = None) -> list[str]:
    """Every bundled model, sorted: `tiny`, ..."""
    return sorted(path.parent.name for path in (root or _assets()).glob("*/model.safetensors"))


def model_path(path: str) -> str:
    """The folder of `bundled:NAME`; any other path or Hub id as it is. ConfigError if no such model is bundled."""
    if not is_bundled(path):
        return path
    bare = path.removeprefix(PREFIX)
    names = bundled_models()
    if bare not in names:
        raise ConfigError(f"no bundled model {path!r}: {did_you_mean(bare, names)}")
    return str(_assets() / bare)
