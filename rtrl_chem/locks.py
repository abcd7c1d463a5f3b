"""One process at a time in a folder."""

from __future__ import annotations

import os
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK", "locked"]

LOCK = ".lock"


def locked(file: IO[str]) -> bool:
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
