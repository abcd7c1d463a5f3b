"""Clean distinct items come out; every row is accounted for."""

from __future__ import annotations

import json
import random
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrl_chem.data import Reject, bundled_path, read_corpus, write_rejects
from rtrl_chem.data.corpus import Corpus, admit, fingerprint
from rtrl_chem.data.readers import Columns, open_rows
from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.tasks import Domain

MOLECULE = Domain("molecule", "molecule", "SMILES")
REACTANTS = Domain("reactants", "molecules", "REACTANTS")
NAME = Domain("IUPAC name", "text", "IUPAC")


def corpus_of(folder: Path, data: str | bytes, domain: Domain = MOLECULE, name: str = "x.txt") -> Corpus:
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_corpus(folder / name, domain)


@pytest.mark.parametrize(
    ("text", "domain", "item"),
    [
        pytest.param(" OCC ", MOLECULE, "CCO", id="canonical"),
        pytest.param("[Na+].[Cl-]", MOLECULE, "[Cl-].[Na+]", id="salt is one item"),
        pytest.param("OCC.CC(=O)O.CCO", REACTANTS, "CC(=O)O.CCO.CCO", id="fragments sorted, duplicates kept"),
        pytest.param("F/C=C\\\\F", MOLECULE, "F/C=C\\F", id="doubled backslash"),
        pytest.param(" ethanol ", NAME, "ethanol", id="text is stripped"),
        pytest.param("a\\\\b", NAME, "a\\\\b", id="text keeps its backslashes"),
        pytest.param("β-alanine", NAME, "β-alanine", id="text may be Greek"),
    ],
)
def test_admitted(text: str, domain: Domain, item: str) -> None:
    entry = admit(text, domain)
    assert (entry.item, entry.reason) == (item, "")
    assert entry.repaired is (domain.is_structure and "\\\\" in text)


@pytest.mark.parametrize(
    ("text", "domain", "reason"),
    [
        ("", MOLECULE, "empty"),
        ("  ", NAME, "empty"),
        ("CCO and prose", MOLECULE, "white space"),
        ("nonsense", MOLECULE, "does not parse"),
        ("[H][H]", MOLECULE, "no heavy atom"),
        ("C(C)(C)(C)(C)C", MOLECULE, "does not parse"),
        ("CC\0O", MOLECULE, "NUL byte"),
        ("CC\udce9", MOLECULE, "not UTF-8"),
        ("caf\udce9", NAME, "not UTF-8"),
        ("C" * 1_000_000, MOLECULE, "too long"),
        ("C" * 5_000, MOLECULE, "too long"),
        ("a" * 1_000_000, NAME, "too long"),
    ],
)
def test_refused_with_its_reason(text: str, domain: Domain, reason: str) -> None:
    assert admit(text, domain).reason == reason
    assert admit(text, domain).item == ""


def test_every_row_is_an_item_a_duplicate_or_a_reject(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "smiles id\nCCO 1\n\nOCC 2\nF/C=C\\\\F 3\nprose 4\nCO\n", name="x.smi")
    assert corpus.items == ["CCO", "F/C=C\\F", "CO"]
    assert (corpus.rows_in, corpus.duplicates, corpus.repaired, len(corpus)) == (7, 1, 1, 3)
    assert [(r.row, r.reason) for r in corpus.rejects] == [(1, "header"), (3, "empty"), (6, "does not parse")]
    assert corpus.files == (str(tmp_path / "x.smi"),) == (corpus.rejects[0].file,)


def test_summary_says_what_happened(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "CCO\nOCC\nx\nx\n\nF/C=C\\\\F\n")
    expected = "2 of 6 rows kept, 1 duplicates, 3 rejected (does not parse 2, empty 1), 1 repaired"
    assert corpus.summary() == f"{tmp_path / 'x.txt'}: {expected}"
    assert corpus.reject_reasons() == {"does not parse": 2, "empty": 1}


GARBAGE = [
    b"The quick brown fox",
    b"",
    b"C\0C",
    b"C\xe9\xe8",
    b"C" * 300_000,
    b"C1CC",
    b"c1cccc1",
    b"[Xx]",
    b"{}",
    b'"CCO',
    b"\xff\xfe\x00",
    b"C(C)(C)(C)(C)C",
]


@pytest.mark.parametrize("ending", ["smi", "txt", "csv", "tsv"])
def test_one_per_cent_of_garbage_costs_one_per_cent(tmp_path: Path, ending: str) -> None:
    good = [b"C" * (1 + i % 40) + b"O" * (1 + i // 40) for i in range(40 * 30)]
    lines = good + GARBAGE
    random.Random(0).shuffle(lines)
    head = [] if ending in ("smi", "txt") else [b"smiles"]
    (tmp_path / f"x.{ending}").write_bytes(b"\r\n".join([*head, *lines]) + b"\r\n")
    corpus = read_corpus(tmp_path / f"x.{ending}", MOLECULE)
    assert corpus.rows_in == len(lines)
    assert len(corpus) + corpus.duplicates == len(good)
    assert sorted(r.row - len(head) for r in corpus.rejects) == [i for i, x in enumerate(lines, 1) if x in GARBAGE]


@given(st.lists(st.binary(max_size=30), max_size=10))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_accounted_for(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    corpus = corpus_of(tmp_path_factory.mktemp("any"), b"CCO\n" + b"\n".join(lines), name="x.smi")
    assert corpus.rows_in == len(corpus) + corpus.duplicates + len(corpus.rejects)
    assert len(set(corpus.items)) == len(corpus)
    assert all(r.reason for r in corpus.rejects)


def test_prose_is_refused_with_the_commonest_reason_and_an_example(tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as caught:
        corpus_of(tmp_path, "It was a dark night.\nIndeed.\nVery dark it was.\n")
    message = str(caught.value)
    assert "x.txt: none of its 3 rows could be read as SMILES" in message
    assert "(2) because: white space (row 1: 'It was a dark night.')" in message


@pytest.mark.parametrize("name", ["x.smi", "x.txt", "x.csv", "x.jsonl"])
def test_empty_file_is_a_corpus_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(CorpusError, match="is empty: it must hold at least one SMILES"):
        corpus_of(tmp_path, "", name=name)


def test_missing_file_and_column_are_config_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file"):
        read_corpus(tmp_path / "absent.smi", MOLECULE)
    with pytest.raises(ConfigError, match=r"\['a', 'b'\]"):
        corpus_of(tmp_path, "a,b\n1,2\n", name="x.csv")


def test_field_chooses_the_column(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("smiles,drug\nCCO,CO\n")
    assert read_corpus(tmp_path / "x.csv", MOLECULE, "drug").items == ["CO"]


def test_texts_are_distinct_lines(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "ethanol\n methanol \n\nethanol\n", NAME)
    assert (corpus.items, corpus.duplicates, corpus.reject_reasons()) == (["ethanol", "methanol"], 1, {"empty": 1})


def test_progress_is_reported(tmp_path: Path) -> None:
    calls: list[int] = []
    (tmp_path / "x.txt").write_text("ethanol\n" * 4_500)
    read_corpus(tmp_path / "x.txt", NAME, on_progress=calls.append)
    assert calls == [2_000, 4_000]


def test_fingerprint_follows_the_items_and_nothing_else(tmp_path: Path) -> None:
    one = corpus_of(tmp_path, "CCO\nCO\n")
    same = corpus_of(tmp_path, "OCC 1\nOC 2\nx\n", name="y.smi")
    assert one.fingerprint() == same.fingerprint()
    assert one.fingerprint() != corpus_of(tmp_path, "CO\nCCO\n").fingerprint()


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_fingerprints_are_equal_only_for_equal_lists(a: list[str], b: list[str]) -> None:
    assert (fingerprint(a) == fingerprint(b)) is (a == b)


def test_rejects_are_written_readable(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, b"CCO\nCaf\xe9 \xce\xb2\n" + b"x" * 500 + b"\n")
    write_rejects(corpus.rejects, tmp_path / "rejects.jsonl")
    records = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [list(record) for record in records] == [["file", "row", "text", "reason"]] * 2
    assert records[0] == {"file": str(tmp_path / "x.txt"), "row": 2, "text": "Caf\\xe9 β", "reason": "not UTF-8"}
    assert records[1]["text"] == "x" * 200
    assert Reject(**records[0]) == corpus.rejects[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rejects.jsonl", "x.txt"]


@pytest.mark.parametrize("split", ["labelled", "unlabelled", "validation", "test"])
def test_bundled_molecules_are_canonical_and_distinct_as_they_stand(split: str) -> None:
    columns = Columns((MOLECULE,), (None,), split)
    cells = [row.cells[0] for row in islice(open_rows(bundled_path(f"naming/{split}"), columns)[1], 300)]
    assert [admit(cell, MOLECULE).item for cell in cells] == cells
    assert len(set(cells)) == 300


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("corpora/zinc250k_jtnn_test.txt", 5_000),
        ("corpora/chembl_30_chemreps_proc_test.csv.gz", 45_300),
        ("corpora/moses_train.csv.gz", 1_584_663),
        ("chebi20/test_public.txt", 1_681),
    ],
)
def test_public_corpora_are_read_as_they_come(shared_data: Path, name: str, kept: int) -> None:
    columns = Columns((MOLECULE,), (None,), name)
    rows = list(islice(open_rows(shared_data / name, columns)[1], 1_000))
    assert len(rows) == min(kept, 1_000)
    assert not [row for row in rows if row.problem or admit(row.cells[0], MOLECULE).reason]
