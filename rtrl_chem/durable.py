"""Files and folders that are whole or not there, whatever happens to the process or the machine.

What is new lies under a name of its own until it is complete and on the disk; then it is renamed, which happens at once
or not at all.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

__all__ = ["PARTIAL", "finite", "move_into_place", "read_packed", "remove", "sync_folder", "write_packed", "write_text"]

PARTIAL = ".partial"


def write_text(path: Path, text: str) -> None:
    """A UTF-8 file with this text."""
    _write(path, text.encode("utf8"))


def write_packed(path: Path, content: Any) -> None:
    """A gzipped JSON file; floats come back as they were, infinite and NaN ones too."""
    _write(path, gzip.compress(json.dumps(content).encode("utf8"), compresslevel=1, mtime=0))


def read_packed(path: Path) -> Any:
    """What `write_packed` wrote."""
    return json.loads(gzip.decompress(path.read_bytes()))


def finite(value: Any) -> Any:
    """A value as every program reads it from JSON, which knows neither NaN nor infinity: they become null.

    >>> finite({"kl": float("nan"), "reward": 0.5})
    {'kl': None, 'reward': 0.5}
    """
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def move_into_place(partial: Path, folder: Path) -> None:
    """Give a complete folder its name, once all that is in it is on the disk."""
    for where, folders, files in os.walk(partial, topdown=False):
        for name in [*files, *folders]:
            _sync(Path(where, name))
    _sync(partial)
    partial.rename(folder)
    sync_folder(folder.parent)


def remove(path: Path) -> None:
    """Take a folder away, or what stands in its place; what a link leads to stays."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk: a rename is only as lasting as they are."""
    _sync(folder)


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + PARTIAL)
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
