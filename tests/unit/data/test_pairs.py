"""Both sides of a pair are clean, or the row is set aside."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtrl_chem.data import read_pairs
from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.tasks import Direction, load_task


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(
    ("task", "header", "row", "pair"),
    [
        ("naming", "smiles,name", "OCC,ethanol", ("CCO", "ethanol")),
        ("captioning", "CID,SMILES,description", "702,OCC,An alcohol.", ("CCO", "An alcohol.")),
        (
            "reaction",
            "reactants,reagents,product",
            "OCC.CC(=O)O,O,O(CC)C(C)=O",
            ("CC(=O)O.CCO", "CCOC(C)=O"),
        ),
    ],
)
def test_usual_columns_of_each_task(tmp_path: Path, task: str, header: str, row: str, pair: tuple[str, str]) -> None:
    assert list(read_pairs(write(tmp_path, "x.csv", f"{header}\n{row}\n"), load_task(task))) == [pair]


def test_smi_file_gives_structure_and_name(tmp_path: Path) -> None:
    path = write(tmp_path, "x.smi", "OCC ethyl alcohol\nCO\n")
    pairs = read_pairs(path, load_task("naming"))
    assert list(pairs) == [("CCO", "ethyl alcohol")]
    assert pairs.reject_reasons() == {"IUPAC: empty": 1}


def test_fields_choose_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "x.tsv", "smiles\tname\ttrivial\nCCO\tethanol\tspirit\n")
    assert list(read_pairs(path, load_task("naming"), (None, "trivial"))) == [("CCO", "spirit")]


def test_every_row_is_a_pair_a_duplicate_or_a_reject(tmp_path: Path) -> None:
    text = "smiles\tname\nCCO\tethanol\nOCC\tethanol\nCCO\tethyl alcohol\nprose\tx\nCO\t\nF/C=C\\\\F\ta\n\nC\n"
    pairs = read_pairs(write(tmp_path, "x.tsv", text), load_task("naming"))
    assert list(pairs) == [("CCO", "ethanol"), ("CCO", "ethyl alcohol"), ("F/C=C\\F", "a")]
    assert (pairs.rows_in, pairs.duplicates, pairs.repaired) == (8, 1, 1)
    assert [(r.row, r.reason) for r in pairs.rejects] == [
        (5, "SMILES: does not parse"),
        (6, "IUPAC: empty"),
        (8, "empty"),
        (9, "fewer cells than the header"),
    ]


def test_reaction_without_reactants_is_set_aside(tmp_path: Path) -> None:
    path = write(tmp_path, "x.tsv", "reactants\tproduct\n\tCCO\nCO\tCC\nCO\tC(C\n")
    pairs = read_pairs(path, load_task("reaction"))
    assert list(pairs) == [("CO", "CC")]
    assert [r.reason for r in pairs.rejects] == ["REACTANTS: empty", "PRODUCT: does not parse"]


def test_direction_says_which_side_the_policy_is_given(tmp_path: Path) -> None:
    pairs = read_pairs(write(tmp_path, "x.smi", "CCO ethanol\n"), load_task("naming"))
    assert pairs.along(Direction.FORWARD) == (["CCO"], ["ethanol"])
    assert pairs.along(Direction.REVERSE) == (["ethanol"], ["CCO"])


def test_fingerprint_binds_the_sides_together(tmp_path: Path) -> None:
    naming = load_task("naming")
    one = read_pairs(write(tmp_path, "a.smi", "C a\nCC b\n"), naming)
    swapped = read_pairs(write(tmp_path, "b.smi", "C b\nCC a\n"), naming)
    assert one.fingerprint() == read_pairs(write(tmp_path, "c.smi", "x y\nC a\nCC b\n"), naming).fingerprint()
    assert one.fingerprint() != swapped.fingerprint()


def test_no_usable_pair_is_a_corpus_error(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", "smiles,name\nethanol,CCO\n")
    with pytest.raises(CorpusError, match=r"none of its 1 rows .* a pair of SMILES and IUPAC.*SMILES: does not parse"):
        read_pairs(path, load_task("naming"))


def test_missing_label_column_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no column for IUPAC among \['smiles'\]"):
        read_pairs(write(tmp_path, "x.csv", "smiles\nCCO\n"), load_task("naming"))


def test_bundled_labelled_set_is_clean() -> None:
    pairs = read_pairs("bundled:naming/validation", load_task("naming"))
    assert len(pairs) == pairs.rows_in > 1_000


def test_chebi20_is_read_and_its_backslashes_repaired(shared_data: Path) -> None:
    pairs = read_pairs(shared_data / "chebi20/validation.txt", load_task("captioning"))
    assert (pairs.rows_in, len(pairs.rejects), pairs.repaired) == (3_301, 0, 502)
    assert not any("\\\\" in source for source in pairs.sources)
