"""A column on disk behaves as the list of what it holds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrl_chem.data.pool import Column, Mixture, PairColumns, change, count, parts_of
from rtrl_chem.data.stream import Stream

TEXTS = st.lists(st.text("abc", max_size=3), max_size=30)


def column(texts: list[str], piece: int = 4, kind: pa.DataType | None = None) -> Column:
    """A column in pieces of so many rows."""
    starts = range(0, max(1, len(texts)), piece)
    return Column(pa.chunked_array([pa.array(texts[i : i + piece], kind or pa.string()) for i in starts]))


@settings(deadline=None)  # the first call imports pyarrow.compute
@given(TEXTS, st.lists(st.text("abc", max_size=3), max_size=5), st.lists(st.text("abc", max_size=3), max_size=5))
def test_a_column_is_its_list_without_what_was_taken_out(texts: list[str], first: list[str], then: list[str]) -> None:
    left = column(texts).without(first).without(then)
    expected = [text for text in texts if text not in first + then]
    assert list(left) == [left[i] for i in range(len(left))] == left[:] == left.take(np.arange(len(left))) == expected
    assert len(left) == len(expected)
    assert left[-2:] == expected[-2:]
    for outside in (len(expected), -len(expected) - 1):
        with pytest.raises(IndexError):
            left[outside]


@given(TEXTS, st.data())
def test_a_choice_is_made_among_what_is_left(texts: list[str], data: st.DataObject) -> None:
    left = [text for text in texts if text != "a"]
    places = data.draw(st.lists(st.integers(0, len(left) - 1), unique=True)) if left else []
    chosen = column(texts).without(["a"]).choose(np.array(places, np.int64))
    assert list(chosen) == [left[i] for i in places]
    assert list(chosen.choose(np.arange(len(places))[::2])) == [left[i] for i in places][::2]
    with pytest.raises(ValueError, match="before a choice"):
        chosen.without_rows(np.array([0]))


def test_long_columns_have_wide_offsets() -> None:
    wide = column(["CCO", "CCN", "CCO"], kind=pa.large_string())
    assert list(wide.without({"CCO"})) == ["CCN"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz")), max_size=20))
def test_a_pair_goes_with_either_of_its_sides(pairs: list[tuple[str, str]]) -> None:
    both = PairColumns(column([left for left, _ in pairs]), column([right for _, right in pairs]))
    rest = both.without({"a"}, {"z"})
    expected = [pair for pair in pairs if pair[0] != "a" and pair[1] != "z"]
    assert list(rest) == [rest[i] for i in range(len(rest))] == rest[:] == rest.take(np.arange(len(rest))) == expected
    assert list(rest.choose(np.arange(len(rest))[1:])) == expected[1:]


def test_what_is_done_to_a_pool_is_done_to_each_corpus() -> None:
    stream = Stream("s", list, 1)
    mixture: Mixture[str] = Mixture((("a", "b"), column(["c"]), stream), (1.0, 2.0, 3.0), ("x", "y", "z"))
    assert parts_of(mixture) == mixture.parts and parts_of(("a",)) == (("a",),)
    assert count(mixture) == 3 and count(stream) == 0
    changed = change(mixture, lambda part: part if isinstance(part, Stream) else len(part))
    assert (changed.parts, changed.weights) == ((2, 1, stream), mixture.weights)
