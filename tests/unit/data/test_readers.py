"""Any format gives the same rows; a bad row is one bad row; an unusable file is an error that names it."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrl_chem.data import readers
from rtrl_chem.data.readers import Columns, Row, open_rows
from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.tasks import Domain

MOLECULE = Domain("molecule", "molecule", "SMILES")
PRODUCT = Domain("product", "molecule", "PRODUCT")
REACTANTS = Domain("reactants", "molecules", "REACTANTS")
NAME = Domain("IUPAC name", "text", "IUPAC")


def rows(
    path: Path | str, *domains: Domain, fields: tuple[str | None, ...] = (), format: str | None = None
) -> list[Row]:
    domains = domains or (MOLECULE,)
    columns = Columns(domains, fields or (None,) * len(domains), str(path))
    return list(open_rows(path, columns, format)[1])


def write(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    data = data.encode() if isinstance(data, str) else data
    packer = PACKERS.get(path.suffix)
    path.write_bytes(packer(data) if packer else data)
    return path


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": lambda data: bz2.compress(data, 1),
    ".zst": lambda data: bytes(pa.compress(data, codec="zstd", asbytes=True)),
}


TABLES = {
    "smi": b"CCO ethanol\nCO methanol\n",
    "csv": b"id,smiles,name\n1,CCO,ethanol\n2,CO,methanol\n",
    "tsv": b"SMILES\tname\nCCO\tethanol\nCO\tmethanol\n",
    "txt": b"CID\tSMILES\tname\n1\tCCO\tethanol\n2\tCO\tmethanol\n",
    "jsonl": b'{"smiles": "CCO", "name": "ethanol"}\n{"smiles": "CO", "name": "methanol"}\n',
}


@pytest.mark.parametrize("packed", ["", ".gz", ".xz", ".zst", ".bz2"])
@pytest.mark.parametrize("ending", TABLES)
def test_every_text_format_gives_the_same_cells(tmp_path: Path, ending: str, packed: str) -> None:
    path = write(tmp_path, f"x.{ending}{packed}", TABLES[ending])
    assert [row.cells for row in rows(path, MOLECULE, NAME)] == [("CCO", "ethanol"), ("CO", "methanol")]


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_parquet_gives_the_same_cells(tmp_path: Path, packed: str) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    plain = tmp_path / "plain.parquet"
    pq.write_table(pa.table({"id": [1, 2], "name": ["ethanol", None], "smiles": ["CCO", "CO"]}), plain)
    path = write(tmp_path, "x.parquet" + packed, plain.read_bytes())
    got = rows(path, MOLECULE, NAME)
    assert [(row.number, row.cells, row.problem) for row in got] == [
        (1, ("CCO", "ethanol"), ""),
        (2, (), "no value for 'name'"),
    ]


def test_parquet_string_that_is_not_utf8_spoils_its_row_only(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    raw = pa.array([b"CCO", b"C\xe9", b"CO"], pa.binary())
    column = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])
    pq.write_table(pa.table({"smiles": column}), tmp_path / "x.parquet")
    assert [row.cells for row in rows(tmp_path / "x.parquet")] == [("CCO",), ("C\udce9",), ("CO",)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"CCO\nCO\n", id="LF"),
        pytest.param(b"CCO\r\nCO\r\n", id="CRLF"),
        pytest.param(b"CCO\rCO", id="CR, no end"),
        pytest.param(b"\xef\xbb\xbfCCO\nCO", id="byte order mark"),
    ],
)
def test_line_ends_and_byte_order_mark_do_not_matter(tmp_path: Path, data: bytes) -> None:
    assert [row.cells for row in rows(write(tmp_path, "x.txt", data))] == [("CCO",), ("CO",)]


@pytest.mark.parametrize("packed", PACKERS)
def test_packing_is_told_by_content_not_by_name(tmp_path: Path, packed: str) -> None:
    (tmp_path / "packed.smi").write_bytes(PACKERS[packed](b"CCO\n"))
    (tmp_path / f"plain.smi{packed}").write_bytes(b"CCO\n")
    assert rows(tmp_path / "packed.smi")[0].cells == rows(tmp_path / f"plain.smi{packed}")[0].cells == ("CCO",)


@pytest.mark.parametrize(
    ("line", "header"),
    [
        ("smiles", True),
        ("SMILES name", True),
        ("#smiles", True),
        ("Canonical-SMILES id", True),
        ("CCO smiles", False),
        ("C", False),
    ],
)
def test_header_line_of_a_smi_is_set_aside(tmp_path: Path, line: str, header: bool) -> None:
    first, second = rows(write(tmp_path, "x.smi", f"{line}\nsmiles\n"))
    assert (first.problem == "header") is header
    assert second.problem == ""  # only the first line can be a header: here chemistry will say what is wrong


@pytest.mark.parametrize(
    ("present", "domain", "chosen"),
    [
        (["SMILES", "product"], PRODUCT, "product"),
        (["reactants", "reagents", "product"], REACTANTS, "reactants"),
        (["CID", "Canonical SMILES", "description"], MOLECULE, "Canonical SMILES"),
        (["id", "product"], MOLECULE, "product"),
        (["smiles", "IUPAC-Name", "name"], NAME, "IUPAC-Name"),
        (["SMILES", "TEXT"], NAME, "TEXT"),
    ],
)
def test_usual_column_is_found(present: list[str], domain: Domain, chosen: str) -> None:
    assert present[Columns((domain,), (None,), "x").choose(present)[0]] == chosen


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((None, None), r"x\.csv: no column for SMILES among \['id', 'smi_text', 'name'\].*`field`"),
        (("smitext", None), r"x\.csv: no column 'smitext': did you mean 'smi_text'\?"),
        (("name", "name"), r"x\.csv: column 'name' is named for both sides"),
    ],
)
def test_wrong_column_is_a_config_error_that_helps(fields: tuple[str | None, str | None], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Columns((MOLECULE, NAME), fields, "x.csv").choose(["id", "smi_text", "name"])


def test_reactants_are_never_taken_from_the_product_column() -> None:
    with pytest.raises(ConfigError, match="no column for REACTANTS"):
        Columns((REACTANTS,), (None,), "x").choose(["product", "yield"])


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        pytest.param('CCO,"a, b"', ("CCO", "a, b"), id="comma in quotes"),
        pytest.param('CCO,"say ""a"""', ("CCO", 'say "a"'), id="doubled quotes"),
        pytest.param('CCO,"a\nb"', ("CCO", "a\nb"), id="line break in quotes"),
        pytest.param('CCO,a" b', ("CCO", 'a" b'), id="quote inside a cell"),
        pytest.param('CCO,"a', ("CCO", '"a'), id="quote never closed"),
        pytest.param("CCO,a,,", ("CCO", "a"), id="empty cells at the end"),
    ],
)
def test_csv_quoting(tmp_path: Path, line: str, cells: tuple[str, ...]) -> None:
    path = write(tmp_path, "x.csv", f"smiles,name\n{line}\nCO,next\n")
    assert [row.cells for row in rows(path, MOLECULE, NAME)] == [cells, ("CO", "next")]


def test_stray_quotes_do_not_swallow_the_rows_between_them(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", 'smiles,name\nCCO,"a\nCO,b\nCC,c\nCN,d"\nCF,e\n')
    assert [row.number for row in rows(path, MOLECULE, NAME)] == [2, 6]  # a quoted cell over lines 2-5 is legal CSV
    path = write(tmp_path, "y.csv", 'smiles,name\n"CCO,a\nCO,b\n"CC",c\n')
    assert [row.number for row in rows(path, MOLECULE, NAME)] == [2, 3, 4]


def test_csv_line_numbers_count_lines_not_records(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", 'smiles,name\nCCO,"a\nb"\nCO,c\n')
    assert [row.number for row in rows(path)] == [2, 4]


@pytest.mark.parametrize(
    ("line", "problem"),
    [("", "empty"), ("CCO", "fewer cells than the header"), ("CCO,2,3-diol", "more cells than the header")],
)
def test_ragged_csv_row_is_a_bad_row(tmp_path: Path, line: str, problem: str) -> None:
    got = rows(write(tmp_path, "x.csv", f"smiles,name\n{line}\nCO,b\n"), MOLECULE, NAME)
    assert [row.problem for row in got] == [problem, ""]


@pytest.mark.parametrize(
    ("cell", "read"),
    [('"a b"', "a b"), ('"say ""a"""', 'say "a"'), ('"A" and "B"', '"A" and "B"'), ('5" pipe', '5" pipe'), ('"', '"')],
)
def test_tsv_quotes_count_only_around_a_whole_cell(tmp_path: Path, cell: str, read: str) -> None:
    assert rows(write(tmp_path, "x.tsv", f"smiles\tname\nC\t{cell}\n"), NAME)[0].cells == (read,)


NO_OBJECT = [("{broken", "not JSON"), ("[" * 100_000, "not JSON"), ('["CCO"]', "not a JSON object"), ("  ", "empty")]
BAD_OBJECT = [('{"name": "a"}', "no value for 'smiles'"), ('{"smiles": 3}', "'smiles' is not text")]


@pytest.mark.parametrize(("line", "problem"), NO_OBJECT + BAD_OBJECT, ids=lambda text: text[:20])
def test_bad_jsonl_line_is_a_bad_row(tmp_path: Path, line: str, problem: str) -> None:
    got = rows(write(tmp_path, "x.jsonl", f'{{"smiles": "CCO"}}\n{line}\n'))
    assert [row.problem for row in got] == ["", problem]


@pytest.mark.parametrize(("line", "problem"), NO_OBJECT, ids=lambda text: text[:20])
def test_jsonl_columns_are_settled_by_the_first_object(tmp_path: Path, line: str, problem: str) -> None:
    got = rows(write(tmp_path, "x.jsonl", f'{line}\n{{"smiles": "CCO"}}\n'))
    assert [(row.problem, row.cells) for row in got] == [(problem, ()), ("", ("CCO",))]


@given(st.lists(st.tuples(st.text("CNO", min_size=1), st.text(max_size=20)), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_jsonl_reads_back_what_json_writes(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "x.jsonl"
    path.write_text("".join(json.dumps({"smiles": s, "name": n}) + "\n" for s, n in pairs))
    assert [row.cells for row in rows(path, MOLECULE, NAME)] == pairs


@given(st.lists(st.binary(max_size=40), max_size=8), st.sampled_from(["smi", "txt", "csv", "tsv", "jsonl"]))
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_rows_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ending: str
) -> None:
    path = tmp_path_factory.mktemp("bytes") / f"x.{ending}"
    head = {"csv": b"smiles,name\n", "tsv": b"smiles\tname\n"}.get(ending, b"")
    path.write_bytes(head + b"\n".join(lines))
    try:
        got = rows(path)
    except (ConfigError, CorpusError):
        return
    assert [row.number for row in got] == sorted({row.number for row in got})
    assert all(bool(row.cells) != bool(row.problem) or row.problem == "header" for row in got)


def test_one_megabyte_line_is_one_row(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", 'smiles,name\nCCO,"' + "a" * 1_000_000 + '"\nCO,b\n')
    assert [row.number for row in rows(path)] == [2, 3]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.smi", r"no file '.*absent\.smi'"),
        ("folder.smi", r"folder\.smi is a folder"),
        ("x.sdf", r"x\.sdf: \.sdf files are read by `rtrl-chem prepare .*x\.sdf --out CORPUS`"),
        ("x.xlsx", r"x\.xlsx: ending '\.xlsx' is not one of \.smi"),
    ],
)
def test_wrong_path_is_a_config_error(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.smi").mkdir()
    for file in ("x.sdf", "x.xlsx"):
        write(tmp_path, file, "x")
    with pytest.raises(ConfigError, match=message):
        rows(tmp_path / name)


def test_format_overrides_the_ending(tmp_path: Path) -> None:
    assert rows(write(tmp_path, "x.dat", "smiles,n\nCCO,1\n"), format="csv")[0].cells == ("CCO",)
    with pytest.raises(ConfigError, match=r"unknown format 'cvs': did you mean 'csv'"):
        rows(tmp_path / "x.dat", format="cvs")


@pytest.mark.parametrize("domains, fields", [((MOLECULE,), ("smiles",)), ((MOLECULE, NAME), (None, None))])
def test_columns_of_a_plain_list_are_a_config_error(
    tmp_path: Path, domains: tuple[Domain, ...], fields: tuple[str | None, ...]
) -> None:
    with pytest.raises(ConfigError, match="no header row"):
        rows(write(tmp_path, "x.txt", "CCO\nCO\n"), *domains, fields=fields)


@pytest.mark.parametrize("packed", PACKERS)
def test_truncated_archive_names_the_file_and_the_last_good_row(tmp_path: Path, packed: str) -> None:
    # Several blocks even of bzip2, which gives nothing of a block before all of it is there.
    lines = "".join(f"C{'C' * (i % 97)}O name-{i * 7919 % 10_007}\n" for i in range(30_000))
    data = PACKERS[packed](lines.encode())
    path = tmp_path / f"x.smi{packed}"
    path.write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(CorpusError, match=rf"x\.smi\{packed} is a truncated archive \(good up to row [1-9]\d+\)"):
        rows(path)


def test_a_line_without_an_end_does_not_fill_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_LINE", 100)
    path = write(tmp_path, "x.txt", "CCO\n" + "C" * 1000 + "\n" + "C" * 99 + "\n" + "C" * 100 + "\nCO\n" + "N" * 250)
    assert [len(row.text) for row in rows(path)] == [3, 100, 99, 100, 2, 100]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.smi", gzip.compress(b"CCO\n")[:-8] + b"\0" * 8, "damaged archive"),
        ("x.smi", gzip.compress(b"CCO\n")[:10] + b"\x07" * 40, "damaged archive"),
        ("x.parquet", b"PAR1 nothing of the kind", "cannot be read as Parquet"),
        ("x.smi", "CCO\n".encode("utf-16"), "UTF-16"),
    ],
    ids=["wrong checksum", "broken stream", "not Parquet", "UTF-16"],
)
def test_damaged_file_is_a_corpus_error(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CorpusError, match=message):
        rows(tmp_path / name)


class FakeTable:
    """As much of a `datasets.Dataset` as is used."""

    def __init__(self, columns: dict[str, list[object]]) -> None:
        self.columns = columns
        self.column_names = list(columns)

    def select_columns(self, names: list[str]) -> FakeTable:
        return FakeTable({name: self.columns[name] for name in names})

    def iter(self, size: int) -> list[dict[str, list[object]]]:
        return [self.columns]


def test_hub_data_set_is_read_by_id_and_split(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(name: str, split: str, revision: str | None, streaming: bool) -> FakeTable:
        asked.append((name, split))
        return FakeTable({"id": [1, 2], "smiles": ["CCO", None]})

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    columns = Columns((MOLECULE,), (None,), "org/set")
    got = list(open_rows("org/set", columns, split="test")[1])
    assert asked == [("org/set", "test")]
    assert [(row.number, row.cells, row.problem) for row in got] == [
        (1, ("CCO",), ""),
        (2, (), "no value for 'smiles'"),
    ]


class FakeStream:
    """As much of a `datasets.IterableDataset` as is used, of files that do not name their columns; it breaks off."""

    column_names = None

    def __iter__(self) -> Iterator[dict[str, object]]:
        return iter([{"id": 1, "smiles": "CCO"}])

    def select_columns(self, names: list[str]) -> FakeStream:
        return self

    def iter(self, size: int) -> Iterator[dict[str, list[object]]]:
        yield {"smiles": ["CCO", "CCN"]}
        raise ConnectionError("reset by peer")


def test_hub_data_set_is_streamed_until_the_network_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(name: str, split: str, revision: str | None, streaming: bool) -> FakeStream:
        assert streaming
        return FakeStream()

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    found = open_rows("org/set", Columns((MOLECULE,), (None,), "org/set"), streaming=True)[1]
    assert [next(found).cells, next(found).cells] == [("CCO",), ("CCN",)]
    with pytest.raises(CorpusError, match=r"Hub data set 'org/set' breaks off after row 2 .reset by peer"):
        next(found)


def test_hub_data_set_out_of_reach_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(name: str, split: str, revision: str | None, streaming: bool) -> None:
        raise ConnectionError("no route to host\nwith a long\ntrace")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    with pytest.raises(CorpusError, match=r"Hub data set 'org/set' \(split 'train'\).*no route to host") as caught:
        rows("org/set")
    assert "\n" not in str(caught.value)


def test_misspelt_file_in_an_existing_folder_is_not_sought_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace())
    for path in ("data/mols", "elsewhere/mols.smi"):
        with pytest.raises(ConfigError, match="no file"):
            rows(path)


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_a_column_that_is_there_twice_is_a_config_error(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"x.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table([pa.array(["C"]), pa.array(["N"])], names=["smiles", "smiles"]), file)
    else:
        file.write_text({"csv": "smiles,smiles\nC,N\n", "tsv": "smiles\tsmiles\nC\tN\n"}[ending])
    with pytest.raises(ConfigError, match="column 'smiles' is there 2 times: rename all but one"):
        list(open_rows(file, Columns((MOLECULE,), (None,), file.name))[1])
