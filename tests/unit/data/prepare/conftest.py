from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rtrl_chem.data.prepare import inputs as inputs_module
from rtrl_chem.data.prepare.decontaminate import Benchmark
from rtrl_chem.data.prepare.engine import Engine, HereEngine
from rtrl_chem.data.prepare.run import Request, prepare
from rtrl_chem.data.prepare.settings import load_settings


@dataclass(frozen=True)
class Made:
    """A prepared corpus, read back."""

    out: Path
    manifest: dict[str, Any]

    @property
    def splits(self) -> dict[str, pa.Table]:
        """Each split, its shards put together."""
        return {
            name: pa.concat_tables([pq.read_table(self.out / shard["file"]) for shard in split["shards"]])
            for name, split in self.manifest["splits"].items()
            if split["shards"]
        }

    @property
    def smiles(self) -> list[str]:
        """The SMILES of `train`."""
        return self.splits["train"]["smiles"].to_pylist() if self.splits else []

    @property
    def rejects(self) -> list[tuple[str, int, str, str]]:
        """(file's name, row, text, reason) of every dropped row."""
        rows = pq.read_table(self.out / "rejects.parquet").to_pylist()
        return [(Path(r["source_file"]).name, r["source_row"], r["text"], r["reason"]) for r in rows]

    def files(self) -> dict[str, bytes]:
        """Every file of the folder."""
        return {path.name: path.read_bytes() for path in sorted(self.out.iterdir()) if path.is_file()}


@pytest.fixture
def reopen() -> Callable[[Path], Made]:
    """Read a corpus that another call made."""
    return lambda out: Made(out, json.loads((out / "manifest.json").read_text()))


def no_benchmarks(*_: object) -> Iterator[Benchmark]:
    """A benchmark source for tests that are about something else."""
    return iter(())


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Made]:
    """`make(INPUT, ..., settings=[...], out=...)`: prepare in this process and read the corpus back."""

    def run(
        *given: Path | str,
        settings: Iterable[str] = (),
        out: Path | None = None,
        engine: Engine | None = None,
        benchmarks: Any = no_benchmarks,
        overwrite: bool = False,
    ) -> Made:
        out = out or tmp_path / "corpus"
        request = Request(tuple(map(str, given)), out, load_settings(None, settings), overwrite, quiet=True)
        return Made(out, prepare(request, engine or HereEngine(), benchmarks))

    return run


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of seven rows: what takes millions of rows otherwise happens with fifty."""
    monkeypatch.setattr(inputs_module, "CHUNK_ROWS", 7)
