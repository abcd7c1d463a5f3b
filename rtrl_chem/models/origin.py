"""What a model's path stands for: a whole model, an adapter over another one, or a model for each direction. No torch.

A run leaves in RUN/model/ what its `models` says: a Hugging Face folder (`shared`), or two of them, forward/ and
reverse/, each an adapter (`adapters`) or a whole model (`separate`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtrl_chem.config import load_config
from rtrl_chem.data.bundled import bundled_models, is_bundled, model_path
from rtrl_chem.errors import ConfigError, ModelError
from rtrl_chem.tasks import Direction

__all__ = ["Origin", "origin_of", "sides_of", "style_of_run"]

ADAPTER_FILE = "adapter_config.json"


@dataclass(frozen=True)
class Origin:
    """Where weights come from: `base`, a folder or Hub id of a whole model, and the folder of an adapter over it."""

    base: str
    adapter: Path | None = None

    @property
    def is_bundled(self) -> bool:
        """Whether the base is a model of this package."""
        folder = Path(self.base)
        return folder.name in bundled_models() and folder == Path(model_path(f"bundled:{folder.name}"))


def origin_of(path: str) -> Origin:
    """The origin of `model.path`; ConfigError for a bundled model that does not exist, ModelError for an adapter that
    does not say what it belongs to."""
    folder = Path(model_path(path))
    if not (folder / ADAPTER_FILE).is_file() or (folder / "config.json").is_file():
        return Origin(model_path(path))
    try:
        base = json.loads((folder / ADAPTER_FILE).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError):
        base = None
    if not isinstance(base, str) or not base:
        raise ModelError(f"model {path!r} is an adapter whose {ADAPTER_FILE} names no base_model_name_or_path; add it")
    return Origin(_here(base), folder)


def sides_of(path: str) -> dict[Direction, Path] | None:
    """The folder of each direction's model, where `path` holds one for each; else None."""
    sides = {direction: Path(path) / str(direction) for direction in Direction}
    whole = ("config.json", ADAPTER_FILE)
    found = all(any((folder / name).is_file() for name in whole) for folder in sides.values())
    return sides if found else None


def style_of_run(path: str | Path) -> str | dict[str, Any] | None:
    """The prompt style of the run that wrote `RUN/model` (or a side of it), None for any other folder."""
    folder = Path(path)
    run = folder.parent.parent if folder.name in set(Direction) else folder.parent
    if not (run / "config.yaml").is_file():
        return None
    try:
        config = load_config(run / "config.yaml")
        own = config.reverse_model if folder.name == str(Direction.REVERSE) and config.reverse_model else config.model
    except ConfigError:  # of another program
        return None
    return own.prompt_style or ("compact" if is_bundled(own.path) else style_of_run(own.path))


def _here(base: str) -> str:
    """A bundled model's folder, which an adapter names as it was where it was trained."""
    folder = Path(base)
    is_asset = folder.parent.name == "assets" and folder.parent.parent.name == "rtrl_chem"
    return model_path(f"bundled:{folder.name}") if is_asset and folder.name in bundled_models() else base
