"""Whatever a user names becomes rows in a fixed order, and nothing that is left out goes unsaid."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rtrl_chem.data.prepare import inputs as module
from rtrl_chem.data.prepare.inputs import Inputs, Reading, find_inputs, looks_like_reaction
from rtrl_chem.data.prepare.settings import load_settings
from rtrl_chem.errors import ConfigError, CorpusError


def find(*given: Path | str, settings: list[str] | None = None, out: Path = Path("nowhere")) -> Inputs:
    return find_inputs(list(map(str, given)), load_settings(None, settings or []), out)


def read(found: Inputs, settings: list[str] | None = None) -> list[tuple[str, int, str]]:
    """(file's name, row, cell or problem) of every row."""
    reading = Reading(found, load_settings(None, settings or []))
    rows = []
    for chunk in reading.chunks():
        sources = [span.source for span in chunk.spans for _ in range(span.rows)]
        cells = [chunk.problems.get(i, cell) for i, cell in enumerate(chunk.cells)]
        rows += zip(sources, chunk.numbers, cells, strict=True)
    return [(Path(found.sources[source].name).name, number, cell) for source, number, cell in rows]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    (root / "deep").mkdir(parents=True)
    (root / "dir.smi").mkdir()
    (root / "b.smi").write_text("CCO ethanol\n")
    (root / "a.csv.gz").write_bytes(gzip.compress(b"id,smiles\n1,CC\n"))
    (root / "deep" / "c.txt").write_text("CCC\n")
    (root / "notes.md").write_text("# Notes\n")
    (root / ".hidden.smi").write_text("N\n")
    (root / "other.csv").write_text("id,name\n1,ethanol\n")
    return root


def test_a_folder_is_read_in_order_of_its_paths(folder: Path) -> None:
    found = find(folder)
    assert read(found) == [("a.csv.gz", 2, "CC"), ("b.smi", 1, "CCO"), ("c.txt", 1, "CCC")]
    skipped = {Path(one.file).name: one.reason for one in found.skipped}
    assert skipped["dir.smi"] == "a folder, in spite of its name; the files in it count as such"
    assert skipped["notes.md"] == "no known ending"
    assert "no column for SMILES" in skipped["other.csv"]


def test_what_lies_in_the_output_is_not_read(folder: Path) -> None:
    assert [row[0] for row in read(find(folder, out=folder / "deep"))] == ["a.csv.gz", "b.smi"]


def test_a_glob_is_sorted_and_says_what_it_left_out(folder: Path) -> None:
    found = find(folder / "*.smi", folder / "b.smi")
    assert read(found) == [("b.smi", 1, "CCO")]
    assert [one.reason for one in found.skipped] == ["a folder, in spite of its name", "named twice"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("absent.smi", "no file"),
        ("absent/*.smi", "matches no file"),
        ("data/dir.smi", "nothing to read"),
        ("data/notes.md", "ending '.md' is not known"),
        ("data/other.csv", "no column for SMILES among ['id', 'name']"),
    ],
)
def test_a_wrong_input_is_said_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch, given: str, message: str) -> None:
    monkeypatch.chdir(folder.parent)
    with pytest.raises(ConfigError) as caught:
        find(given)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "domain", "cells"),
    [
        pytest.param("x.smi", "CC\n", "molecule", ["CC"], id="molecules"),
        pytest.param("x.txt", "CC>>CO\nCC.O>[Na+]>CO\n", "reaction", ["CC>>CO", "CC.O>[Na+]>CO"], id="reaction SMILES"),
        pytest.param("x.rsmi", "CC>>CO\tpatent 7\n", "reaction", ["CC>>CO"], id="rsmi with a name"),
        pytest.param("x.smi", "[Fe]<-[NH3]\n[NH3]->[Fe]\n", "molecule", ["[Fe]<-[NH3]", "[NH3]->[Fe]"], id="dative"),
        pytest.param("x.csv", "id,rxn_smiles\n1,CC>>CO\n", "reaction", ["CC>>CO"], id="a column of reactions"),
        pytest.param("x.csv", "id,smiles\n1,CC>>CO\n", "reaction", ["CC>>CO"], id="reactions as smiles"),
        pytest.param("x.csv", "product,reactants\nCO,CC.O\n", "reaction", ["CC.O>>CO"], id="two columns"),
        pytest.param("x.tsv", "reactants\treagents\tproduct\nCC\tO\tCO\n", "reaction", ["CC>O>CO"], id="three columns"),
        pytest.param(
            "x.jsonl",
            '{"reactants": "CC", "reagents": null, "product": "CO"}\n',
            "reaction",
            ["CC>>CO"],
            id="no reagents in one row",
        ),
        pytest.param("x.csv", "product,yield\nCO,90\n", "molecule", ["CO"], id="products alone"),
        pytest.param("x.rxn", "$RXN\n\n", "reaction", ["$RXN\n\n"], id="RXN"),
        pytest.param("x.sdf", "\n\n\nM  END\n$$$$\n", "molecule", ["\n\n\nM  END\n"], id="SDF"),
    ],
)
def test_reactions_are_told_from_molecules(tmp_path: Path, name: str, text: str, domain: str, cells: list[str]) -> None:
    (tmp_path / name).write_text(text)
    found = find(tmp_path / name)
    assert found.domain == domain
    assert [row[2] for row in read(found)] == cells


@pytest.mark.parametrize(
    ("names", "settings", "message"),
    [
        (["x.smi", "x.rxn"], [], "x.rxn: holds reactions, the others molecules"),
        (["x.rxn", "x.sdf"], [], "x.sdf: holds molecules, the others reactions"),
        (["x.rxn"], ["standardize.uncharge=true"], "standardize.uncharge: is for molecules"),
        (["x.csv"], ["field=smile"], "no column 'smile': did you mean 'smiles'?"),
    ],
)
def test_what_cannot_be_prepared_together_is_said(
    tmp_path: Path, names: list[str], settings: list[str], message: str
) -> None:
    texts = {"x.smi": "CC\n", "x.rxn": "$RXN\n", "x.sdf": "M  END\n", "x.csv": "id,smiles\n1,CC\n"}
    for name in names:
        (tmp_path / name).write_text(texts[name])
    with pytest.raises(ConfigError) as caught:
        find(*[tmp_path / name for name in names], settings=settings)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "is_reaction"), [("CC>>CO", True), ("CC>O>CO", True), ("CC", False), ("[NH3]->[Fe]", False), (">", False)]
)
def test_looks_like_reaction(text: str, is_reaction: bool) -> None:
    assert looks_like_reaction(text) is is_reaction


def test_chunks_are_cut_by_rows_and_by_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ROWS", 4)
    monkeypatch.setattr(module, "CHUNK_CHARACTERS", 100)
    (tmp_path / "a.smi").write_text("C\n" * 3)
    (tmp_path / "b.smi").write_text("C\n" * 6 + "C" * 200 + "\nC\n")
    chunks = list(Reading(find(tmp_path), load_settings(None)).chunks())
    assert [len(chunk) for chunk in chunks] == [4, 4, 2, 1]
    assert [chunk.first for chunk in chunks] == [0, 4, 8, 10]
    assert [[(span.source, span.rows) for span in chunk.spans] for chunk in chunks] == [
        [(0, 3), (1, 1)],
        [(1, 4)],
        [(1, 2)],
        [(1, 1)],
    ]


def test_a_damaged_file_ends_early_and_the_next_is_read(tmp_path: Path) -> None:
    lines = "".join(f"C{'C' * (i % 97)}O name-{i * 7919 % 10_007}\n" for i in range(5_000))
    packed = gzip.compress(lines.encode())
    (tmp_path / "a.smi.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "b.smi").write_text("CC\n")
    found = find(tmp_path)
    reading = Reading(found, load_settings(None))
    rows = sum(len(chunk) for chunk in reading.chunks())
    assert reading.rows == [rows - 1, 1]
    assert rows > 100
    assert "a.smi.gz is a truncated archive" in reading.problems[0]
    assert reading.bytes_done == reading.bytes_in_all


class Stream:
    """As much of a `datasets.IterableDataset` as is used."""

    column_names = None

    def __init__(self, rows: list[dict[str, Any]], fails: bool) -> None:
        self.rows, self.fails = rows, fails

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def select_columns(self, names: list[str]) -> Stream:
        return Stream([{name: row[name] for name in names} for row in self.rows], self.fails)

    def iter(self, size: int) -> Iterator[dict[str, list[Any]]]:
        for row in self.rows:
            yield {name: [value] for name, value in row.items()}
        if self.fails:
            raise ConnectionError("reset by peer")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    state = SimpleNamespace(fails=False, asked=[])

    def load_dataset(name: str, **how: Any) -> Stream:
        state.asked.append((name, how))
        return Stream([{"id": 1, "smiles": "CCO"}, {"id": 2, "smiles": None}], state.fails)

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return state


def test_a_hub_data_set_is_streamed(hub: SimpleNamespace) -> None:
    settings = ["hub_split=test", "hub_revision=abc"]
    found = find("org/set", settings=settings)
    assert read(found, settings) == [("set", 1, "CCO"), ("set", 2, "no value for 'smiles'")]
    assert hub.asked[-1] == ("org/set", {"split": "test", "revision": "abc", "streaming": True})


def test_a_hub_data_set_that_breaks_off_is_an_error(hub: SimpleNamespace) -> None:
    hub.fails = True
    with pytest.raises(CorpusError, match=r"org/set.*breaks off after row 2 \(reset by peer\)"):
        read(find("org/set"))
