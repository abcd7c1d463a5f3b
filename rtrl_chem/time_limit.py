"""A limit on the time that other people's code may take."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["TimeIsUp", "time_limit"]


class TimeIsUp(BaseException):
    """Not an Exception: code that catches everything must not catch this."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """TimeIsUp where what is inside takes longer; None: unlimited. It works in a process's main thread, on systems with
    interval timers, and between two steps of Python: elsewhere nothing is limited."""
    limited = seconds is not None and hasattr(signal, "setitimer")
    if not limited or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(signum: int, frame: Any) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds or 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
