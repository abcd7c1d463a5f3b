"""Where work is done: in this process, in several on this machine, or on a Dask cluster."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain, islice
from types import TracebackType
from typing import Any, Protocol, TypeVar

from typing_extensions import Self

from rtrl_chem.errors import ConfigError, CorpusError, did_you_mean

__all__ = ["DaskEngine", "Engine", "HereEngine", "PoolEngine", "cores", "make_engine"]

T = TypeVar("T")
R = TypeVar("R")

# Of freed memory glibc keeps 7 pieces of each size at hand. A molecule has hundreds: RDKit is some 7% faster with them.
ALLOCATOR = "glibc.malloc.tcache_count=200"


class Engine(Protocol):
    """Maps a function that can be imported over items that can be pickled, with bounded memory."""

    def map(self, function: Callable[[Any, T], R], shared: Any, items: Iterable[T]) -> Iterator[R]:
        """`function(shared, item)` of each item, in order. Items are taken as they are needed."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: Any) -> None: ...


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_engine(name: str, workers: int | None, scheduler: str | None) -> Engine:
    """The engine of `--engine`; ConfigError where it cannot be had."""
    if name not in ("processes", "dask"):
        raise ConfigError(f"--engine {name}: {did_you_mean(name, ['processes', 'dask'])}")
    if name == "dask":
        return DaskEngine(scheduler, workers or cores())
    if scheduler is not None:
        raise ConfigError(f"--scheduler {scheduler}: is for --engine dask; give that too or leave it out")
    return PoolEngine(workers or cores())


class HereEngine:
    """This process, item by item."""

    def map(self, function: Callable[[Any, T], R], shared: Any, items: Iterable[T]) -> Iterator[R]:
        """See Engine."""
        for item in items:
            yield function(shared, item)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        pass


class PoolEngine(HereEngine):
    """Processes on this machine. They are started at the second item: a short corpus is done before they could be.

    `advice` is what to do where one of them dies.
    """

    def __init__(
        self,
        workers: int,
        advice: str = "run the same command again to go on, with fewer --workers if memory was short",
    ) -> None:
        self.workers = workers
        self.advice = advice
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[Any, T], R], shared: Any, items: Iterable[T]) -> Iterator[R]:
        """See Engine. CorpusError where a process dies."""
        items = iter(items)
        ahead = list(islice(items, 2))
        everything = chain(ahead, items)
        if self.workers == 1 or len(ahead) < 2:
            yield from super().map(function, shared, everything)
            return
        pool = self._started()

        def submit(item: T) -> Any:
            with _allocator():  # it starts a process if none is free
                return pool.submit(function, shared, item)

        try:
            yield from _in_order(submit, everything, self.workers)
        except BrokenProcessPool:
            raise CorpusError(f"a worker process died (out of memory, or killed): {self.advice}") from None

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Not forked: the progress display has a thread, and libraries may have theirs.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_end_with_parent)
        return self._pool

    def __exit__(self, *error: Any) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


class DaskEngine:
    """A Dask cluster: that of a scheduler's address, or `workers` processes of this machine."""

    def __init__(self, scheduler: str | None, workers: int) -> None:
        try:
            import distributed
        except ImportError:
            raise ConfigError("--engine dask: needs Dask; install rtrl-chem[dask]") from None
        self._distributed = distributed
        self.scheduler, self.workers = scheduler, workers
        self._client: Any = None
        self._cluster: Any = None

    def __enter__(self) -> Self:
        if self.scheduler is None:
            self._cluster = self._distributed.LocalCluster(
                n_workers=self.workers, threads_per_worker=1, processes=True, dashboard_address=None
            )
        address = self._cluster if self.scheduler is None else self.scheduler
        try:
            self._client = self._distributed.Client(address, timeout="20s")
        except (OSError, ValueError) as error:
            raise ConfigError(f"--scheduler {self.scheduler}: no Dask scheduler answers there ({error})") from None
        return self

    def map(self, function: Callable[[Any, T], R], shared: Any, items: Iterable[T]) -> Iterator[R]:
        """See Engine. Dask repeats the work of a worker that is lost."""
        threads = sum(self._client.nthreads().values())
        sent = None if shared is None else self._client.scatter(shared, broadcast=True)
        yield from _in_order(
            lambda item: self._client.submit(function, sent, item, pure=False), items, max(threads, self.workers)
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in (self._client, self._cluster):
            if one is not None:
                one.close()


def _in_order(submit: Callable[[T], Any], items: Iterable[T], workers: int) -> Iterator[Any]:
    """Results in order, with enough work submitted that nobody waits and no more than memory can hold."""
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(submit(item))
        if len(waiting) > 2 * workers:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def _allocator() -> Iterator[None]:
    """Processes that are started meanwhile get `ALLOCATOR`, unless the user has set that variable."""
    if "GLIBC_TUNABLES" in os.environ:
        yield
        return
    os.environ["GLIBC_TUNABLES"] = ALLOCATOR
    try:
        yield
    finally:
        del os.environ["GLIBC_TUNABLES"]


def _end_with_parent() -> None:
    """Let a worker end when its parent is killed: it holds the other end of its own queue and would wait for ever.
    An interrupt from the keyboard is for the parent to deal with."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
