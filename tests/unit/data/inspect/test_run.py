"""Whole inspections of small files, every number checked by hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rtrl_chem.chem.naming import Opsin
from rtrl_chem.data.inspect import Inspection, Options, inspect, known_from, open_source
from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.tasks import load_task

ONE = Options(processes=1)


def look(path: Path, task: str | None = None, options: Options = ONE, **more: Any) -> Inspection:
    return inspect(open_source(path, load_task(task) if task else None), options=options, **more)


def counts(found: Inspection, section: str) -> dict[str, int]:
    (chosen,) = [one for one in found.sections if one.key == section]
    return {count.key: count.count for count in chosen.counts if count.count}


@pytest.fixture
def molecules(tmp_path: Path) -> Path:
    path = tmp_path / "mine.smi"
    lines = ["CCO", "OCC", "CCO", "C[C@H](N)C(=O)O", "CC(=O)[O-].[Na+]", "not_a_molecule", "", "c1ccccc1"]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_file_of_molecules(molecules: Path) -> None:
    known = [known_from("mine", ["OCC", "NC(C)C(O)=O", "CCCCCC"])]
    found = look(molecules, benchmarks=known)
    assert (found.rows, found.sampled, found.is_complete) == (8, 7, True)
    assert counts(found, "rows") == {"unreadable": 1, "unreadable: empty": 1, "duplicates": 1}
    assert counts(found, "SMILES") == {
        "invalid": 1,
        "invalid: does not parse": 1,
        "duplicate_structures": 2,
        "stereo": 1,
        "ions": 1,
        "fragments": 1,
        "not_canonical": 1,
    }
    (overlap,) = found.overlaps
    assert (overlap.molecules, overlap.found, overlap.by_key, overlap.by_text) == (3, 2, 4, 1)
    histograms = {h.key: h for section in found.sections for h in section.histograms}
    assert dict(histograms["heavy_atoms"].counts) == {3: 3, 6: 2, 5: 1}
    assert dict(histograms["elements"].counts) == {"C": 6, "O": 5, "N": 1, "Na": 1}
    assert {(example.row, example.reason) for example in found.examples} == {(7, "empty"), (6, "does not parse")}
    assert len(found.drawn) == 6


def test_of_many_rows_a_sample_is_looked_at_and_the_rest_counted(tmp_path: Path) -> None:
    path = tmp_path / "many.smi"
    path.write_text("".join(f"{'C' * (1 + number % 40)}O\n" for number in range(1_000)))
    known = [known_from("mine", ["CCO"])]
    found = look(path, options=Options(sample=100, processes=1), benchmarks=known)
    assert (found.rows, found.sampled, found.is_complete) == (1_000, 100, False)
    assert counts(found, "rows") == {"duplicates": 960}
    assert sum(next(s for s in found.sections if s.key == "SMILES").histograms[0].counts.values()) == 100
    assert found.overlaps[0].by_text == 1
    assert found.to_json() == look(path, options=Options(sample=100, processes=1), benchmarks=known).to_json()


def test_tokens_over_the_limit(molecules: Path) -> None:
    options = Options(processes=1, max_tokens=8)
    found = look(molecules, options=options, token_lengths=lambda texts: [len(text) for text in texts])
    assert counts(found, "SMILES")["over_limit_SMILES"] == 3


def test_reactions(tmp_path: Path) -> None:
    path = tmp_path / "reactions.csv"
    rows = ["CCO.CC(=O)O,CCOC(C)=O", "CCO.CC(=O)O,CCN", "CCO.CO,CCO", "CCO,CCO", "CCO,"]
    path.write_text("reactants,product\n" + "\n".join(rows) + "\n")
    found = look(path, "reaction")
    assert counts(found, "pairs") == {"copy": 1, "extra_atoms": 1, "unchanged": 2}
    assert counts(found, "rows")["unreadable: PRODUCT: empty"] == 1
    details = {example.reason: example.detail for example in found.examples}
    assert details["product holds atoms that the reactants lack"] == "N1"


def test_captions(tmp_path: Path) -> None:
    path = tmp_path / "captions.tsv"
    rows = [
        ("CC(=O)Nc1ccc(O)cc1", "It is a phenol and an amide."),
        ("CC(=O)Nc1ccc(O)cc1", "The molecule CC(=O)Nc1ccc(O)cc1 is an amide."),
        ("CCO", "It is a ketone."),
        ("CCO", "CCO"),
    ]
    path.write_text("SMILES\tdescription\n" + "".join(f"{left}\t{right}\n" for left, right in rows))
    found = look(path, "captioning")
    assert counts(found, "pairs") == {"copy": 1, "leak": 2, "false_claim": 1}


@pytest.mark.skipif(not Opsin.available(), reason="needs Java and py2opsin")
def test_names(tmp_path: Path) -> None:
    path = tmp_path / "names.tsv"
    rows = [("CCO", "ethanol"), ("CCO", "propanol"), ("CCO", "gibberish"), ("C[C@H](O)F", "1-fluoroethan-1-ol")]
    rows.append(("C[S+](C)[O-]", "dimethyl sulfoxide"))
    path.write_text("smiles\tname\n" + "".join(f"{left}\t{right}\n" for left, right in rows))
    assert counts(look(path, "naming"), "pairs") == {
        "name_unread": 1,
        "name_other": 1,
        "name_stereo": 1,
        "name_form": 1,
    }


def prepared(folder: Path, columns: dict[str, list[str]], domain: str = "molecule") -> Path:
    folder.mkdir()
    rows = len(next(iter(columns.values())))
    table = pa.table({"id": list(range(rows)), **columns})
    pq.write_table(table.slice(0, 2), folder / "train-00000-of-00002.parquet")
    pq.write_table(table.slice(2), folder / "train-00001-of-00002.parquet")
    shards = [{"file": f"train-0000{i}-of-00002.parquet", "rows": n, "sha256": ""} for i, n in ((0, 2), (1, rows - 2))]
    manifest = {
        "format": "rtrl-chem corpus",
        "version": 1,
        "task_domain": domain,
        "rows_in": rows + 3,
        "dropped": {"duplicate": 2, "empty": 1},
        "splits": {"train": {"rows": rows, "shards": shards}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_prepared_corpus(tmp_path: Path) -> None:
    found = look(prepared(tmp_path / "corpus", {"smiles": ["CCO", "CCC", "CCN", "bad"]}))
    assert (found.rows, found.kind) == (4, "prepared corpus of molecules")
    assert found.remarks == ("prepared from 7 rows; splits: train 4; dropped: duplicate 2, empty 1",)
    assert [(example.row, example.reason) for example in found.examples] == [(4, "does not parse")]


def test_a_prepared_corpus_of_reactions(tmp_path: Path) -> None:
    columns = {"reactants": ["CCO.CC(=O)O", "CCO", "CO"], "product": ["CCOC(C)=O", "CCO", "CN"]}
    found = look(prepared(tmp_path / "corpus", columns, "reaction"))
    assert counts(found, "pairs") == {"copy": 1, "extra_atoms": 1, "unchanged": 1}


def test_a_shard_that_is_short_is_noticed(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "corpus", {"smiles": ["CCO", "CCC", "CCN"]})
    pq.write_table(pa.table({"smiles": ["C", "CC"]}), folder / "train-00001-of-00002.parquet")
    with pytest.raises(CorpusError, match=r"train-00001-of-00002\.parquet has 2 rows, manifest\.json says 1"):
        look(folder)


@pytest.mark.parametrize("manifest", [None, '{"rows_in": 3}'], ids=["none", "another kind"])
def test_a_folder_that_is_no_prepared_corpus(tmp_path: Path, manifest: str | None) -> None:
    if manifest:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(ConfigError, match="rtrl-chem prepare"):
        look(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "is empty"), ("\n\n", "none of its 2 rows can be read, most often \\(2\\) because: empty")],
    ids=["no row", "empty rows"],
)
def test_nothing_to_inspect(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.smi"
    path.write_text(content)
    with pytest.raises(CorpusError, match=message):
        look(path)


def test_two_fields_for_one_side(molecules: Path) -> None:
    with pytest.raises(ConfigError, match="--field: got 2"):
        open_source(molecules, fields=("smiles", "name"))


def test_bytes_of_any_kind_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "nasty.smi.gz"
    path.write_bytes(gzip.compress(b"CCO\nC\x00C\n\xff\xfe\nCC(" + b"C" * 30_000 + b"\n*CC\n"))
    found = look(path)
    assert counts(found, "rows") == {
        "unreadable": 3,
        "unreadable: NUL byte": 1,
        "unreadable: not UTF-8": 1,
        "unreadable: too long": 1,
    }
    assert counts(found, "SMILES") == {"wildcards": 1}
    assert (5, "with wildcard atoms") in {(example.row, example.reason) for example in found.examples}
