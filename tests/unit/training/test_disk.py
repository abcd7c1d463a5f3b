"""Which errors are about the disk, and what is said of them."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from rtrl_chem.errors import RtrlError, SavingError
from rtrl_chem.training.disk import disk_errors

TENSORS = {"a": torch.arange(50_000)}
WRITERS: list[Callable[[Path], object]] = [
    lambda path: torch.save(TENSORS, path),
    lambda path: save_file(TENSORS, path),
    lambda path: path.write_bytes(b"0" * 400_000),
    lambda path: pq.write_table(pa.table({"a": list(range(50_000))}), path),
]


@contextmanager
def only_small_files() -> Iterator[None]:
    """As on a disk that is full: a larger file cannot be written to its end. Not around a whole test: it holds for the
    file that pytest's own output may go to, too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("write", WRITERS, ids=["torch", "safetensors", "python", "parquet"])
def test_whoever_writes_it_is_one_line(tmp_path: Path, write: Callable[[Path], object]) -> None:
    with pytest.raises(SavingError) as caught, disk_errors(tmp_path, "step 3"), only_small_files():
        write(tmp_path / "file")
    assert str(caught.value).startswith(f"step 3 cannot be saved to {str(tmp_path)!r}: ")
    assert str(caught.value).endswith("; what was saved before is good, go on with --resume")
    assert "\n" not in str(caught.value)


def os_error(number: int, file: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), file)


@pytest.mark.parametrize(
    ("number", "file", "said"),
    [
        pytest.param(errno.EDQUOT, None, "the quota is used up, free some space;", id="quota"),
        pytest.param(errno.EROFS, "run/a", "the file system is read-only", id="read-only"),
        pytest.param(errno.EACCES, "run/a", "the folder cannot be written", id="permissions"),
        pytest.param(errno.ENOENT, "run/a", "was removed while the run went on", id="removed"),
        pytest.param(errno.EIO, None, "the disk fails", id="broken"),
        pytest.param(errno.ENOSPC, "/tmp/x", "the disk is full, free some space (/tmp/x);", id="another disk"),
    ],
)
def test_each_problem_has_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, file: str | None, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SavingError) as caught, disk_errors(Path("run"), "the run"):
        raise os_error(number, file)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(os_error(errno.EACCES, "/data/my.smi"), id="a file that cannot be read"),
        pytest.param(os_error(errno.ENOENT, "java"), id="a program that is missing"),
        pytest.param(os_error(errno.ECONNREFUSED), id="a connection"),
        pytest.param(KeyError("x"), id="a mistake of ours"),
        pytest.param(RtrlError("said already"), id="said already"),
    ],
)
def test_what_is_not_about_the_run_passes(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, disk_errors(tmp_path, "the run"):
        raise error
    assert caught.value is error
