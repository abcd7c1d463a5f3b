"""IUPAC names by `openclatura`, each read back by OPSIN before it is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from rdkit import rdBase

from rtrl_chem.chem.naming import Opsin
from rtrl_chem.data.inspect.pairs import NAME_CHECKS, name_problem
from rtrl_chem.errors import ConfigError
from rtrl_chem.time_limit import TimeIsUp, time_limit

__all__ = ["Named", "name_molecules", "read_back", "require_namers"]

# The names of the column of pairs stay one line in any file.
_BREAKS = ("\t", "\n", "\r")


@dataclass(frozen=True, slots=True)
class Named:
    """The name of a molecule, or "" and the reason why there is none."""

    name: str
    reason: str = ""


def require_namers() -> None:
    """ConfigError that says what to install, where openclatura, py2opsin or Java is missing."""
    if find_spec("openclatura") is None:
        raise ConfigError("names need openclatura: install `rtrl-chem[pairs]`, on Python 3.11 or newer")
    if not Opsin.available():
        raise ConfigError("names are checked by OPSIN: install Java 8 or newer and `rtrl-chem[pairs]`")


def name_molecules(smiles: list[str], seconds: float | None = None) -> list[Named]:
    """A name for each molecule, none of them checked; at most `seconds` for each, unlimited by default.

    The limit works in a process's main thread, where the workers of `stream_chunks` run.
    """
    with rdBase.BlockLogs():
        return [_name(one, seconds) for one in smiles]


def _name(smiles: str, seconds: float | None) -> Named:
    from openclatura import name_smiles

    try:
        with time_limit(seconds):
            name = name_smiles(smiles)
    except TimeIsUp:
        return Named("", f"not named within {seconds:g} seconds")
    except Exception as error:  # whatever a structure that it does not expect makes it raise
        return Named("", f"cannot be named ({type(error).__name__})")
    if not name or any(character in name for character in _BREAKS):
        return Named("", "cannot be named")
    return Named(str(name))


def read_back(molecules: Sequence[str], names: Sequence[str]) -> list[str]:
    """For each canonical SMILES and name: "" if OPSIN reads the name as the molecule, else what is wrong with it."""
    reasons = []
    for molecule, read in zip(molecules, Opsin().read(names), strict=True):
        problem = name_problem(molecule, read)
        reasons.append(NAME_CHECKS[problem.key] if problem else "")
    return reasons
