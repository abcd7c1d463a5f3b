"""`rtrl-chem prepare` as a user calls it: other processes, kill -9, a Dask cluster, files from the wild."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rtrl_chem.cli import main

ROOT = Path(__file__).parents[2]
# Chunks of 40 rows: a kill in the middle of a corpus of hundreds.
CALL = (
    "import sys; from rtrl_chem.data.prepare import inputs; inputs.CHUNK_ROWS = 40;"
    "from rtrl_chem.cli import main; sys.exit(main(sys.argv[1:]))"
)


@pytest.fixture(scope="module")
def molecules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 rows, a quarter of them duplicates, two per cent garbage."""
    rng = random.Random(0)
    pieces = ["C", "N", "O", "c1ccccc1", "C(=O)", "S", "CC", "C1CC1", "F", "C(C)"]
    rows = ["C" + "".join(rng.choices(pieces, k=rng.randint(2, 9))) for _ in range(1500)]
    rows += rng.choices(rows, k=460) + ["not a molecule"] * 40
    rng.shuffle(rows)
    path = tmp_path_factory.mktemp("molecules") / "x.smi"
    path.write_text("\n".join(rows) + "\n")
    return path


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", CALL, "prepare", *map(str, arguments), "--benchmarks", "none", "--quiet"]


def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command(*arguments), env=environment, stderr=subprocess.PIPE, start_new_session=True)


def checksums(out: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())}


@pytest.fixture(scope="module")
def whole(molecules: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The corpus of an undisturbed call in one process."""
    out = tmp_path_factory.mktemp("whole") / "corpus"
    assert start(molecules, "--out", out, "--workers", "1").wait(120) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["rows_in"] == 2000 == manifest["kept"] + sum(manifest["dropped"].values())
    return checksums(out)


@pytest.mark.parametrize(
    "moments", [(9,), pytest.param((1, 15, 30), marks=pytest.mark.slow)], ids=["once", "three times"]
)
def test_killed_and_called_again_the_corpus_is_the_same(
    molecules: Path, whole: dict[str, str], tmp_path: Path, moments: tuple[int, ...]
) -> None:
    out = tmp_path / "corpus"
    for chunks in moments:
        process = start(molecules, "--out", out, "--workers", "2")
        deadline = time.monotonic() + 60
        while len(list(out.glob(".work/chunk-*.parquet"))) < chunks and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (out / "manifest.json").exists()
        assert workers_of(process.pid, patience=20) == []
    assert start(molecules, "--out", out, "--workers", "2").wait(120) == 0
    assert checksums(out) == whole


def workers_of(leader: int, patience: float) -> list[int]:
    """Processes left in a session whose leader is dead, after waiting for them to end."""
    deadline = time.monotonic() + patience
    while (left := _session(leader)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _session(leader: int) -> list[int]:
    import psutil

    found = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == leader and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except (ProcessLookupError, psutil.Error):
            continue
    return found


@pytest.mark.slow
def test_a_dask_cluster_makes_the_same_corpus(molecules: Path, whole: dict[str, str], tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        out = tmp_path / "corpus"
        process = start(molecules, "--out", out, "--engine", "dask", "--scheduler", cluster.scheduler_address)
        assert process.wait(240) == 0, process.stderr and process.stderr.read().decode()
    assert checksums(out) == whole


@pytest.mark.slow
def test_a_dask_scheduler_that_is_not_there_is_one_line(
    molecules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
    arguments = [
        "--out",
        str(tmp_path / "o"),
        "--benchmarks",
        "none",
        "--engine",
        "dask",
        "--scheduler",
        "tcp://127.0.0.1:9",
    ]
    assert main(["prepare", str(molecules), *arguments]) == 2
    assert "no Dask scheduler answers there" in capsys.readouterr().err


# ---- files from the wild --------------------------------------------------------------------------------------------


def prepared(out: Path, *given: Path) -> dict[str, Any]:
    assert main(["prepare", *map(str, given), "--out", str(out), "--benchmarks", "none", "--quiet"]) == 0
    manifest: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    assert manifest["rows_in"] == manifest["kept"] + sum(manifest["dropped"].values())
    return manifest


@pytest.fixture
def rdkit_files() -> Path:
    """The folder of the rdkit package."""
    import rdkit

    return Path(rdkit.__file__).parent


def first_existing(*paths: Path) -> Path:
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        pytest.skip(f"this rdkit ships no {paths[0].name}")
    return found


def test_an_sdf_from_the_wild(rdkit_files: Path, tmp_path: Path) -> None:
    path = first_existing(rdkit_files / "Data" / "NCI" / "first_200.props.sdf")
    manifest = prepared(tmp_path / "corpus", path)
    assert (manifest["rows_in"], manifest["kept"]) == (200, 200)


def test_reaction_smarts_from_the_wild(rdkit_files: Path, tmp_path: Path) -> None:
    """Transformations with attachment points: reactions by their looks, and each is dropped with its reason."""
    path = first_existing(rdkit_files / "Contrib" / "mmpa" / "data" / "sample_db_input_trans.txt")
    assert main(["prepare", str(path), "--out", str(tmp_path / "o"), "--benchmarks", "none", "--quiet"]) == 1
    manifest = json.loads((tmp_path / "o" / "manifest.json").read_text())
    assert manifest["task_domain"] == "reaction"
    assert sum(manifest["dropped"].values()) == manifest["rows_in"] > 0


def test_patent_reactions(shared_data: Path, tmp_path: Path) -> None:
    import gzip

    path = shared_data / "uspto_mit" / "valid.tsv.gz"
    if not path.is_file():
        pytest.skip("no USPTO-MIT")
    with gzip.open(path, "rt") as handle:
        head = [next(handle) for _ in range(101)]
    (tmp_path / "x.tsv").write_text("".join(head))
    manifest = prepared(tmp_path / "corpus", tmp_path / "x.tsv")
    assert manifest["task_domain"] == "reaction"
    assert manifest["kept"] > 95
    table = pq.read_table(tmp_path / "corpus" / "train-00000-of-00001.parquet")
    assert table.column_names == ["id", "reactants", "reagents", "product", "source_file", "source_row"]
