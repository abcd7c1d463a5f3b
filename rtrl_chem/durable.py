"""Files and folders that are whole or not there, whatever happens to the process or the machine.

What is new lies under a name of its own until it is complete and on the disk; then it is renamed, which happens at once
or not at all.
"""

from __future__ import annotations

import errno
import gzip
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = [
    "PARTIAL",
    "finite",
    "move_into_place",
    "read_packed",
    "remove",
    "remove_partials",
    "replacing",
    "sync",
    "write_json",
    "write_packed",
    "write_text",
]

PARTIAL = ".partial"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write a file to; it takes `path`'s place when the block ends without an error.

    Folders are made as needed. Two processes may do so at once: each has a path of its own, and the last file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    try:
        yield partial
        sync(partial)
        partial.replace(path)
        sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """A UTF-8 file with this text."""
    _write(path, text.encode("utf8"))


def write_json(path: Path, content: Any) -> None:
    """Indented JSON."""
    write_text(path, json.dumps(content, indent=2) + "\n")


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
    """Give a complete folder its name, in place of an earlier one, once all that is in it is on the disk."""
    for where, folders, files in os.walk(partial, topdown=False):
        for name in [*files, *folders]:
            sync(Path(where, name))
    sync(partial)
    remove(folder)  # no folder is renamed onto one that holds something
    partial.rename(folder)
    sync(folder.parent)


def remove_partials(folder: Path) -> None:
    """Remove what a kill has left half-written in a folder and below it. Nobody else may be writing there."""
    for path in list(folder.rglob(f"*{PARTIAL}")):
        remove(path)


def remove(path: Path) -> None:
    """Take a folder away, or what stands in its place; what a link leads to stays."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


def sync(path: Path) -> None:
    """Put a file on the disk, or the names in a folder: a rename is only as lasting as they are."""
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    finally:
        os.close(handle)


# What a file system says that has no such thing for what was opened: some mounted over a network, for folders.
_CANNOT = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as partial:
        partial.write_bytes(content)
