"""A stream gives every usable row, in an order that its buffer allows, and says what it left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.data import stream_corpus
from rtrl_chem.data.corpus import Admitted
from rtrl_chem.data.stream import Stream
from rtrl_chem.errors import ConfigError, CorpusError
from rtrl_chem.tasks import Domain

MOLECULE = Domain("molecule", "molecule", "SMILES")


def numbers(size: int, buffer: int) -> Stream:
    return Stream("numbers", lambda: (Admitted(str(i)) for i in range(size)), buffer)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 100))
def test_no_item_comes_earlier_than_the_buffer_allows(size: int, buffer: int, seed: int) -> None:
    for place, item in enumerate(numbers(size, buffer).draw(0, size, (seed,))):
        assert int(item) <= place + buffer


def test_a_buffer_as_large_as_the_corpus_shuffles_it_all() -> None:
    orders = [tuple(numbers(50, 50).draw(50 * epoch, 50, (seed,))) for seed in range(2) for epoch in range(2)]
    assert len(set(orders)) == 4
    assert all(order != tuple(sorted(order, key=int)) for order in orders)


def test_two_directions_do_not_send_each_other_back_to_the_start() -> None:
    opened = []

    def read() -> Iterator[Admitted]:
        opened.append(1)
        return (Admitted(str(i)) for i in range(100))

    stream = Stream("numbers", read, 5)
    for start in range(0, 90, 10):
        stream.draw(start, 10, (1,))
        stream.draw(start, 10, (2,))
    assert len(opened) == 2


def test_what_is_held_out_and_what_is_beyond_the_limit_never_comes() -> None:
    stream = numbers(20, 4).without(["0", "3"]).without(["5"]).limited(10)
    assert sorted(map(int, stream.draw(0, 10, (0,)))) == [1, 2, 4, 6, 7, 8, 9, 10, 11, 12]
    assert set(stream.draw(10, 10, (0,))) == set(stream.draw(0, 10, (0,)))


def test_bad_rows_of_a_file_are_counted_with_their_reasons(tmp_path: Path) -> None:
    (tmp_path / "x.smi").write_text("smiles\nOCC 1\nprose\n\nCO\nnonsense\n")
    stream = stream_corpus(tmp_path / "x.smi", MOLECULE, buffer=3)
    assert sorted(stream.draw(0, 2, (0,))) == ["CCO", "CO"]
    assert stream.summary() == (f"{tmp_path}/x.smi: 6 rows read, set aside: does not parse 2, header 1, empty 1")


@pytest.mark.parametrize(
    ("content", "said"),
    [pytest.param("prose\n\n", "does not parse 1, empty 1", id="prose"), pytest.param("", "no rows", id="empty")],
)
def test_a_corpus_without_one_usable_row(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "x.smi").write_text(content)
    with pytest.raises(CorpusError, match=f"holds nothing to train on: {said}"):
        stream_corpus(tmp_path / "x.smi", MOLECULE, buffer=3).draw(0, 1, (0,))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("no.smi", "no file", id="missing"),
        pytest.param("x.csv", "no column for SMILES", id="no such column"),
        pytest.param("corpus", "leave data.streaming out", id="prepared"),
    ],
)
def test_what_cannot_be_streamed_is_found_out_at_once(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "manifest.json").write_text('{"format": "rtrl-chem corpus", "version": 1, "splits": {}}')
    with pytest.raises(ConfigError, match=message):
        stream_corpus(tmp_path / name, MOLECULE, buffer=3)
