"""A prepared corpus is opened as its manifest says, without a molecule being parsed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rtrl_chem.data import corpus, is_prepared, open_prepared, read_corpus, read_pairs
from rtrl_chem.data.pool import Column
from rtrl_chem.errors import ConfigError, CorpusError, RtrlError
from rtrl_chem.tasks import TASKS, Domain

MOLECULE = Domain("molecule", "molecule", "SMILES")
ALKANES = ["C" * n for n in range(1, 301)]
REACTIONS = {
    "reactants": ["CC(=O)O.CCO", "CCBr.N", "CC(=O)Cl.CCO"],
    "product": ["CCOC(C)=O", "CCN", "CCOC(C)=O"],
}

Write = Callable[..., str]


def test_rows_come_back_in_order_across_files_and_pieces(
    write_prepared: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtrl_chem.data.prepared.PIECE", 40)
    path = write_prepared(tmp_path / "corpus", shards=3, train={"smiles": ALKANES})
    found = read_corpus(path, MOLECULE)
    assert isinstance(found.items, Column)
    assert list(found.items) == ALKANES
    assert [found.items[i] for i in (0, 99, 100, -1)] == ["C", "C" * 100, "C" * 101, ALKANES[-1]]
    assert found.summary() == f"{path}: 300 of 300 rows kept (prepared corpus, train)"


def test_hardly_a_molecule_is_parsed(write_prepared: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    monkeypatch.setattr(corpus, "admit", lambda text, domain: parsed.append(text) or corpus.Admitted(text))
    read_corpus(write_prepared(tmp_path / "corpus", train={"smiles": ALKANES}), MOLECULE)
    assert 0 < len(parsed) <= corpus.SPOT_CHECKS + 1 < len(ALKANES)


def test_a_corpus_of_another_spelling_is_told_of(write_prepared: Write, tmp_path: Path) -> None:
    path = write_prepared(tmp_path / "corpus", train={"smiles": ["CCO", "OCC", "CN"]})
    assert "WARNING: 1 of 3 SMILES looked at are spelt otherwise" in read_corpus(path, MOLECULE).summary()


def test_reactions_serve_as_pairs_and_either_side_alone(write_prepared: Write, tmp_path: Path) -> None:
    path, task = write_prepared(tmp_path / "corpus", train=REACTIONS), TASKS["reaction"]
    assert list(read_pairs(path, task)) == list(zip(*REACTIONS.values(), strict=True))
    assert list(read_corpus(path, task.left).items) == REACTIONS["reactants"]
    assert list(read_corpus(path, task.right).items) == REACTIONS["product"]


def test_splits_are_kept_apart(write_prepared: Write, tmp_path: Path) -> None:
    path = write_prepared(tmp_path / "corpus", train={"smiles": ALKANES[:5]}, validation={"smiles": ["CCO", "CCN"]})
    assert list(read_corpus(path, MOLECULE, split="validation").items) == ["CCO", "CCN"]
    assert open_prepared(path).rows == {"train": 5, "validation": 2}
    assert open_prepared(path).fingerprint("train") != open_prepared(path).fingerprint("validation")
    assert open_prepared(path).table("train").column_names == ["id", "smiles", "source_file", "source_row"]


def test_a_file_without_rows_is_no_hindrance(write_prepared: Write, tmp_path: Path) -> None:
    path = write_prepared(tmp_path / "corpus", shards=4, train={"smiles": ["CCO"]})
    assert list(read_corpus(path, MOLECULE).items) == ["CCO"]


@pytest.mark.parametrize("name", ["a [1]", "a*b?", "ü {x}=y"])
def test_a_folder_may_have_any_name(write_prepared: Write, tmp_path: Path, name: str) -> None:
    path = write_prepared(tmp_path / name, train={"smiles": ["CCO", "CN"]})
    assert list(read_corpus(path, MOLECULE).items) == ["CCO", "CN"]


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(None, id="none"),
        pytest.param("{", id="not JSON"),
        pytest.param("[1]", id="not an object"),
        pytest.param('{"format": "another"}', id="somebody else's"),
    ],
)
def test_a_folder_that_is_no_corpus_is_sent_to_prepare(tmp_path: Path, manifest: str | None) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    assert not is_prepared(tmp_path)
    with pytest.raises(ConfigError, match="rtrl-chem prepare") as caught:
        read_corpus(tmp_path, MOLECULE)
    assert "\n" not in str(caught.value)


def drop_a_file(folder: Path) -> None:
    (folder / "train-00001-of-00002.parquet").unlink()


def cut_a_file(folder: Path) -> None:
    file = folder / "train-00000-of-00002.parquet"
    file.write_bytes(file.read_bytes()[:-20])


def shorten_a_file(folder: Path) -> None:
    pq.write_table(pa.table({"smiles": ["C"]}), folder / "train-00000-of-00002.parquet")


def come_from_the_future(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"version": 2}))


def lose_its_list(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["splits"]["train"]["shards"][0]["sha256"]
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_a_file, "train-00001-of-00002.parquet, a part of the corpus, cannot be read"),
        (cut_a_file, "train-00000-of-00002.parquet, a part of the corpus, cannot be read"),
        (shorten_a_file, "has 1 rows, manifest.json says 2"),
        (come_from_the_future, "version 2, must be 1"),
        (lose_its_list, "does not list the corpus's files"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_damaged_corpus_is_one_line(
    write_prepared: Write, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    path = write_prepared(tmp_path / "corpus", train={"smiles": ["C", "CC", "CCC", "CCCC"]})
    damage(Path(path))
    with pytest.raises(CorpusError, match=message) as caught:
        read_corpus(path, MOLECULE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "field", "split", "error", "message"),
    [
        pytest.param({"smiles": ["C"]}, "smile", "train", ConfigError, "did you mean 'smiles'", id="field"),
        pytest.param({"x": ["C"]}, None, "train", ConfigError, "no column for SMILES", id="no column"),
        pytest.param({"smiles": ["C"]}, None, "tran", ConfigError, "did you mean 'train'", id="split"),
        pytest.param({"smiles": [3]}, None, "train", CorpusError, "holds int64 instead of text", id="numbers"),
        pytest.param({"smiles": ["C", None]}, None, "train", CorpusError, "1 rows without a value", id="a gap"),
        pytest.param({"smiles": []}, None, "train", CorpusError, "is empty", id="no rows"),
    ],
)
def test_what_is_not_in_a_corpus_is_one_line(
    write_prepared: Write,
    tmp_path: Path,
    columns: dict[str, list[object]],
    field: str | None,
    split: str,
    error: type[RtrlError],
    message: str,
) -> None:
    path = write_prepared(tmp_path / "corpus", shards=1, train=columns)
    with pytest.raises(error, match=message):
        read_corpus(path, MOLECULE, field, split=split)


def test_a_full_disk_is_one_line(write_prepared: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def fails(*args: object, **kwargs: object) -> None:
        raise datasets.exceptions.DatasetGenerationError("An error occurred") from OSError(
            28, "No space left on device"
        )

    path = write_prepared(tmp_path / "corpus", train={"smiles": ["C", "CC"]})
    monkeypatch.setattr(datasets.Dataset, "from_parquet", fails)
    with pytest.raises(CorpusError, match=r"No space left on device.*HF_DATASETS_CACHE"):
        read_corpus(path, MOLECULE)


@pytest.mark.parametrize("name", ["../secret.parquet", "/etc/secret.parquet", "sub/secret.parquet"])
def test_a_manifest_leads_to_no_file_elsewhere(write_prepared: Write, tmp_path: Path, name: str) -> None:
    path = write_prepared(tmp_path / "corpus", train={"smiles": ALKANES[:4]}, shards=1)
    pq.write_table(pa.table({"smiles": ALKANES[:4]}), tmp_path / "secret.parquet")
    manifest = tmp_path / "corpus" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["splits"]["train"]["shards"][0]["file"] = name
    manifest.write_text(json.dumps(content))
    with pytest.raises(CorpusError, match="does not list the corpus's files"):
        open_prepared(path)
