from __future__ import annotations

from itertools import count, islice

import pytest

from rtrl_chem.data.workers import stream_chunks


def halve(numbers: list[int]) -> list[float]:
    return [12 / number for number in numbers]


def test_an_endless_stream_is_read_as_it_is_needed() -> None:
    assert list(islice(stream_chunks(halve, count(1), size=2), 4)) == [12, 6, 4, 3]


def test_in_two_processes_the_order_stays_and_an_error_arrives() -> None:
    """One test for both: starting the processes is what takes time."""
    results = stream_chunks(halve, [1, 2, 3, 4, 6, 12, 0], 2, size=2)
    assert list(islice(results, 6)) == [12, 6, 4, 3, 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
