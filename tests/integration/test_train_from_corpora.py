"""Runs on prepared corpora, mixtures and streams; a killed one goes on with the sources it would have had."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rtrl_chem.cli import main

from .conftest import MOLECULES
from .test_train import killed_in, read_metrics, read_state, same, weights

Write = Callable[..., str]
HALF = len(MOLECULES.split()) // 2
FIRST, REST = MOLECULES.split()[:HALF], MOLECULES.split()[HALF:]
TEST = ["CCCCC", "CCCCO", "OCCCO"]


def sources(run: Path) -> list[str]:
    """The sources of the forward phases as they came."""
    tables = [pq.read_table(run / "rounds" / f"{n:02d}-forward" / "completions.parquet") for n in range(2)]
    return list(dict.fromkeys(source for table in tables for source in table["source"].to_pylist()))


@pytest.fixture(scope="module")
def corpus(write_prepared: Write, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_prepared(tmp_path_factory.mktemp("data") / "corpus", train={"smiles": FIRST})


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "rest.smi.gz"
    path.write_bytes(gzip.compress("\n".join([*REST, *TEST, "prose"]).encode()))
    return str(path)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "test.smi"
    path.write_text("\n".join(TEST))
    return str(path)


@pytest.mark.parametrize("kind", ["mixture in order of length", "stream"])
def test_a_killed_run_goes_on_with_the_sources_it_would_have_had(
    write_config_in: Write,
    corpus: str,
    packed: str,
    held_out: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    data: dict[str, Any] = {"molecules": packed, "streaming": {"buffer": 4}}
    if kind != "stream":
        data = {"molecules": [{"path": corpus, "weight": 3}, packed], "curriculum": "length"}
    runs = {name: tmp_path / name for name in ("whole", "killed")}
    configs = {}
    for name, folder in runs.items():
        folder.mkdir()
        configs[name] = write_config_in(
            folder, data=data, directions=["forward"], evaluation={"molecules": held_out, "before": False}
        )
    assert main(["train", configs["whole"], "--quiet"]) == 0
    with monkeypatch.context() as patch:
        killed_in(1, "run_grpo", patch)
        assert main(["train", configs["killed"], "--quiet"]) == 130
    assert main(["train", configs["killed"], "--resume", "--quiet"]) == 0
    whole, killed = (folder / "run" for folder in runs.values())
    assert same(weights(killed), weights(whole))
    assert sources(killed) == sources(whole)
    assert set(sources(whole)) <= set(REST if kind == "stream" else FIRST + REST)
    if kind != "stream":
        assert [len(source) for source in sources(whole)] == sorted(len(source) for source in sources(whole))


def test_a_corpus_prepared_anew_stops_a_run_that_is_resumed(
    write_config: Write, write_prepared: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_prepared(tmp_path / "corpus", train={"smiles": FIRST})
    config = write_config(data={"molecules": path}, directions=["forward"], rounds=1, evaluation={"before": False})
    assert main(["train", config]) == 0
    assert f"{path}: {HALF} of {HALF} rows kept (prepared corpus, train)" in capsys.readouterr().err
    assert "data.molecules" in read_state(tmp_path / "run")["contents"]
    Path(path).rename(tmp_path / "old")
    write_prepared(tmp_path / "corpus", train={"smiles": [*FIRST, "CCCCCCC"]})
    assert main(["train", config, "--resume"]) == 1
    assert "data.molecules with other contents (now changed)" in capsys.readouterr().err


def test_reactions_on_disk_are_learned_as_pairs(write_config: Write, write_prepared: Write, tmp_path: Path) -> None:
    pairs = {"reactants": ["CC(=O)O.CCO", "CCBr.N", "CC(=O)Cl.CO", "CCO.O"] * 2}
    pairs["product"] = [f"{'C' * n}O" for n in range(1, 9)]
    path = write_prepared(tmp_path / "corpus", train=pairs)
    config = write_config(
        task="reaction",
        algorithm="sft",
        data={"molecules": None, "pairs": path},
        rounds=1,
        evaluation={"size": 1, "before": False, "max_new_tokens": 8},
        trainer={"learning_rate": 1e-3, "per_device_train_batch_size": 4},
    )
    text = Path(config).read_text().replace("  num_generations: 2\n", "").replace("  max_completion_length: 8\n", "")
    Path(config).write_text(text)
    assert main(["train", config, "--quiet"]) == 0
    assert len(read_metrics(tmp_path / "run")) == 4
