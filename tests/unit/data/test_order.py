"""The walk through a corpus: each item once an epoch, and any stretch of it without the one before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrl_chem.data import order
from rtrl_chem.data.corpus import Admitted
from rtrl_chem.data.order import CYCLE, LARGEST_ARRAY, draw, scattered, shuffled, walk
from rtrl_chem.data.pool import Mixture, Pool
from rtrl_chem.data.stream import Stream

SEEDS = st.integers(0, 2**31 - 1)


def stream(size: int, buffer: int = 7) -> Stream:
    return Stream("a stream", lambda: (Admitted(f"s{i}") for i in range(size)), buffer)


def mixture(*parts: tuple[Stream | tuple[str, ...], float]) -> Mixture[str]:
    return Mixture(tuple(part for part, _ in parts), tuple(w for _, w in parts), ("",) * len(parts))


def letters(letter: str, size: int) -> tuple[str, ...]:
    return tuple(f"{letter}{i}" for i in range(size))


@given(st.integers(1, 3000), SEEDS, st.integers(0, 3))
def test_a_scattered_epoch_visits_each_item_once(size: int, seed: int, lap: int) -> None:
    assert sorted(scattered(size, np.arange(size), [seed, lap]).tolist()) == list(range(size))


@pytest.mark.parametrize("size", [LARGEST_ARRAY + 1, 10**8, 2**40])
def test_a_stretch_of_a_large_shuffle_costs_no_more_than_its_length(size: int) -> None:
    stretch = shuffled(size, size // 2, 2000, [3, 0])
    assert len(set(stretch.tolist())) == 2000
    assert stretch.min() >= 0 and stretch.max() < size
    # Spread evenly: the mean of 2,000 uniform numbers has a standard deviation of size / 155.
    assert abs(stretch.mean() / size - 0.5) < 0.03
    assert abs(np.corrcoef(stretch[:-1], stretch[1:])[0, 1]) < 0.1


def test_each_epoch_and_each_seed_has_an_order_of_its_own() -> None:
    orders = [scattered(50, np.arange(50), [seed, lap]).tolist() for seed in range(3) for lap in range(3)]
    assert len({tuple(one) for one in orders}) == 9


def test_orders_are_the_same_for_ever() -> None:
    """Runs that were started by an earlier version go on with the same sources."""
    assert draw(range(10), 8, 5, 0) == [8, 1, 9, 1, 3]
    assert walk(10, 0, 10, (5,)).tolist() == [7, 6, 1, 3, 2, 4, 0, 9, 5, 8]
    assert scattered(10, np.arange(10), [5, 0]).tolist() == [1, 3, 9, 8, 6, 7, 2, 5, 4, 0]


POOLS: dict[str, Callable[[int], Pool[str]]] = {
    "small": lambda size: letters("a", size),
    "large": lambda size: letters("a", size),
    "stream": lambda size: stream(size),
    "mixture": lambda size: mixture((letters("a", size), 3.0), (letters("b", 4), 1.0), (stream(5), 0.5)),
}


@pytest.mark.parametrize("kind", POOLS)
@settings(deadline=None)
@given(size=st.integers(1, 40), start=st.integers(0, 60), count=st.integers(0, 60), seed=SEEDS)
def test_a_resumed_walk_goes_on_as_an_uninterrupted_one(
    kind: str, size: int, start: int, count: int, seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if kind == "large":
            patch.setattr(order, "LARGEST_ARRAY", 0)
        whole = draw(POOLS[kind](size), 0, start + count, seed)
        assert draw(POOLS[kind](size), start, count, seed) == whole[start:]
        same = POOLS[kind](size)
        assert [x for at in (0, start) for x in draw(same, at, count, seed)] == whole[:count] + whole[start:]


@pytest.mark.parametrize("kind", ["small", "large", "stream"])
@settings(deadline=None)
@given(size=st.integers(1, 40), seed=SEEDS)
def test_no_item_comes_twice_before_all_have_come_once(kind: str, size: int, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if kind == "large":
            patch.setattr(order, "LARGEST_ARRAY", 0)
        drawn = draw(POOLS[kind](size), 0, 3 * size, seed)
    epochs = [drawn[i : i + size] for i in range(0, 3 * size, size)]
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert len(set(epochs[0])) == size


def test_an_empty_pool_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="empty"):
        draw((), 0, 3, 0)


# ---- mixtures -------------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=5), st.integers(0, 3), SEEDS)
def test_each_corpus_gives_its_share(weights: list[float], cycle: int, seed: int) -> None:
    pool = mixture(*((letters("abcde"[k], 9), weight) for k, weight in enumerate(weights)))
    drawn = Counter(item[0] for item in draw(pool, cycle * CYCLE, 2 * CYCLE, seed))
    for letter, weight in zip("abcde", weights, strict=False):
        assert abs(drawn[letter] / (2 * CYCLE) - weight / sum(weights)) < 0.01


def test_a_corpus_of_next_to_no_weight_is_not_left_out() -> None:
    drawn = draw(mixture((letters("a", 9), 1e6), (letters("b", 9), 1.0)), 0, CYCLE + 1, 0)
    assert Counter(item[0] for item in drawn)["b"] == 1


@given(SEEDS)
def test_each_corpus_of_a_mixture_is_gone_through_in_epochs_of_its_own(seed: int) -> None:
    drawn = draw(mixture((letters("a", 13), 1.0), (letters("b", 200), 2.0)), 0, 600, seed)
    for letter, size in (("a", 13), ("b", 200)):
        own = [item for item in drawn if item[0] == letter]
        assert all(len(set(own[i : i + size])) == size for i in range(0, len(own) - size + 1, size))


def test_two_corpora_of_a_size_are_not_in_step() -> None:
    pool = mixture((letters("a", 100), 1.0), (letters("b", 100), 1.0))
    drawn = draw(pool, 0, 100, 0)
    one, other = ([item[1:] for item in drawn if item[0] == letter] for letter in "ab")
    assert one[:40] != other[:40]


# ---- the curriculum -------------------------------------------------------------------------------------------------


@given(st.lists(st.text("ab", max_size=6), min_size=1, max_size=30), st.integers(1, 5), st.integers(1, 20), SEEDS)
def test_a_curriculum_brings_the_same_sources_shortest_first(
    pool: list[str], turns: int, count: int, seed: int
) -> None:
    plain = draw(pool, 0, turns * count, seed)
    graded = [x for turn in range(turns) for x in draw(pool, turn * count, count, seed, turns * count)]
    assert graded == sorted(plain, key=len)


def test_a_pair_is_as_long_as_its_sides() -> None:
    pairs = [("aaaa", "b"), ("a", "bb"), ("a", "b")]
    assert draw(pairs, 0, 3, 0, 3) == [("a", "b"), ("a", "bb"), ("aaaa", "b")]
