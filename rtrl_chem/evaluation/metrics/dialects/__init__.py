"""What reference scripts print, quirks included: one file per script, to compare with published numbers.

Each has `report(predictions, task, direction, settings)` and says in its docstring where it departs from the sound
defaults. The names in a report are those of the reference.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from rtrl_chem.errors import ConfigError, did_you_mean

__all__ = ["DIALECTS", "load_dialect"]

DIALECTS = ("molt5", "smolinstruct", "rxn")


def load_dialect(name: str) -> ModuleType:
    """The dialect's module; ConfigError, with the nearest name, if there is none."""
    if name not in DIALECTS:
        raise ConfigError(f"--compat: got {name!r}; {did_you_mean(name, DIALECTS)}")
    return import_module(f"{__name__}.{name}")
