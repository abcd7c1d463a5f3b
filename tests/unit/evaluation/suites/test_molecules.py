from __future__ import annotations

from pathlib import Path

import pytest

from rtrl_chem.data.inspect import Benchmark
from rtrl_chem.evaluation.suites import molecules
from rtrl_chem.evaluation.suites.molecules import benchmarks


@pytest.fixture
def _few_suites(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundled ones take a second."""
    names = ["chebi20", "chemllmbench", "molecules", "uspto-mit", "uspto50k", "guard"]
    monkeypatch.setattr(molecules, "suite_names", lambda: names)


def found(folder: Path | None) -> dict[str, Benchmark]:
    return {benchmark.name: benchmark for benchmark in benchmarks(folder)}


@pytest.mark.usefixtures("_few_suites")
def test_copies_are_read_where_they_are_and_the_others_say_why(tmp_path: Path) -> None:
    for file, content in {
        "chebi20/test.txt": "CID\tSMILES\tdescription\n1\tF/C=C\\\\F\tIt is.\n2\tCCO\tIt is too.\n",
        "zinc/test.txt": "CCO\nCCN\nno molecule\n",
        "uspto50k/uspto50k.tsv": "split\tclass\tproduct\treactants\ntest\t1\tCCO\tCC=O\ntrain\t1\tCCC\tC=CC\n",
        "uspto_mit/test.tsv": "reactants\treagents\tproduct\nCC=O\tN\t[CH3:1][CH2:2][OH:3]\n",
    }.items():
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text(content)
    known = found(tmp_path)
    assert set(known["chebi20"].texts) == {"F/C=C\\F", "FC=CF", "CCO"}
    assert set(known["molecules/zinc"].texts) == {"CCO", "CCN"}
    assert (
        set(known["uspto50k"].texts) == set(known["uspto-mit"].texts) == {"CCO"}
    )  # the product, of test rows, unmapped
    assert known["chebi20"].blocks > known["uspto50k"].blocks
    assert known["molecules/moses"].unreachable.startswith("no moses/test.csv or corpora/moses_test.csv.gz below")
    assert "chemllmbench/names" in known and "guard" not in known


@pytest.mark.usefixtures("_few_suites")
def test_without_a_folder_nothing_is_downloaded() -> None:
    known = found(None)
    assert {benchmark.unreachable for benchmark in known.values()} == {"no local copy given"}


def test_bundled_suites_are_always_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(molecules, "suite_names", lambda: ["naming"])
    (naming,) = benchmarks(None)
    assert naming.name == "naming" and len(naming.blocks) > 1_700
