"""Files of predictions: every row is scored or set aside with a reason, whatever is in it."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.evaluation.predictions import Row, SavedPredictions, read_saved

GOOD = b'{"source": "CCO", "target": "ethanol", "output": "ethanol"}\n'


def read(tmp_path: Path, content: bytes, name: str = "rows.jsonl") -> SavedPredictions:
    path = tmp_path / name
    path.write_bytes(content)
    return read_saved(path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param('{"source": "x", "target": "t", "output": "y"}', Row(1, "x", "t", ("y",)), id="one output"),
        pytest.param(
            '{"source": "x", "target": "t", "outputs": ["y", "z"], "reconstructions": ["x", null]}',
            Row(1, "x", "t", ("y", "z"), ("x", "")),
            id="ranked, with reconstructions",
        ),
        pytest.param('{"input": "x", "gold": "t", "pred": ["y"]}', Row(1, "x", "t", ("y",)), id="SMolInstruct"),
        pytest.param('{"source": "x", "target": "t", "output": null}', Row(1, "x", "t", ("",)), id="null is empty"),
        pytest.param('{"source": "x", "target": "t", "outputs": []}', Row(1, "x", "t", ("",)), id="no output is empty"),
        pytest.param(
            '{"source": "x", "output": "y", "reconstruction": "z", "extra": 1}',
            Row(1, "x", None, ("y",), ("z",)),
            id="a round trip without a label, and an extra column",
        ),
        pytest.param(
            '{"source": "x", "output": "y", "nats": -1.5, "tokens": 3, "truncated": true}',
            Row(1, "x", None, ("y",), nats=-1.5, tokens=3, truncated=True),
            id="what the one who asked can tell",
        ),
        pytest.param(
            '{"source": "x", "outputs": ["y", "z"], "truncated": [false, true], "nats": -2, "tokens": 1}',
            Row(1, "x", None, ("y", "z"), nats=-2.0, tokens=1, truncated=False),
            id="the same of ranked outputs: the first counts",
        ),
        pytest.param(
            '{"source": "x", "output": "y", "nats": "-1", "tokens": ["a"], "truncated": 1}',
            Row(1, "x", None, ("y",)),
            id="unknown keys of these names",
        ),
        pytest.param(
            f'{{"source": "x", "output": "y", "nats": {10**400}, "tokens": 2}}',
            Row(1, "x", None, ("y",)),
            id="a number that is no float",
        ),
        pytest.param(
            '{"source": "x", "output": "y", "nats": NaN, "tokens": 2}', Row(1, "x", None, ("y",)), id="not a number"
        ),
        pytest.param(
            '{"input": "x", "gold": ["t", "u"], "pred": ["y"]}',
            Row(1, "x", "t", ("y",), more_targets=("u",)),
            id="several targets",
        ),
        pytest.param(
            '{"source": "x", "target": "t", "output": "\\ud800"}', Row(1, "x", "t", ("\ufffd",)), id="half a surrogate"
        ),
    ],
)
def test_json_rows(tmp_path: Path, line: str, expected: Row) -> None:
    assert read(tmp_path, line.encode()).rows == [expected]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(b"", "empty line", id="missing line"),
        pytest.param(b"CCO\tethanol", "not JSON", id="not JSON"),
        pytest.param(b'{"source": "CCO"', "not JSON", id="cut off"),
        pytest.param(b"[" * 100_000, "not JSON", id="nested too deep"),
        pytest.param(b'["CCO"]', "not a JSON object", id="a list"),
        pytest.param(b'{"source": "CCO", "target": "t"}', "no output", id="no output"),
        pytest.param(b'{"source": "CCO", "target": "t", "output": 5}', "output is not text", id="a number"),
        pytest.param(b'{"source": "CCO", "output": "y"}', "no target", id="a label missing among labels"),
    ],
)
def test_rows_set_aside(tmp_path: Path, line: bytes, reason: str) -> None:
    found = read(tmp_path, GOOD + line + b"\n" + GOOD)
    assert (found.rows_in, len(found.rows), found.set_aside) == (3, 2, {reason: 1})


HEADER = b"SMILES\tground truth\toutput\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(b"x\tt\ty", Row(2, "x", "t", ("y",)), id="plain"),
        pytest.param(b'x\t"t"\t"y', Row(2, "x", '"t"', ('"y',)), id="quotes are ordinary"),
        pytest.param(b"x\tt\ty\tz\tz", Row(2, "x", "t", ("y",)), id="extra columns"),
        pytest.param(b"x\tt", Row(2, "x", "t", ("",)), id="empty last cell cut"),
        pytest.param(b"x\tt\t\xff\xfe", Row(2, "x", "t", ("\ufffd\ufffd",)), id="not UTF-8"),
    ],
)
def test_table_rows(tmp_path: Path, line: bytes, expected: Row) -> None:
    assert read(tmp_path, HEADER + line + b"\n", "rows.txt").rows == [expected]


def test_lines_of_a_table_that_are_missing_or_short_are_counted(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + b"x\tt\ty\n\nx\n", "rows.tsv")
    assert (found.rows_in, len(found.rows)) == (3, 1)
    assert found.set_aside == {"empty line": 1, "fewer cells than the header": 1}
    assert found.counts()["scored"] + sum(found.set_aside.values()) == found.counts()["rows_in"]


def test_gzip_and_byte_order_mark(tmp_path: Path) -> None:
    assert len(read(tmp_path, gzip.compress(b"\xef\xbb\xbf" + GOOD), "rows.jsonl.gz").rows) == 1


@pytest.mark.parametrize(
    ("content", "name", "error", "message"),
    [
        pytest.param(b"", "rows.jsonl", CorpusError, "it is empty", id="empty file"),
        pytest.param(b"\n\n", "rows.jsonl", CorpusError, "empty line: 2", id="nothing in it"),
        pytest.param(b"a\tb\n1\t2\n", "rows.tsv", ConfigError, "no column 'output'", id="no such column"),
        pytest.param(gzip.compress(GOOD)[:-10], "rows.jsonl.gz", CorpusError, "cannot be read", id="cut archive"),
    ],
)
def test_files_that_cannot_be_used(
    tmp_path: Path, content: bytes, name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read(tmp_path, content, name)


@pytest.mark.parametrize("path", [pytest.param("nowhere.jsonl", id="missing"), pytest.param(".", id="folder")])
def test_no_file(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError, match="give a file of predictions"):
        read_saved(tmp_path / path)


LINES = st.lists(
    st.one_of(
        st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b"")),
        st.dictionaries(
            st.sampled_from(["source", "target", "output", "outputs", "reconstruction", "classes"]),
            st.one_of(st.none(), st.text(max_size=8), st.integers(), st.lists(st.text(max_size=4), max_size=3)),
        ).map(lambda record: json.dumps(record).encode()),
    ),
    max_size=12,
)


@given(LINES, st.sampled_from(["rows.jsonl", "rows.tsv"]))
def test_whatever_the_lines_are_the_counts_add_up(lines: list[bytes], name: str) -> None:
    head = GOOD if name == "rows.jsonl" else HEADER + b"x\tt\ty\n"
    with tempfile.TemporaryDirectory() as folder:
        found = read(Path(folder), head + b"".join(line + b"\n" for line in lines), name)
    assert found.rows_in == len(lines) + 1
    assert len(found.rows) + sum(found.set_aside.values()) == found.rows_in
    assert all(row.outputs for row in found.rows)
    json.dumps(found.counts(), ensure_ascii=False).encode("utf-8")
