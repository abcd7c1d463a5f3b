"""What an evaluation has generated and scored so far, so that a killed one goes on where it stopped.

One JSON line for each finished batch, flushed as it comes. The batches are a function of the sources and the settings,
and each draws its own random numbers, so what is generated after a restart is what an uninterrupted evaluation would
have generated. A journal of other sources, settings or weights is started anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rtrl_chem.durable import write_text

if TYPE_CHECKING:
    from rtrl_chem.models.codec import Answer

__all__ = ["Journal", "Stage", "fingerprint"]

Groups = list[list["Answer"]]


class Journal:
    """The finished batches of one process in `path`. `key` stands for everything that decides the answers."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key
        self._known: dict[str, dict[int, Any]] = {}
        kept = self._read()
        write_text(path, "".join([json.dumps({"key": key}) + "\n", *kept]))
        self._file: IO[str] = path.open("a", encoding="utf-8")

    def stage(self, name: str, sources: Iterable[str]) -> Stage:
        """The batches of one pass over some sources."""
        return Stage(self, f"{name} {fingerprint(*sources)}")

    def remove(self) -> None:
        """The evaluation is complete: its files hold everything."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _read(self) -> list[str]:
        """The whole lines of an earlier journal with this key; what a kill cut off is dropped."""
        if not self.path.is_file():
            return []
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        kept: list[str] = []
        for number, line in enumerate(lines):
            try:
                record = json.loads(line)
            except ValueError:
                break
            if not line.endswith("\n"):
                break
            if number == 0:
                if record.get("key") != self.key:
                    return []
                continue
            self._known.setdefault(record["stage"], {})[record["batch"]] = record["answers"]
            kept.append(line)
        return kept

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


class Stage:
    """One pass over some sources: what is known of it, and where its next batches go."""

    def __init__(self, journal: Journal, name: str) -> None:
        self._journal = journal
        self._name = name

    def get(self, batch: int) -> Groups | None:
        """The answers of a batch that was finished before."""
        from rtrl_chem.models.codec import Answer

        known = self.recall(batch)
        return None if known is None else [[Answer(*answer) for answer in group] for group in known]

    def put(self, batch: int, groups: Groups) -> None:
        """Keep the answers of a batch."""
        self.record(batch, [[astuple(answer) for answer in group] for group in groups])

    def recall(self, number: int) -> Any:
        """What was recorded under this number, None if nothing."""
        return self._journal._known.get(self._name, {}).get(number)

    def record(self, number: int, content: Any) -> None:
        """Keep something that JSON can hold: the answers of a batch, the scores of a block."""
        self._journal._write({"stage": self._name, "batch": number, "answers": content})


def fingerprint(*parts: str) -> str:
    """A short hash of some texts in their order."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return found.hexdigest()[:16]
