"""Whole runs on small files: what comes out can be read as pairs, and every row is accounted for."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rtrl_chem import chem
from rtrl_chem.data.inspect import Options, inspect, open_source
from rtrl_chem.data.make_pairs import naming
from rtrl_chem.data.make_pairs.naming import Named
from rtrl_chem.data.make_pairs.reactions import Recipe
from rtrl_chem.data.make_pairs.run import Request, make_pairs
from rtrl_chem.data.pairs import read_pairs
from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.tasks import TASKS

NAMES = {"CCO": "ethanol", "CCC": "propane", "CCN": "wrong"}


@pytest.fixture
def molecules(tmp_path: Path) -> Path:
    path = tmp_path / "mine.smi"
    path.write_text("CCO\nOCC\nCCC\nbad\n\nCCN\n*CC\n")
    return path


@pytest.fixture(autouse=True)
def _namers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand for openclatura and OPSIN."""
    monkeypatch.setattr(naming, "require_namers", lambda: None)
    monkeypatch.setattr("rtrl_chem.data.make_pairs.run.version", lambda package: "1.0")
    named = {smiles: Named(name) for smiles, name in NAMES.items()}
    lost = Named("", "cannot be named")
    monkeypatch.setattr(naming, "name_molecules", lambda smiles, seconds: [named.get(one, lost) for one in smiles])
    monkeypatch.setattr(
        naming,
        "read_back",
        lambda molecules, names: ["name that OPSIN cannot read" if name == "wrong" else "" for name in names],
    )


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def request(task: str, path: Path, name: str = "pairs.jsonl", **more: Any) -> Request:
    return Request(task, str(path), path.parent / name, processes=1, **more)


def test_names(molecules: Path) -> None:
    made = make_pairs(request("naming", molecules))
    assert [(r["smiles"], r["name"], r["source_row"]) for r in records(made.out)] == [
        ("CCO", "ethanol", 1),
        ("CCC", "propane", 3),
    ]
    assert records(made.out)[0]["made_by"] == "openclatura 1.0"
    assert [(r["row"], r["reason"]) for r in records(made.rejects)] == [
        (2, "duplicate"),
        (4, "does not parse"),
        (5, "empty"),
        (6, "name that OPSIN cannot read"),
        (7, "cannot be named"),
    ]
    assert records(made.rejects)[3]["name"] == "wrong"
    manifest = json.loads(made.manifest.read_text())
    assert manifest["rows_in"] == 7 == manifest["pairs"] + sum(manifest["dropped"].values())
    assert manifest["sha256"] == hashlib.sha256(made.out.read_bytes()).hexdigest()


@pytest.mark.parametrize("names", [False, True], ids=["plain", "with names"])
def test_captions(molecules: Path, names: bool) -> None:
    made = make_pairs(request("captioning", molecules, names=names))
    found = {r["smiles"]: r for r in records(made.out)}
    assert list(found) == ["CCO", "CCC", "CCN"]
    assert ("ethanol" in found["CCO"]["description"]) is names is found["CCO"]["named"]
    assert found["CCN"]["named"] is False
    assert made.dropped == {"duplicate": 1, "does not parse": 1, "empty": 1, "wildcard atom": 1}
    again = make_pairs(request("captioning", molecules, "again.jsonl", names=names))
    assert again.out.read_bytes() == made.out.read_bytes()


def test_reactions(tmp_path: Path) -> None:
    path = tmp_path / "blocks.smi"
    path.write_text("CC(=O)O\nCCCO\nOC(C)=O\nCC(=O)[O-]\n[Na+].[Cl-]\n")
    made = make_pairs(request("reaction", path, recipe=Recipe(cap=5)))
    (only,) = [r for r in records(made.out) if r["template"] == "fischer_esterification"]
    assert (only["reactants"], only["product"], only["synthetic"]) == ("CC(=O)O.CCCO", "CCCOC(C)=O", True)
    assert made.dropped == {"duplicate": 1, "charged or without carbon": 1, "several fragments": 1}
    manifest = json.loads(made.manifest.read_text())
    assert manifest["building_blocks"] == 2 and sum(manifest["templates"].values()) == made.pairs


@pytest.mark.parametrize(
    ("task", "ending"),
    [
        ("naming", ".jsonl"),
        ("reaction", ".tsv"),
        *(("captioning", ending) for ending in (".jsonl", ".jsonl.gz", ".tsv", ".tsv.gz", ".parquet")),
    ],
)
def test_every_format_is_read_as_pairs_and_inspected(tmp_path: Path, task: str, ending: str) -> None:
    path = tmp_path / "in.smi"
    path.write_text("CCO\nCCC\nCC(=O)O\nCCCO\n")
    made = make_pairs(request(task, path, f"pairs{ending}"))
    assert len(read_pairs(made.out, TASKS[task])) == made.pairs > 0
    found = inspect(open_source(made.out, TASKS[task]), options=Options(processes=1))
    assert found.rows == made.pairs
    bad = [count for section in found.sections for count in section.counts if count.bad and count.count]
    assert bad == []


def test_a_limit_takes_the_first_rows(molecules: Path) -> None:
    assert make_pairs(request("captioning", molecules, limit=3)).rows_in == 3


def test_an_archive_holds_no_time(molecules: Path) -> None:
    made = make_pairs(request("captioning", molecules, "pairs.tsv.gz"))
    assert made.out.read_bytes()[4:8] == b"\0\0\0\0"
    assert gzip.decompress(made.out.read_bytes()).startswith(b"smiles\tdescription\tphrasing\t")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"task": "nameing"}, "did you mean 'naming'", id="task"),
        pytest.param({"out": Path("pairs.xlsx")}, "must end in .jsonl", id="ending"),
        pytest.param({"out": Path(".jsonl")}, "must end in .jsonl", id="an ending alone"),
        pytest.param({"task": "naming", "names": True}, "only captions take names", id="names of names"),
    ],
)
def test_a_wrong_call(molecules: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_pairs(replace(request("captioning", molecules), **change))


def test_what_is_there_is_not_overwritten(molecules: Path) -> None:
    make_pairs(request("captioning", molecules))
    with pytest.raises(ConfigError, match="is there already"):
        make_pairs(request("captioning", molecules))


def test_not_one_pair(tmp_path: Path) -> None:
    path = tmp_path / "bad.smi"
    path.write_text("bad\nworse\n")
    with pytest.raises(CorpusError, match=r"no pair could be made of its 2 rows \(does not parse 2\)"):
        make_pairs(request("captioning", path))
    assert not (tmp_path / "pairs.jsonl").exists()
    assert [r["row"] for r in records(tmp_path / "pairs.rejects.jsonl")] == [1, 2]


def test_an_interrupted_run_leaves_no_half_file(molecules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rtrl_chem.data.make_pairs.captions.caption", stop)
    with pytest.raises(KeyboardInterrupt):
        make_pairs(request("captioning", molecules))
    assert [path.name for path in molecules.parent.iterdir()] == ["mine.smi"]


def test_a_corpus_of_reactions_is_refused(tmp_path: Path) -> None:
    manifest = {"format": "rtrl-chem corpus", "version": 1, "task_domain": "reaction", "splits": {}}
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ConfigError, match="is a corpus of reactions"):
        make_pairs(request("captioning", tmp_path / "corpus"))


def test_no_reaction_among_good_rows_is_said_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "one.smi").write_text("CCCC\n")
    with pytest.raises(CorpusError, match=r"of its 1 rows \(no template fits them\)"):
        make_pairs(request("reaction", tmp_path / "one.smi"))


def test_a_molecule_that_is_not_read_back_is_set_aside(molecules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parse = chem.parse
    monkeypatch.setattr("rtrl_chem.data.make_pairs.run.chem.parse", lambda s: None if s == "CCC" else parse(s))
    assert make_pairs(request("captioning", molecules)).dropped["does not survive being written"] == 1


def test_an_output_below_a_file_is_a_config_error(molecules: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder and cannot be made one"):
        make_pairs(Request("captioning", str(molecules), molecules / "pairs.jsonl"))
