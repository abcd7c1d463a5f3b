"""Whole or not there: files and folders under their own names only when complete."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path

import pytest

from rtrl_chem.durable import (
    move_into_place,
    read_packed,
    remove_partials,
    replacing,
    write_json,
    write_packed,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    real_sync, real_replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("sync"), real_sync(handle)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (done.append("name"), real_replace(self, to))[1])
    write_text(tmp_path / "deep" / "ü a.txt", "β\n")
    assert done == ["sync", "name", "sync"]
    assert (tmp_path / "deep" / "ü a.txt").read_bytes() == "β\n".encode()
    assert names(tmp_path) == ["deep", "deep/ü a.txt"]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(RuntimeError), replacing(tmp_path / "a.json") as partial:
        partial.write_text("half")
        raise RuntimeError
    assert names(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "1\n"


def test_numbers_that_are_none_come_back(tmp_path: Path) -> None:
    write_packed(tmp_path / "a.gz", [0.1, math.inf])
    assert read_packed(tmp_path / "a.gz") == [0.1, math.inf]


def test_a_folder_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    for folder, name in (("new.partial", "b"), ("new", "a")):
        write_text(tmp_path / folder / "deep" / name, "")
    move_into_place(tmp_path / "new.partial", tmp_path / "new")
    assert names(tmp_path) == ["new", "new/deep", "new/deep/b"]


def test_halves_are_removed_wherever_they_are(tmp_path: Path) -> None:
    for name in ("a.txt", "a.txt.77.partial", "deep/b.partial/c.1.partial", "deep/b.partial/c", "deep/d"):
        write_text(tmp_path / name, "")
    remove_partials(tmp_path)
    assert names(tmp_path) == ["a.txt", "deep", "deep/d"]


@pytest.mark.parametrize(
    ("number", "passes"), [pytest.param(errno.EINVAL, True, id="no such thing"), pytest.param(errno.EIO, False)]
)
def test_a_file_system_that_cannot_sync_folders_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, passes: bool
) -> None:
    def fsync(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    if passes:
        write_text(tmp_path / "a", "b")
        assert names(tmp_path) == ["a"]
    else:
        with pytest.raises(OSError, match="Input/output"):
            write_text(tmp_path / "a", "b")
