"""What the benchmark suites ask about is found, and what cannot be had is said, without waiting for the Hub."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest

from rtrl_chem.data.prepare.decontaminate import Benchmark
from rtrl_chem.errors import ConfigError
from rtrl_chem.evaluation.suites import structures
from rtrl_chem.evaluation.suites.structures import benchmark_structures


def found(given: str, domain: str = "molecule") -> dict[str, Benchmark]:
    return {one.name: one for one in benchmark_structures(given, domain)}  # type: ignore[arg-type]


def test_the_bundled_sets_are_always_there() -> None:
    made = found("bundled")
    assert len(made["naming/test"].structures) == 1800
    assert made["chebi20/test"].problem == "the Hub was not asked"
    assert "no copy on the Hub is known; give a folder with" in made["uspto50k/test"].problem
    assert not any(name.startswith("guard/") for name in made)


def test_sets_of_reactants_are_for_reactions_alone() -> None:
    molecules = found("bundled")["reaction/test"].structures
    reactions = found("bundled", "reaction")["reaction/test"].structures
    assert not any("." in smiles for smiles in molecules)
    assert set(molecules) < set(reactions)


def test_local_copies_are_read(tmp_path: Path) -> None:
    (tmp_path / "chebi20").mkdir()
    (tmp_path / "chebi20" / "test.txt").write_text("CID\tSMILES\tdescription\n1\tCCO\ta\n2\tC/C=C\\\\C\tb\n")
    (tmp_path / "uspto_mit").mkdir()
    (tmp_path / "uspto_mit" / "test.tsv").write_text("reactants\treagents\tproduct\nCC.Br\tO\tCBr\n")
    (tmp_path / "moses").mkdir()
    (tmp_path / "moses" / "test.csv").write_text("SMILES,SPLIT\nCCC,test\n")
    made = found(str(tmp_path), "reaction")
    assert made["chebi20/test"].structures == ("CCO", "C/C=C\\C")
    assert made["uspto-mit/test"].structures == ("CC.Br.O", "CBr", "CC.Br")
    assert made["molecules/moses"].structures == ("CCC",)
    assert made["uspto50k/test"].problem.startswith("no uspto50k/uspto50k.tsv.gz")


def test_a_missing_folder_is_an_error() -> None:
    with pytest.raises(ConfigError, match="benchmarks: no folder 'no/where'"):
        found("no/where")


def test_a_hub_out_of_reach_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def urlopen(address: str, timeout: float) -> None:
        asked.append(address)
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(structures, "located", lambda *_: pytest.fail("asked for a data set"))
    with monkeypatch.context() as patch:
        patch.setattr(structures, "_benchmark", lambda name, *_: Benchmark(name, "here"))
        made = found("hub")
    assert len(asked) == 1
    assert "cannot be reached (no route to host)" in made["chebi20/test"].problem
    assert made["naming/test"].where == "here"


def test_a_file_of_the_hub_is_named_as_such(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copy = tmp_path / "test.csv"
    copy.write_text("SMILES,description\nCCO,a\n")
    monkeypatch.setattr(structures, "_hub_problem", lambda: None)
    monkeypatch.setattr(structures, "suite_names", lambda: ["chebi20", "smolinstruct"])
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: str(copy))
    said: list[str] = []
    made = {one.name: one for one in benchmark_structures("hub", "molecule", said.append)}
    assert made["chebi20/test"] == Benchmark("chebi20/test", "liupf/ChEBI-20-MM on the Hub", ("CCO",))
    assert said[0] == "benchmark chebi20/test: from liupf/ChEBI-20-MM on the Hub"
    assert "is no zip archive" in made["smolinstruct/s2i"].problem
