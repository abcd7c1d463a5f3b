"""Rows of suites: found, repaired, set aside with a reason."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import huggingface_hub
import pytest

from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.evaluation.suites.data import Item, Items, read_items
from rtrl_chem.evaluation.suites.schema import Suite

REVISION = "0" * 40


def suite(data: dict[str, Any], part: dict[str, Any], **more: Any) -> Suite:
    default = {"licence": "x", "split": "test"}
    whole = {"task": "reaction", "direction": "forward", "data": "rows", "metrics": ["validity"]} | part
    return Suite.model_validate(
        {"name": "s", "description": "d", "data": {"rows": default | data}, "parts": {"p": whole}} | more
    )


def read(tmp_path: Path, text: str, part: dict[str, Any], **more: Any) -> Items:
    (tmp_path / "rows.tsv").write_text(text)
    where = more.pop("where", {})
    return read_items(suite({"local": ["no.tsv", "rows.tsv"], "where": where}, part, **more), "p", tmp_path)


REACTIONS = "reactants\treagents\tproduct\nOCC.CBr\tO\tCCOC\nCCN\t\tCN\n\tO\tC\n"


@pytest.mark.parametrize(
    ("template", "smiles", "sources"),
    [
        pytest.param("{reactants}>{reagents}", "as_given", ["OCC.CBr>O", "CCN>"], id="separated"),
        pytest.param("{reactants}.{reagents}", "as_given", ["OCC.CBr.O", "CCN"], id="mixed, as the columns go"),
        pytest.param("{reactants}.{reagents}", "canonical", ["CBr.CCO.O", "CCN"], id="mixed, sorted"),
        pytest.param("{reactants}>{reagents}", "canonical", ["CBr.CCO>O", "CCN>"], id="separated, canonical"),
    ],
)
def test_columns_make_a_source(tmp_path: Path, template: str, smiles: str, sources: list[str]) -> None:
    found = read(tmp_path, REACTIONS, {"source": template, "target": "{product}"}, smiles=smiles)
    assert [item.source for item in found.items] == sources
    assert (found.rows_in, found.set_aside) == (3, {"empty": 1})


def test_doubled_backslashes_are_repaired_and_counted(tmp_path: Path) -> None:
    text = "SMILES\tdescription\nC/C=C\\\\C\tbut\\\\ene\nCC\tethane\n"
    part = {"task": "captioning", "source": "{SMILES}", "target": "{description}"}
    found = read(tmp_path, text, part)
    assert found.items[0] == Item("C/C=C\\C", "but\\\\ene"), "prose is left alone"
    assert found.repaired == 1
    assert "1 with doubled backslashes repaired" in found.summary()


def test_what_rdkit_cannot_read_stays_and_is_counted(tmp_path: Path) -> None:
    text = "SMILES\tdescription\nC1CC\tbroken\nCC\tethane\n"
    found = read(tmp_path, text, {"task": "captioning", "source": "{SMILES}", "target": "{description}"})
    assert (len(found.items), found.unreadable) == (2, 1)


def test_atom_maps_are_taken_out_and_other_rows_left_out(tmp_path: Path) -> None:
    text = "split\tclass\treactants\tproduct\ntest\t3\t[CH3:2][OH:1].[Br:3]\t[CH3:2][Br:3]\ntrain\t1\tC\tC\n"
    part = {"direction": "reverse", "source": "{product}", "target": "{reactants}", "unmap": True}
    prompt = {"prompt": "Make {source} by class {class}."}
    found = read(tmp_path, text, part | prompt, where={"split": "test"})
    assert found.items == [Item("CBr", "CO.[Br]", (("class", "3"),))]
    assert found.rows_in == 1


def test_without_labels_rows_are_a_corpus(tmp_path: Path) -> None:
    found = read(tmp_path, "smiles\nOCC\nCCO\nnonsense\n", {"task": "naming", "round_trip": True, "metrics": ["rtc"]})
    assert found.items == [Item("CCO")]
    assert found.set_aside == {"does not parse": 1, "duplicate": 1}


def test_another_number_of_rows_than_was_published_is_remarked_upon(tmp_path: Path) -> None:
    (tmp_path / "rows.tsv").write_text("a\tb\nC\tC\n")
    part = {"source": "{a}", "target": "{b}"}
    for rows, said in ((1, False), (3300, True)):
        found = read_items(suite({"local": ["rows.tsv"], "rows": rows}, part), "p", tmp_path)
        assert ("1 rows (the published set has 3,300)" in found.summary()) is said


def test_a_size_takes_the_same_items_in_any_order(tmp_path: Path) -> None:
    rows = [f"{'C' * n}\tname {n}" for n in range(1, 30)]
    part = {"task": "naming", "source": "{smiles}", "target": "{name}"}
    header = "smiles\tname\n"
    straight = read(tmp_path, header + "\n".join(rows), part, size=5)
    back = read(tmp_path, header + "\n".join(rows[::-1]), part, size=5)
    assert len(straight.items) == 5
    assert straight.items == back.items[::-1]
    assert straight.summary().endswith("29 rows; 5 taken")


@pytest.mark.parametrize(
    ("data", "folder", "error", "said"),
    [
        pytest.param({"local": ["a.tsv"]}, "here", CorpusError, "no a.tsv below", id="no local copy"),
        pytest.param({"local": ["a.tsv"]}, "nowhere", ConfigError, "no such folder", id="no folder"),
        pytest.param(
            {"local": ["a.tsv"], "origin": "example.org"},
            None,
            CorpusError,
            "get it from example.org",
            id="no Hub copy",
        ),
    ],
)
def test_data_that_cannot_be_reached_is_one_line(
    tmp_path: Path, data: dict[str, Any], folder: str | None, error: type[Exception], said: str
) -> None:
    (tmp_path / "here").mkdir()
    with pytest.raises(error, match=said) as raised:
        read_items(suite(data, {"source": "{a}", "target": "{b}"}), "p", tmp_path / folder if folder else None)
    assert "\n" not in str(raised.value)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`hub(download=..., head=...)` in the place of what its client does over the network."""

    def replace(download: Any = None, head: Any = lambda *args, **kwargs: None) -> None:
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
        monkeypatch.setattr(huggingface_hub, "get_session", lambda: SimpleNamespace(head=head))
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")

    return replace


def test_a_member_of_an_archive_on_the_hub(tmp_path: Path, hub: Any) -> None:
    with ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("raw/test/s2i.jsonl", '{"input": "CCO", "output": "ethanol"}\n')
    asked: list[tuple[Any, ...]] = []

    def download(*args: Any, **kwargs: Any) -> str:
        asked.append((*args, kwargs["revision"]))
        return str(tmp_path / "data.zip")

    hub(download)
    place = {"id": "org/set", "revision": REVISION, "file": "data.zip", "member": "raw/test/s2i.jsonl"}
    part = {"task": "naming", "source": "{input}", "target": "{output}"}
    assert read_items(suite({"hub": place}, part), "p", None).items == [Item("CCO", "ethanol")]
    assert asked == [("org/set", "data.zip", REVISION)]


def test_a_hub_out_of_reach_is_one_line(hub: Any) -> None:
    def download(*args: Any, **kwargs: Any) -> str:
        raise ConnectionError("no route\nto host")

    hub(download)
    place = {"id": "org/set", "revision": REVISION, "file": "test.csv"}
    with pytest.raises(CorpusError, match=r"test.csv of org/set on the Hub cannot be had \(no route\)") as raised:
        read_items(suite({"hub": place}, {"source": "{a}", "target": "{b}"}), "p", None)
    assert "\n" not in str(raised.value)


def test_without_a_network_the_client_looks_into_its_cache_alone(tmp_path: Path, hub: Any) -> None:
    def no_network(*args: Any, **kwargs: Any) -> None:
        raise OSError("Name or service not known")

    def cached(*args: Any, **kwargs: Any) -> str:
        assert huggingface_hub.constants.HF_HUB_OFFLINE, "or it would try for half a minute"
        if "kept" not in args[1]:
            raise FileNotFoundError(args[1])
        return str(tmp_path / "kept.tsv")

    hub(cached, no_network)
    (tmp_path / "kept.tsv").write_text("a\tb\nC\tC\n")
    part, place = {"source": "{a}", "target": "{b}"}, {"id": "org/set", "revision": REVISION}
    assert read_items(suite({"hub": place | {"file": "kept.tsv"}}, part), "p", None).items == [Item("C", "C")]
    with pytest.raises(CorpusError, match="cannot be reached: Name or service not known"):
        read_items(suite({"hub": place | {"file": "lost.tsv"}}, part), "p", None)


def test_a_split_of_the_hub_is_asked_for_with_its_revision(monkeypatch: pytest.MonkeyPatch, hub: Any) -> None:
    asked: list[tuple[Any, ...]] = []

    def load_dataset(name: str, split: str, revision: str | None, streaming: bool) -> None:
        asked.append((name, split, revision))
        raise ConnectionError("offline")

    hub()
    datasets = SimpleNamespace(load_dataset=load_dataset, disable_progress_bars=lambda: None)
    monkeypatch.setitem(sys.modules, "datasets", datasets)
    place = {"id": "org/set", "revision": REVISION, "split": "test"}
    with pytest.raises(CorpusError, match=r"s, data 'rows': .* offline"):
        read_items(suite({"hub": place}, {"source": "{a}", "target": "{b}"}), "p", None)
    assert asked == [("org/set", "test", REVISION)]
