"""A disk that is full or cannot be written, in one line, whoever runs into it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rtrl_chem.errors import RtrlError, SavingError

__all__ = ["disk_errors"]

CURE = "what was saved before is good, go on with --resume"
FULL = "the disk is full, free some space"
# Nothing else says these, wherever they come up.
OF_DISKS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: "the quota is used up, free some space",
    errno.EFBIG: "files may not be so large, raise the limit (ulimit -f)",
    errno.EROFS: "the file system is read-only, mount it for writing",
    errno.EIO: "the disk fails, look at the system's log",
}
# These too where they are about something in the run's folder.
OF_THE_FOLDER = OF_DISKS | {
    errno.EACCES: "the folder cannot be written, change its permissions",
    errno.EPERM: "the folder cannot be written, change its permissions",
    errno.ENOENT: "a part of the folder was removed while the run went on, put it back",
    errno.ESTALE: "the file server has lost the folder, mount it again",
}
# What torch says of any file that it could not write to the end.
TORCH_SAYS = ("inline_container", "PytorchStreamWriter failed")


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
    if isinstance(error, OSError):
        file = error.filename
        if isinstance(file, str) and not Path(file).absolute().is_relative_to(folder.absolute()):
            problem = OF_DISKS.get(error.errno or 0)
            return problem and f"{problem} ({file})"  # another disk: that of temporary files, of a cache
        return (OF_THE_FOLDER if file is not None else OF_DISKS).get(error.errno or 0)
    text = " ".join(str(error).split())
    if any(words in text for words in TORCH_SAYS):
        return FULL
    return next((problem for number, problem in OF_DISKS.items() if os.strerror(number) in text), None)
