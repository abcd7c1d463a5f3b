"""Batches hold every index once and stay within their bound; padding goes to the left."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.models.batching import left_pad, token_batches


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 1000))
def test_every_index_is_in_one_batch_and_no_batch_is_too_large(lengths: list[int], bound: int) -> None:
    batches = list(token_batches(lengths, bound))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[i] for i in batch)
        assert padded <= bound or len(batch) == 1


@given(st.lists(st.integers(1, 300), min_size=1, max_size=60), st.integers(1, 1000))
def test_the_longest_come_first(lengths: list[int], bound: int) -> None:
    order = [lengths[i] for batch in token_batches(lengths, bound) for i in batch]
    assert order == sorted(lengths, reverse=True)


@pytest.mark.parametrize(
    ("lengths", "bound", "expected"),
    [
        pytest.param([], 10, [], id="nothing"),
        pytest.param([2, 2, 2, 2, 2], 4, [[0, 1], [2, 3], [4]], id="full batches"),
        pytest.param([1, 5, 1], 5, [[1], [0, 2]], id="short rows do not pay for a long one"),
        pytest.param([9, 1], 4, [[0], [1]], id="a row over the bound stands alone"),
    ],
)
def test_token_batches(lengths: list[int], bound: int, expected: list[list[int]]) -> None:
    assert list(token_batches(lengths, bound)) == expected


def test_rows_end_in_the_same_column() -> None:
    ids, mask = left_pad([[5, 6, 7], [8]], pad_id=0, device=torch.device("cpu"))
    assert ids.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
