from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.data.inspect.counting import Distinct, Reservoir


@given(st.lists(st.text(max_size=3)))
def test_few_texts_are_counted_exactly(texts: list[str]) -> None:
    distinct = Distinct()
    for text in texts:
        distinct.add(text)
    assert (distinct.step, distinct.rows, distinct.texts) == (1, len(texts), len(set(texts)))


@pytest.mark.parametrize(("repeats", "duplicates"), [(1, 0), (3, 2)], ids=["distinct", "each three times"])
def test_many_texts_are_counted_from_a_share_of_them(repeats: int, duplicates: int) -> None:
    distinct = Distinct(limit=100)
    for _ in range(repeats):
        for number in range(5_000):
            distinct.add(str(number))
    assert distinct.step > 1 and 25 <= distinct.texts <= 100
    assert distinct.duplicates == duplicates * distinct.texts
    assert 3_000 < distinct.texts * distinct.step < 8_000


def test_a_lone_surrogate_is_a_text_like_any_other() -> None:
    distinct = Distinct()
    distinct.add("\udcff")
    assert distinct.texts == 1


def drawn(size: int, seed: int, rows: int) -> list[int]:
    reservoir: Reservoir[int] = Reservoir(size, seed)
    for number in range(rows):
        reservoir.add(number)
    return list(reservoir)


def test_a_sample_is_in_order_without_repeats_and_follows_the_seed() -> None:
    first = drawn(50, 0, 10_000)
    assert first == sorted(set(first)) and len(first) == 50
    assert first == drawn(50, 0, 10_000) != drawn(50, 1, 10_000)


@pytest.mark.parametrize("rows", [0, 3, 50])
def test_of_few_rows_all_are_taken(rows: int) -> None:
    assert drawn(50, 0, rows) == list(range(rows))


def test_every_row_has_the_same_chance() -> None:
    counts = Counter(row for seed in range(2_000) for row in drawn(5, seed, 20))
    assert all(400 < counts[row] < 600 for row in range(20))  # 500 expected, standard deviation 19
