"""Judging over several processes, here threads whose gathering is a list that all of them fill."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from rtrl_chem.models.codec import Answer
from rtrl_chem.rewards import share
from rtrl_chem.rewards.share import judge_by_source


@pytest.fixture
def on_processes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """`on_processes(n, work)`: what `work(rank)` returns on each of n processes."""

    def run(count: int, work: Callable[[int], Any]) -> list[Any]:
        here, barrier, board = threading.local(), threading.Barrier(count, timeout=20), [[]] * count

        def gather(own: list[Any]) -> list[Any]:
            board[here.rank] = own
            barrier.wait()
            found = [one for part in board for one in part]
            barrier.wait()
            return found

        def start(rank: int) -> Any:
            here.rank = rank
            return work(rank)

        monkeypatch.setattr(share, "gather_object", gather)
        monkeypatch.setattr(share, "processes", lambda: SimpleNamespace(process_index=here.rank, num_processes=count))
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(start, range(count)))

    return run


def answer(text: str) -> Answer:
    return Answer(text, text, 1, False)


ROWS = [("C", "a"), ("C", "b"), ("C", "a"), ("N", "c"), ("N", "c"), ("O", "d"), ("C", "e"), ("N", "a")]


@pytest.mark.parametrize("cut", [[0, 4, 8], [0, 1, 8], [0, 0, 8], [0, 2, 3, 6, 8], [0, 8]], ids=str)
def test_a_source_is_judged_by_one_process_and_all_get_what_it_says(
    on_processes: Callable[..., list[Any]], cut: list[int]
) -> None:
    judged: list[tuple[int, list[str]]] = []

    def work(rank: int) -> Any:
        def judge(sources: list[str], answers: list[Answer], targets: list[str | None]) -> list[str]:
            judged.append((rank, sources))
            together = {x: [y.text for x2, y in zip(sources, answers, strict=True) if x2 == x] for x in sources}
            return [f"{x} {y.text} {t} {together[x]}" for x, y, t in zip(sources, answers, targets, strict=True)]

        mine = ROWS[cut[rank] : cut[rank + 1]]
        return judge_by_source(judge, [x for x, _ in mine], [answer(y) for _, y in mine], [x + "!" for x, _ in mine])

    found = on_processes(len(cut) - 1, work)
    groups = {x: [y for x2, y in ROWS if x2 == x] for x, _ in ROWS}
    expected = [f"{x} {y} {x}! {groups[x]}" for x, y in ROWS]
    assert [mine for mine, _ in found] == [expected[a:b] for a, b in pairwise(cut)]
    assert all(everyones == expected for _, everyones in found)
    assert sum(len(sources) for _, sources in judged) == len(ROWS)
    assert len(judged) == len(cut) - 1, "every process must judge, though it be nothing: others may wait for it"
