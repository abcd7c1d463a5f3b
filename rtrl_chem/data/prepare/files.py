"""What tells the contents of files apart, and where files can be written."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

__all__ = ["folder_problem", "sha256_of"]


def sha256_of(path: Path) -> str:
    """sha256 of a file, as hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def folder_problem(folder: Path) -> str:
    """Why no file can be written to a folder, which is made if it is not there; "" if one can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"{folder} is no folder and cannot be made one ({error.strerror}); name another"
    return "" if os.access(folder, os.W_OK) else f"{folder} cannot be written; name another"
