"""One process at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from rtrl_chem.errors import RunFolderError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK", "held"]

LOCK = ".lock"


def _locked(file: IO[str]) -> bool:
    """Take the lock of a file, which ends with the process however it ends; False if another process has it. Where the
    file system has no locks nobody is kept out."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return os.fstat(file.fileno()).st_nlink > 0  # who had it may have removed it just now


@contextmanager
def held(folder: Path, in_use: str) -> Iterator[None]:
    """Keep other processes out of a folder while inside. It is made where it is not there, and removed again if nothing
    has been written to it. RunFolderError, which says `in_use`, if another process has it; OSError if it cannot be
    written."""
    fresh, lock = not folder.exists(), folder / LOCK
    folder.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        if not _locked(file):
            raise RunFolderError(in_use)
        try:
            yield
        finally:
            with suppress(OSError):  # of a folder that was removed, or is full
                lock.unlink()
                if fresh:
                    folder.rmdir()
