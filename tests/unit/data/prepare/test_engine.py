"""An engine gives results in order, with bounded memory, and says what happened to a worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from rtrl_chem.data.prepare.engine import ALLOCATOR, HereEngine, PoolEngine, make_engine
from rtrl_chem.errors import ConfigError, CorpusError


def plus(shared: int, item: int) -> int:
    return shared + item


def die(shared: Any, item: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def process(shared: Any, item: int) -> int:
    return os.getpid()


def variable(name: str, item: int) -> str | None:
    return os.environ.get(name)


@pytest.mark.parametrize("engine", [HereEngine(), PoolEngine(1)], ids=["here", "one worker"])
def test_results_are_in_order(engine: HereEngine) -> None:
    with engine:
        assert list(engine.map(plus, 100, range(20))) == list(range(100, 120))
        assert list(engine.map(plus, 0, [])) == []


def test_several_workers_take_items_as_they_need_them() -> None:
    taken = []

    def items() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    with PoolEngine(2) as engine:
        results = engine.map(plus, 100, items())
        first = next(results)
        assert len(taken) <= 6
        assert [first, *results] == list(range(100, 200))
        assert list(engine.map(process, None, [1])) == [os.getpid()]  # one item is not worth a process


@pytest.mark.parametrize("own", [None, "glibc.malloc.check=0"], ids=["ours", "the user's"])
def test_workers_keep_freed_memory_at_hand_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, own: str | None
) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if own:
        monkeypatch.setenv("GLIBC_TUNABLES", own)
    with PoolEngine(2) as engine:
        assert set(engine.map(variable, "GLIBC_TUNABLES", range(3))) == {own or ALLOCATOR}
    assert os.environ.get("GLIBC_TUNABLES") == own  # other programs that this one starts are left as they were


def test_a_worker_that_dies_is_one_line() -> None:
    with PoolEngine(2) as engine, pytest.raises(CorpusError, match=r"a worker process died.*run the same command"):
        list(engine.map(die, None, range(4)))


@pytest.mark.parametrize(
    ("name", "scheduler", "message"),
    [
        ("desk", None, "--engine desk: did you mean 'dask'?"),
        ("processes", "tcp://x:1", "--scheduler tcp://x:1: is for --engine dask"),
    ],
)
def test_a_wrong_engine_is_said(name: str, scheduler: str | None, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_engine(name, 1, scheduler)
    assert message in str(caught.value)
