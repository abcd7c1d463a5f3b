"""The output folder while it is worked on: `.work` holds what was asked for and the chunks that are done.

A chunk's file is there in full or not at all, so a run that was killed goes on where it was, if it is asked for the
same: settings, inputs (by checksum) and versions of what decides the output.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rtrl_chem.data.prepare.inputs import REJECTS
from rtrl_chem.data.prepare.settings import SPLITS
from rtrl_chem.data.prepared import FORMAT, MANIFEST, read_manifest
from rtrl_chem.durable import PARTIAL, replacing
from rtrl_chem.errors import RunFolderError
from rtrl_chem.locks import LOCK, held

__all__ = ["Workplace"]

REQUEST = "request.json"
BENCHMARKS = "benchmarks.json"


class Workplace:
    """The folder of a corpus that is being made, or is finished."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.work = out / ".work"

    @property
    def manifest(self) -> dict[str, Any] | None:
        """The manifest of a finished corpus."""
        content = read_manifest(self.out)
        return content if content.get("format") == FORMAT else None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out of the folder while inside. RunFolderError if another one is at work there, or if it
        is no folder."""
        if self.out.exists() and not self.out.is_dir():
            raise self._foreign()
        in_use = f"{self.out}: another rtrl-chem prepare is at work there; wait for its end, or give another --out"
        with held(self.out, in_use):
            yield

    def enter(self, request: dict[str, Any], overwrite: bool) -> bool:
        """Make the folder ready for `request`; whether it holds that corpus already, finished.

        RunFolderError where it holds another corpus, finished or not, or something else.
        """
        if overwrite:
            self._clear()
        if (manifest := self.manifest) is not None:
            self._require_same(request, {key: manifest.get(key) for key in request}, "is the corpus")
            shutil.rmtree(self.work, ignore_errors=True)  # where a run was killed in its very last step
            return True
        known = self.work / REQUEST
        if known.is_file():
            begun = json.loads(known.read_text(encoding="utf-8"))
            if self.chunks():
                self._require_same(request, begun, "holds the unfinished corpus")
            elif begun != request:  # nothing was done yet, perhaps because that call was wrong
                shutil.rmtree(self.work)
        elif self.out.exists() and not self.work.is_dir() and not _is_empty(self.out):
            raise self._foreign()
        self.work.mkdir(parents=True, exist_ok=True)
        for partial in (*self.out.glob(f"*{PARTIAL}"), *self.work.glob(f"*{PARTIAL}")):
            partial.unlink()
        self.write(known, json.dumps(request, indent=2))
        return False

    def _foreign(self) -> RunFolderError:
        return RunFolderError(f"{self.out} is there and is no prepared corpus: give a new or an empty folder as --out")

    def _require_same(self, request: dict[str, Any], known: dict[str, Any], what: str) -> None:
        if difference := next(_differences(known, request), None):
            raise RunFolderError(
                f"{self.out} {what} of another call ({difference}): give --overwrite to replace it, or another --out"
            )

    def _clear(self) -> None:
        """Remove what we wrote, and nothing else. An empty `.work` stays: whatever is killed on the way, it is ours."""
        if self.manifest is None and not self.work.is_dir():
            return
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        for pattern in (MANIFEST, REJECTS, *(f"{split}-*-of-*.parquet" for split in SPLITS)):
            for path in self.out.glob(pattern):
                path.unlink()

    # ---- what is in it ----------------------------------------------------------------------------------------------

    def chunk(self, index: int) -> Path:
        """The file of a chunk."""
        return self.work / f"chunk-{index:08d}.parquet"

    def chunks(self) -> list[Path]:
        """The chunks that are done, in order."""
        return sorted(self.work.glob("chunk-*.parquet"))

    @property
    def benchmarks(self) -> Path:
        """The index of the benchmarks, which must not change between two halves of a corpus."""
        return self.work / BENCHMARKS

    def write(self, path: Path, content: str | bytes) -> None:
        """Write a file, in full or not at all."""
        with replacing(path) as partial:
            partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)

    def finish(self, manifest: dict[str, Any]) -> None:
        """The last step: from here on it is a corpus."""
        self.write(self.out / MANIFEST, json.dumps(manifest, indent=2) + "\n")
        shutil.rmtree(self.work)


def _is_empty(folder: Path) -> bool:
    return all(path.name == LOCK for path in folder.iterdir())


def _differences(known: Any, asked: Any, where: str = "") -> Iterator[str]:
    """In what `known` differs from what is asked, in words, one by one; more in it is no difference."""
    if isinstance(known, dict) and isinstance(asked, dict):
        for key in asked:
            yield from _differences(known.get(key), asked.get(key), f"{where}.{key}" if where else str(key))
    elif isinstance(known, list) and isinstance(asked, list) and len(known) == len(asked):
        for one, other in zip(known, asked, strict=True):
            file = other.get("file") if isinstance(other, dict) else None
            yield from _differences(one, other, f"{where} {file}" if file else where)
    elif isinstance(known, list) and isinstance(asked, list):
        yield f"{where}: {len(known)} then, {len(asked)} now"
    elif known != asked:
        yield f"{where}: {_short(known)} then, {_short(asked)} now"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:40] + "..."
