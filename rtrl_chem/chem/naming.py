"""OPSIN, the independent reader of IUPAC names, through the optional package `py2opsin` (it needs Java).

OPSIN: Lowe et al., J. Chem. Inf. Model. 2011, 51, 739. It is a Java program: a call costs about a second of start-up
whatever it reads, so names are read in one batch.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from rtrl_chem.chem.molecule import canonical
from rtrl_chem.errors import RtrlError

__all__ = ["Opsin"]


class Opsin:
    """A judge of names that is no part of the model: `Opsin().read(["ethanol", "no name"])` is `["CCO", None]`."""

    @staticmethod
    def available() -> bool:
        """Whether both `py2opsin` and Java are there."""
        return find_spec("py2opsin") is not None and shutil.which("java") is not None

    def read(self, names: Sequence[str]) -> list[str | None]:
        """Canonical isomeric SMILES of each name, None where OPSIN cannot read it; same length and order as `names`.

        White space inside a name is folded to single spaces (a name is one line of OPSIN's input), empty names are not
        sent, and each distinct name is sent once. RtrlError if OPSIN is not available or its process fails.
        """
        lines = [_one_line(name) for name in names]
        distinct = sorted({line for line in lines if line})
        structures = dict(zip(distinct, _run_opsin(distinct), strict=True)) if distinct else {}
        return [canonical(structures[line]) if line else None for line in lines]


def _one_line(name: str) -> str:
    # A lone surrogate, which a byte-level tokenizer can produce, cannot be written to OPSIN's input file.
    return " ".join(name.encode("utf-8", "ignore").decode("utf-8").split())


def _run_opsin(names: list[str]) -> list[str]:
    """OPSIN's SMILES for each name, "" where it has none."""
    if not Opsin.available():
        raise RtrlError("OPSIN needs Java and the package py2opsin: install Java 8 or newer and `rtrl-chem[opsin]`")
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # py2opsin repeats OPSIN's complaint about every unreadable name
        # Importing it starts Java to look for it: not at module level.
        from py2opsin import py2opsin  # type: ignore[import-untyped]

        # Its default is one fixed file in the working directory, which two processes would share.
        try:
            answers = py2opsin(names, tmp_fpath=str(Path(folder) / "names.txt"))
        except (OSError, TypeError) as error:  # TypeError: how it reports a failed Java process
            raise RtrlError(f"OPSIN failed on {len(names)} names: {error}") from error
    if not isinstance(answers, list) or len(answers) != len(names):
        raise RtrlError(f"OPSIN gave no line-by-line answer to {len(names)} names; check `java -version`")
    return answers
