"""Prepared corpora: the folders that `rtrl-chem prepare` writes, opened without parsing a molecule.

    CORPUS/  manifest.json  train-00000-of-00012.parquet ...  validation-*  test-*  rejects.parquet

The manifest vouches for what a plain file must be checked for: every row is valid, canonical and there once. Parquet
cannot be looked into at random, so the first run writes each column it needs to the cache of `datasets` as an Arrow
file (HF_DATASETS_CACHE; about as large as the text); this and every later run, and every process of one, map that file.
"""

from __future__ import annotations

import glob
import hashlib
import json
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtrl_chem.data.pool import Column
from rtrl_chem.errors import ConfigError, CorpusError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FORMAT", "MANIFEST", "VERSION", "PreparedCorpus", "is_prepared", "open_prepared", "read_manifest"]

FORMAT = "rtrl-chem corpus"
VERSION = 1
MANIFEST = "manifest.json"
# Rows of one piece of an Arrow file; the default of `datasets`, 1,000, makes 100,000 pieces of a large corpus.
PIECE = 65_536


def is_prepared(path: str | Path) -> bool:
    """Whether `path` is a folder with the manifest of a prepared corpus."""
    return read_manifest(Path(path).expanduser()).get("format") == FORMAT


def open_prepared(path: str | Path) -> PreparedCorpus:
    """The prepared corpus in a folder. ConfigError if it is none, CorpusError if this version cannot read it."""
    folder = Path(path).expanduser()
    manifest = read_manifest(folder)
    if manifest.get("format") != FORMAT:
        raise ConfigError(
            f"{str(path)!r} is a folder, but no prepared corpus, it has no {MANIFEST} of one: make one of its files by "
            f"`rtrl-chem prepare {path} --out CORPUS`, or give one file"
        )
    if manifest.get("version") != VERSION:
        raise CorpusError(
            f"{path}: {MANIFEST} is of version {manifest.get('version')!r}, must be {VERSION}: prepare the corpus anew"
        )
    try:
        for split in manifest["splits"].values():
            int(split["rows"]), [(_beside(shard), int(shard["rows"]), shard["sha256"]) for shard in split["shards"]]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise CorpusError(f"{path}: {MANIFEST} does not list the corpus's files: prepare it anew") from None
    return PreparedCorpus(folder, manifest)


def _beside(shard: Mapping[str, Any]) -> str:
    """The name of a file in the folder itself: a manifest from elsewhere must not lead to files elsewhere."""
    name: str = shard["file"]
    if Path(name).name != name:
        raise ValueError(f"{name!r} is no file of the corpus")
    return name


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest in a folder, whoever wrote it; empty where there is none, or one that is not JSON."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


@dataclass(frozen=True)
class PreparedCorpus:
    """A folder and its manifest. Nothing is read before a column is asked for."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def rows(self) -> dict[str, int]:
        """Number of rows of each split: `train`, and `validation` and `test` where they were asked for."""
        return {name: int(split["rows"]) for name, split in self.manifest["splits"].items()}

    def shards(self, split: str = "train") -> list[Path]:
        """The Parquet files of a split, in order; ConfigError if there is no such split, CorpusError if one of the
        files is missing, is not Parquet or has another number of rows than the manifest says."""
        if split not in self.rows:
            raise ConfigError(f"{self.folder}: no split {split!r}: {did_you_mean(split, self.rows)}")
        listed = self.manifest["splits"][split]["shards"]
        for shard in listed:
            _check_shard(self.folder / shard["file"], int(shard["rows"]))
        return [self.folder / shard["file"] for shard in listed]

    def columns(self, split: str = "train") -> list[str]:
        """Names of the columns of a split."""
        import pyarrow.parquet as pq

        shards = self.shards(split)
        return list(pq.read_schema(shards[0]).names) if shards else []

    def table(self, split: str = "train", columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of a split in corpus order, memory-mapped: all columns, or only those named.

        Errors as for `shards`; CorpusError too if the split is empty or the cache cannot be written.
        """
        return _table(self._maps(split, None if columns is None else list(columns)))

    def column(self, name: str, split: str = "train") -> Column:
        """The texts of one column. Errors as for `table`; CorpusError too if the column holds something else."""
        import pyarrow as pa

        maps = self._maps(split, [name])
        strings = _table(maps).column(name)
        is_text = pa.types.is_string(strings.type) or pa.types.is_large_string(strings.type)
        if not is_text or strings.null_count:
            held = f"{strings.null_count} rows without a value" if is_text else f"{strings.type} instead of text"
            raise CorpusError(f"{self.folder}: column {name!r} of split {split!r} holds {held}: prepare it anew")
        return Column(strings, maps)

    def _maps(self, split: str, columns: list[str] | None) -> list[mmap.mmap]:
        """The Arrow files that hold these columns, mapped; written first if this is the first time."""
        listed = zip(self.shards(split), self.manifest["splits"][split]["shards"], strict=True)
        filled = [file for file, shard in listed if shard["rows"]]  # `datasets` fails on a file without rows
        if not filled:
            raise CorpusError(f"{self.folder}: split {split!r} is empty: it must hold at least one row")
        return [_map(file) for file in _arrow_files(filled, columns)]

    def fingerprint(self, split: str = "train") -> str:
        """sha256 over the checksums of a split's files, as hex: equal exactly when their bytes are."""
        sums = [shard["sha256"] for shard in self.manifest["splits"][split]["shards"]]
        return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def _check_shard(file: Path, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_metadata(file).num_rows
    except (OSError, pa.ArrowException) as error:
        # Mostly a part that was not copied; to train on the others would go unnoticed.
        raise CorpusError(f"{file}, a part of the corpus, cannot be read ({_line(error)}): copy it again") from None
    if found != rows:
        raise CorpusError(f"{file} has {found:,} rows, {MANIFEST} says {rows:,}: copy it again, or prepare anew")


def _map(file: str) -> mmap.mmap:
    with open(file, "rb") as handle:
        return mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)


def _table(maps: Sequence[mmap.mmap]) -> pa.Table:
    import pyarrow as pa

    return pa.concat_tables([pa.ipc.open_stream(pa.py_buffer(one)).read_all() for one in maps])


def _arrow_files(shards: Sequence[Path], columns: list[str] | None) -> list[str]:
    """The files in the cache of `datasets` that hold these columns. Of several processes one writes them."""
    import datasets

    try:
        found = datasets.Dataset.from_parquet(
            [glob.escape(str(shard)) for shard in shards],  # `datasets` takes a [ in a path for a pattern
            split="train",
            columns=columns,
            writer_batch_size=PIECE,
        )
    # It raises everything from OSError to DatasetGenerationError; the shards have been looked at, so it is the cache.
    except Exception as error:
        raise CorpusError(
            f"{shards[0].parent} cannot be made ready for reading at random ({_line(error.__cause__ or error)}): its "
            "text must fit on the disk of the cache; set HF_DATASETS_CACHE to another folder"
        ) from error
    return [entry["filename"] for entry in found.cache_files]


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
