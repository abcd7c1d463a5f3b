"""A disk that is full or cannot be written, in one line, whoever runs into it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rtrl_chem.errors import RtrlError, SavingError

__all__ = ["disk_errors"]

CURE = "what was saved before is good, go on with --resume"


@contextmanager
def disk_errors(folder: Path, what: str) -> Iterator[None]:
    """Turn errors of the disk under a folder into a SavingError about `what`; other errors pass."""
    try:
        yield
    except RtrlError:
        raise
    # Those who write weights turn the system's error into one of their own.
    except Exception as error:
        if (problem := _problem(error, folder)) is None:
            raise
        raise SavingError(f"{what} cannot be saved to {str(folder)!r}: {problem}; {CURE}") from None


def _problem(error: Exception, folder: Path) -> str | None:
    """What is wrong with the disk, if that is what the error is about."""
    text = " ".join(str(error).split())
    known: dict[str, Callable[[], bool]] = {
        "the disk is full, free some space": lambda: "No space left" in text or _free(folder) < 2**20,
        "the quota is used up, free some space": lambda: "quota exceeded" in text,
        "the folder cannot be written": lambda: isinstance(error, PermissionError) or "Read-only file" in text,
    }
    return next((problem for problem, is_it in known.items() if is_it()), None)


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
