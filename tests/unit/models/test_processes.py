"""What processes share."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rtrl_chem.models import processes as module
from rtrl_chem.models.processes import in_shares, shared


def doubled(items: list[int]) -> list[int]:
    return [2 * item for item in items]


def test_one_process_does_all_of_it() -> None:
    assert in_shares([3, 1, 2], doubled) == [6, 2, 4]
    assert in_shares([], doubled) == []
    assert shared("found") == "found"


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("items", [[], [7], [3, 1, 2, 5]], ids=["none", "one", "four"])
def test_each_works_on_its_share_and_gets_everything(
    monkeypatch: pytest.MonkeyPatch, count: int, items: list[int]
) -> None:
    parts: list[Any] = []
    worked: list[int] = []

    def work(some: list[int]) -> list[int]:
        worked.extend(some)
        return doubled(some)

    def run(rank: int, gathered: Any) -> Any:
        monkeypatch.setattr(module, "processes", lambda: SimpleNamespace(process_index=rank, num_processes=count))
        monkeypatch.setattr(module, "gather_object", gathered)
        return in_shares(items, work)

    def collect(part: list[Any]) -> list[Any]:
        parts.extend(part)
        raise StopIteration

    for rank in range(count):
        with pytest.raises(StopIteration):
            run(rank, collect)
    assert sorted(worked) == sorted(items)
    assert run(0, lambda part: parts) == doubled(items)
