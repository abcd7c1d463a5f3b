"""Chunks in order, whoever does them."""

from __future__ import annotations

import pytest

from rtrl_chem.evaluation.metrics import workers


@pytest.mark.parametrize("processes", [pytest.param(1, id="here"), pytest.param(2, id="two processes")])
def test_results_come_in_order(processes: int) -> None:
    rows = [float(i) for i in range(2 * workers.CHUNK + 1)]
    seen: list[tuple[int, int]] = []
    found = workers.map_chunks(sum, rows, processes, lambda done, total: seen.append((done, total)))
    assert found == [sum(rows[i : i + workers.CHUNK]) for i in range(0, len(rows), workers.CHUNK)]
    assert seen[-1] == (len(rows), len(rows))


def test_few_rows_are_not_worth_a_pool() -> None:
    assert workers.processes_for(100) == 1
    assert workers.processes_for(1_000_000) >= 1
