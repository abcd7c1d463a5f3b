"""Files of many-line records are cut where the records end, and nowhere else."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from rtrl_chem.data import records
from rtrl_chem.data.records import open_records, record_rows
from rtrl_chem.errors import CorpusError

SDF = "one\n\n\nM  END\n> <name>\nfirst\n\n$$$$\ntwo\n\n\nM  END\n$$$$\n"
RDF = """$RDFILE 1
$RFMT $RIREG 1
$RXN
reaction one
$MOL
M  END
$DTYPE yield
$DATUM $RXN is a word here
$RFMT $RIREG 2
$DTYPE nothing
$RFMT $RIREG 3
$RXN
reaction three
M  END
"""


def blocks(text: str, format: str) -> list[tuple[str, str]]:
    rows = list(record_rows(iter(text.split("\n")), format))
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    return [(row.cells[0] if row.cells else "", row.problem) for row in rows]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(SDF, [("one\n\n\nM  END\n", ""), ("two\n\n\nM  END\n", "")], id="data fields are left out"),
        pytest.param(
            SDF[: SDF.rindex("$$$$")], [("one\n\n\nM  END\n", ""), ("two\n\n\nM  END\n", "")], id="no last $$$$"
        ),
        pytest.param("one\nM  END\n", [("one\nM  END\n", "")], id="a mol file"),
        pytest.param("$$$$\none\nM  END\n$$$$\n\n", [("", "empty"), ("one\nM  END\n", "")], id="an empty record"),
        pytest.param("", [], id="an empty file"),
    ],
)
def test_sdf(text: str, found: list[tuple[str, str]]) -> None:
    assert blocks(text, "sdf") == found


@pytest.mark.parametrize(
    ("text", "format", "found"),
    [
        pytest.param(
            RDF,
            "rdf",
            [
                ("$RXN\nreaction one\n$MOL\nM  END\n", ""),
                ("", "no reaction in it"),
                ("$RXN\nreaction three\nM  END\n\n", ""),
            ],
            id="RDF",
        ),
        pytest.param("$RXN\na\nM  END", "rxn", [("$RXN\na\nM  END\n", "")], id="RXN"),
        pytest.param("$RXN\na\n$RXN\nb", "rxn", [("$RXN\na\n", ""), ("$RXN\nb\n", "")], id="several RXN in a file"),
        pytest.param("a\n", "rxn", [("", "no reaction in it")], id="no RXN"),
    ],
)
def test_reactions(text: str, format: str, found: list[tuple[str, str]]) -> None:
    assert blocks(text, format) == found


def test_a_file_without_separators_is_one_bad_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_RECORD", 1000)
    [(_, problem)] = blocks("some line\n" * 10_000, "sdf")
    assert problem == "too long"


def test_a_truncated_file_keeps_its_whole_records(tmp_path: Path) -> None:
    packed = gzip.compress("".join(f"{i * 7919}\n\n\nM  END\n$$$$\n" for i in range(20_000)).encode())
    path = tmp_path / "x.sdf.gz"
    path.write_bytes(packed[: len(packed) // 2])
    rows = open_records(path, "sdf")
    read = []
    with pytest.raises(CorpusError, match=r"x\.sdf\.gz is a truncated archive \(good up to row [1-9]\d+\)"):
        for row in rows:
            read.append(row.number)
    assert len(read) > 1000
