"""Every row of the input is in the corpus or among the rejects, once, whatever happens on the way."""

from __future__ import annotations

import errno
import gzip
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rdkit import Chem

from rtrl_chem.chem import canonical
from rtrl_chem.data.prepare.decontaminate import Benchmark
from rtrl_chem.data.prepare.engine import HereEngine
from rtrl_chem.data.prepare.workplace import Workplace
from rtrl_chem.errors import ConfigError, CorpusError, RunFolderError, SavingError

Make = Callable[..., Any]


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """Sixty rows, among them duplicates, garbage and blanks."""
    pool = ["CCO", "OCC", "CCN", "c1ccccc1", "C1=CC=CC=C1", "xx", "", "CC(=O)O", "C*", "CCCl ethyl chloride"]
    path = tmp_path / "x.smi"
    path.write_text("\n".join(random.Random(0).choices(pool, k=60)) + "\n")
    return path


def test_a_corpus_is_what_its_manifest_says(make: Make, lines: Path) -> None:
    made = make(lines, settings=["rows_per_shard=2"])
    manifest = made.manifest
    assert manifest == json.loads((made.out / "manifest.json").read_text())
    assert (manifest["format"], manifest["version"], manifest["task_domain"]) == ("rtrl-chem corpus", 1, "molecule")
    assert manifest["rows_in"] == 60 == manifest["kept"] + sum(manifest["dropped"].values())
    assert set(manifest["dropped"]) == {"duplicate", "does not parse", "empty", "wildcard atom or query"}
    [source] = manifest["sources"]
    assert (source["file"], source["rows"], source["bytes"]) == (str(lines), 60, lines.stat().st_size)
    train = manifest["splits"]["train"]
    assert train["rows"] == manifest["kept"] == 5
    assert [shard["file"] for shard in train["shards"]] == [f"train-0000{i}-of-00003.parquet" for i in range(3)]
    assert [shard["rows"] for shard in train["shards"]] == [2, 2, 1]
    assert sorted(made.files()) == ["manifest.json", "rejects.parquet", *(shard["file"] for shard in train["shards"])]
    table = made.splits["train"]
    assert table.column_names == ["id", "smiles", "source_file", "source_row"]
    assert [str(field.type) for field in table.schema] == ["int64", "string", "string", "int64"]
    assert table["id"].to_pylist() == [0, 1, 2, 3, 4]
    assert not (made.out / ".work").exists()


def test_the_first_of_equal_rows_stays_with_its_line(make: Make, tmp_path: Path, small_chunks: None) -> None:
    (tmp_path / "a.smi").write_text("CCO\nOCC\n" + "C" * 3 + "\n")
    (tmp_path / "b.smi").write_text("C(C)C again\nN\n")
    made = make(tmp_path / "a.smi", tmp_path / "b.smi")
    kept = made.splits["train"].to_pylist()
    assert [(Path(r["source_file"]).name, r["source_row"], r["smiles"]) for r in kept] == [
        ("a.smi", 1, "CCO"),
        ("a.smi", 3, "CCC"),
        ("b.smi", 2, "N"),
    ]
    assert made.rejects == [("a.smi", 2, "OCC", "duplicate"), ("b.smi", 1, "C(C)C again", "duplicate")]


def test_duplicates_stay_if_they_are_to(make: Make, lines: Path) -> None:
    assert "duplicate" not in make(lines, settings=["dedup=none"]).manifest["dropped"]


CELLS = st.sampled_from(
    ["CCO", "OCC", "CCN", "NCC", "c1ccccc1", "C", "", "prose here", "xx", "C*", "CC\tname", "[CH3:1]C"]
)


@given(files=st.lists(st.lists(CELLS, max_size=12), min_size=1, max_size=3), split=st.sampled_from(["none", "hash"]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_row_is_somewhere_once(
    make: Make,
    reopen: Callable[[Path], Any],
    small_chunks: None,
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[str]],
    split: str,
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    rows = []
    for i, cells in enumerate(files):
        (folder / f"{i}.txt").write_text("".join(cell + "\n" for cell in cells))
        rows += [(f"{i}.txt", number) for number in range(1, len(cells) + 1)]
    out = tmp_path_factory.mktemp("out") / "corpus"
    try:
        made = make(folder, settings=[f"split.method={split}"], out=out)
    except CorpusError:  # nothing was kept, and the corpus says so
        made = reopen(out)
    kept = [row for table in made.splits.values() for row in table.to_pylist()]
    found = [(Path(row["source_file"]).name, row["source_row"]) for row in kept]
    found += [(file, number) for file, number, _, _ in made.rejects]
    assert sorted(found) == rows
    manifest = made.manifest
    assert manifest["rows_in"] == len(rows) == manifest["kept"] + sum(manifest["dropped"].values())
    assert Counter(reason for *_, reason in made.rejects) == manifest["dropped"]
    smiles = [row["smiles"] for row in kept]
    assert len(set(smiles)) == len(smiles) == manifest["kept"]
    assert all(canonical(one) == one for one in smiles)


# ---- what goes wrong ------------------------------------------------------------------------------------------------

NASTY = {
    b"CCO": "",
    b"OCC": "duplicate",
    b"What a lovely day it is": "does not parse",
    b"": "empty",
    b"CC\0C": "NUL byte",
    b"C\xe9thanol": "not UTF-8",
    b"C" * 1_000_000: "too long",
    b"*": "no heavy atom",
    b"[C,N]CC": "does not parse",
    b"[#6]~[#7]": "wildcard atom or query",
    b"CCN\r": "",
    b"\xf0\x9f\xa7\xaa": "does not parse",
    b"CCC\tpropane of C\xf4te d'Or": "",
}


def test_a_nasty_corpus_is_accounted_for(make: Make, tmp_path: Path, small_chunks: None) -> None:
    folder = tmp_path / "nasty"
    (folder / "x.smi").mkdir(parents=True)
    (folder / "a.smi").write_bytes(b"\xef\xbb\xbfSMILES name\r\n" + b"\n".join(NASTY) + b"\n")
    made = make(folder)
    expected = Counter({"header": 1, **Counter(NASTY.values())})
    assert made.manifest["kept"] == expected.pop("")
    assert made.manifest["dropped"] == expected
    assert made.smiles == ["CCO", "CCN", "CCC"]
    reasons = {row: reason for _, row, _, reason in made.rejects}
    assert reasons == {1: "header"} | {i: reason for i, reason in enumerate(NASTY.values(), 2) if reason}
    texts = {row: text for _, row, text, _ in made.rejects}
    assert texts[7] == "C\\xe9thanol"
    assert texts[8] == "C" * 500
    assert [one["reason"] for one in made.manifest["skipped"]] == [
        "a folder, in spite of its name; the files in it count as such"
    ]


def test_a_truncated_archive_is_an_error_and_what_was_read_is_kept(
    make: Make, reopen: Callable[[Path], Any], tmp_path: Path
) -> None:
    packed = gzip.compress("".join(f"C{'C' * (i % 50)}O name-{i * 7919 % 10_007}\n" for i in range(5_000)).encode())
    path = tmp_path / "a.smi.gz"
    path.write_bytes(packed[: len(packed) // 2])
    (tmp_path / "b.smi").write_text("N\n")
    for _ in range(2):  # the second time nothing is left to do, and it is an error still
        with pytest.raises(CorpusError, match=r"a\.smi\.gz is a truncated archive \(good up to row \d+\).*holds what"):
            make(path, tmp_path / "b.smi")
    made = reopen(tmp_path / "corpus")
    assert made.smiles[-1] == "N"
    assert made.manifest["kept"] == 51
    first, second = made.manifest["sources"]
    assert "truncated" in first["problem"]
    assert first["rows"] + second["rows"] == made.manifest["rows_in"] > 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the input is empty"),
        ("xx\nyy\nC\0\n", r"none of 3 rows was kept, most often \(2\) because: does not parse"),
    ],
)
def test_nothing_kept_is_an_error(make: Make, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.txt").write_text(text)
    with pytest.raises(CorpusError, match=message):
        make(tmp_path / "x.txt")


# ---- going on -------------------------------------------------------------------------------------------------------


class Stopping(HereEngine):
    """Is killed after some chunks."""

    def __init__(self, after: int) -> None:
        self.after = after

    def map(self, function: Any, shared: Any, items: Any) -> Iterator[Any]:
        for done, result in enumerate(super().map(function, shared, items)):
            if done == self.after:
                raise KeyboardInterrupt
            yield result


@pytest.mark.parametrize("after", [0, 3, 8])
def test_an_interrupted_call_goes_on(make: Make, lines: Path, small_chunks: None, tmp_path: Path, after: int) -> None:
    whole = make(lines, settings=["split.method=hash"]).files()
    out = tmp_path / "resumed"
    with pytest.raises(KeyboardInterrupt):
        make(lines, settings=["split.method=hash"], out=out, engine=Stopping(after))
    assert len(list((out / ".work").glob("chunk-*"))) == after
    (out / ".work" / "chunk-00000007.parquet.123.partial").write_bytes(b"half a file")
    assert make(lines, settings=["split.method=hash"], out=out).files() == whole


def test_a_call_that_died_while_it_wrote_the_shards_goes_on(
    make: Make, lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_chunks: None
) -> None:
    out = tmp_path / "resumed"
    settings = ["rows_per_shard=2"]
    whole = make(lines, settings=settings).files()
    with monkeypatch.context() as patch:
        patch.setattr("rtrl_chem.data.prepare.run.write_rejects", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make(lines, settings=settings, out=out)
    assert (out / "train-00000-of-00003.parquet").is_file()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make(lines, settings=settings, out=out)
    assert (out / ".work").is_dir()
    assert make(lines, settings=settings, out=out).files() == whole
    assert not (out / ".work").exists()


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("finished", [True, False], ids=["finished", "unfinished"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("settings", r'settings\.dedup: "canonical" then, "none" now'),
        ("input", r"sources .*x\.smi\.(bytes|sha256): .* then, .* now"),
        ("inputs", "sources: 1 then, 2 now"),
    ],
)
def test_another_call_into_the_same_folder_is_an_error(
    make: Make, lines: Path, small_chunks: None, tmp_path: Path, finished: bool, change: str, message: str
) -> None:
    if finished:
        make(lines)
    else:
        with pytest.raises(KeyboardInterrupt):
            make(lines, engine=Stopping(2))
    more = tmp_path / "more.smi"
    more.write_text("CCCC\n")
    if change == "input":
        lines.write_text(lines.read_text() + "CCCC\n")
    given = [lines, more] if change == "inputs" else [lines]
    settings = ["dedup=none"] if change == "settings" else []
    with pytest.raises(RunFolderError, match=rf"corpus of another call \({message}\): give --overwrite"):
        make(*given, settings=settings)
    fresh = make(*given, settings=settings, out=tmp_path / "fresh").files()
    assert make(*given, settings=settings, overwrite=True).files() == fresh


def test_a_finished_corpus_is_not_made_again(make: Make, lines: Path) -> None:
    made = make(lines)
    times = {path: path.stat().st_mtime_ns for path in made.out.iterdir()}
    assert make(lines).manifest == made.manifest
    assert {path: path.stat().st_mtime_ns for path in made.out.iterdir()} == times


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_something_else_is_left_alone(make: Make, lines: Path, tmp_path: Path, overwrite: bool) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter.tex").write_text("x")
    with pytest.raises(RunFolderError, match="is there and is no prepared corpus"):
        make(lines, out=out, overwrite=overwrite)
    assert [path.name for path in out.iterdir()] == ["chapter.tex"]


def test_overwriting_takes_only_what_we_wrote(make: Make, lines: Path) -> None:
    made = make(lines)
    (made.out / "notes.txt").write_text("mine")
    make(lines, settings=["dedup=none"], overwrite=True)
    assert (made.out / "notes.txt").read_text() == "mine"


# ---- benchmarks -----------------------------------------------------------------------------------------------------


def suites(given: str, domain: str, say: Any) -> Iterator[Benchmark]:
    assert domain == "molecule"
    yield Benchmark("one/test", "one.csv", ("[O-]C(=O)C", "CCN"))
    yield Benchmark("two/test", "two.csv", ("CC(=O)O", "c1ccncc1"))
    yield Benchmark("three/test", problem="no copy")


def test_benchmarks_are_removed_and_reported(make: Make, lines: Path) -> None:
    made = make(lines, benchmarks=suites)
    rows = Counter(canonical(line.split()[0]) for line in lines.read_text().split("\n") if line.split())
    acetic, amine = rows["CC(=O)O"], rows["CCN"]
    assert made.manifest["dropped"]["in benchmark one/test"] == acetic + amine
    assert not {"CC(=O)O", "CCN"} & set(made.smiles)
    assert made.manifest["decontamination"] == {
        "benchmarks": "hub",
        "by": "first block of the InChIKey",
        "checked": [
            {"benchmark": "one/test", "where": "one.csv", "molecules": 2, "rows_removed": acetic + amine},
            {"benchmark": "two/test", "where": "two.csv", "molecules": 2, "rows_removed": acetic},
        ],
        "not_checked": [{"benchmark": "three/test", "reason": "no copy"}],
    }


def test_benchmarks_do_not_change_between_two_halves(make: Make, lines: Path, small_chunks: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(lines, benchmarks=suites, engine=Stopping(2))
    made = make(lines, benchmarks=lambda *_: iter(()))
    assert len(made.manifest["decontamination"]["checked"]) == 2


def test_benchmarks_can_be_left_in(make: Make, lines: Path) -> None:
    made = make(lines, benchmarks=suites, settings=["benchmarks=none"])
    assert made.manifest["decontamination"] == {"benchmarks": "none"}
    assert "CCN" in made.smiles


# ---- other kinds ----------------------------------------------------------------------------------------------------


def test_reactions_have_their_own_columns(make: Make, tmp_path: Path) -> None:
    (tmp_path / "x.rsmi").write_text("CC.O>>CO\nO.CC>N>CO\nCCC>N>CCO\nCC>>\n")
    made = make(tmp_path / "x.rsmi", settings=["split.method=hash", "split.shares={train: 1.0}"])
    assert made.manifest["task_domain"] == "reaction"
    assert [(r["reactants"], r["reagents"], r["product"]) for r in made.splits["train"].to_pylist()] == [
        ("CC.O", None, "CO"),
        ("CCC", "N", "CCO"),
    ]
    assert [(row, text, reason) for _, row, text, reason in made.rejects] == [
        (2, "O.CC>N>CO", "duplicate"),
        (4, "CC>>", "no product"),
    ]


def test_a_tokenizer_is_part_of_what_was_asked(make: Make, lines: Path) -> None:
    settings = ["filter.tokenizer=bundled:tiny", "filter.max_tokens=4"]
    made = make(lines, settings=settings)
    assert made.manifest["dropped"]["too many tokens"] > 0
    assert len(made.manifest["tokenizer_sha256"]) == 64
    with pytest.raises(ConfigError, match=r"filter\.tokenizer: 'no/such/model' cannot be loaded"):
        make(lines, settings=["filter.tokenizer=no/such/model", "filter.max_tokens=4"])


def test_row_groups_are_of_one_size(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtrl_chem.data.prepare.shards.ROW_GROUP", 4)
    (tmp_path / "x.smi").write_text("".join("C" * i + "\n" for i in range(1, 25)) + "xx\n" * 9)
    made = make(tmp_path / "x.smi", settings=["rows_per_shard=10"])

    def groups(name: str) -> list[int]:
        found = pq.ParquetFile(made.out / name).metadata
        return [found.row_group(i).num_rows for i in range(found.num_row_groups)]

    shards = [shard["file"] for shard in made.manifest["splits"]["train"]["shards"]]
    assert [groups(name) for name in shards] == [[4, 4, 2], [4, 4, 2], [4]]
    assert groups("rejects.parquet") == [4, 4, 1]


def test_a_work_folder_knows_another_format(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"format": "something else"}')
    assert Workplace(tmp_path).manifest is None


def test_one_byte_that_is_not_utf8_in_an_sdf_harms_nothing(make: Make, tmp_path: Path) -> None:
    block = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO")).encode()
    (tmp_path / "x.sdf").write_bytes(b"caf\xe9" + block + b"$$$$\n" + block.replace(b" O ", b" N ") + b"$$$$\n")
    assert make(tmp_path / "x.sdf").smiles == ["CCO", "CCN"]


def test_a_pipe_is_refused_before_it_is_emptied(make: Make, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.smi")
    with pytest.raises(ConfigError, match="cannot be read twice: save it to a file first"):
        make(tmp_path / "x.smi")


def test_a_glob_leaves_out_what_prepare_wrote(make: Make, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("smiles\nCCO\nxx\n")
    made = make(tmp_path / "x.csv", out=tmp_path / "x.parquet.d")
    (tmp_path / "rejects.parquet").write_bytes((made.out / "rejects.parquet").read_bytes())
    for _ in range(2):  # the second call finds what the first one wrote
        again = make(f"{tmp_path}/**/*.parquet", out=tmp_path / "out")
        assert again.smiles == ["CCO"]
    assert {one["reason"] for one in again.manifest["skipped"]} == {"what another prepare left out"}


def test_a_call_that_was_wrong_does_not_stand_in_the_way(make: Make, lines: Path) -> None:
    def not_there(*_: object) -> Iterator[Benchmark]:
        raise ConfigError("benchmarks: no folder 'x'")

    with pytest.raises(ConfigError, match="no folder"):
        make(lines, settings=["benchmarks=x"], benchmarks=not_there)
    assert make(lines).manifest["kept"] == 5


def test_two_calls_at_once_into_one_folder(make: Make, lines: Path, tmp_path: Path) -> None:
    with (
        Workplace(tmp_path / "corpus").held(),
        pytest.raises(RunFolderError, match="another rtrl-chem prepare is at work there"),
    ):
        make(lines)
    assert make(lines).manifest["kept"] == 5


def test_a_manifest_that_is_not_json_is_somebody_elses(make: Make, lines: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "manifest.json").write_text("// theirs\n")
    with pytest.raises(RunFolderError, match="is no prepared corpus"):
        make(lines)
    assert [path.name for path in (tmp_path / "corpus").iterdir()] == ["manifest.json"]


def test_a_full_disk_is_one_line_and_the_same_call_goes_on(
    make: Make, lines: Path, small_chunks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Workplace, path: Path, content: str | bytes) -> None:
        if "chunk-00000002" in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, path, content)

    write = Workplace.write
    with (
        monkeypatch.context() as patch,
        pytest.raises(SavingError, match=r"No space left on device\): make room .* the same call again"),
    ):
        patch.setattr(Workplace, "write", full)
        make(lines)
    assert make(lines).manifest["kept"] == 5


def test_an_output_below_a_file_is_one_line(make: Make, lines: Path) -> None:
    with pytest.raises(SavingError, match="Not a directory"):
        make(lines, out=lines / "corpus")


def test_a_parquet_column_that_is_there_twice_is_a_config_error(make: Make, tmp_path: Path) -> None:
    column = pa.array(["C", "CC"])
    pq.write_table(pa.table([column, column], names=["smiles", "smiles"]), tmp_path / "x.parquet")
    with pytest.raises(ConfigError, match="column 'smiles' is there 2 times"):
        make(tmp_path / "x.parquet")
