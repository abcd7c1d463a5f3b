"""Signals that ask a run to end: the step is finished and saved first; the second one ends the process at once.

SIGTERM and SIGINT (Ctrl-C) end it with 128 + their number, as a shell expects. SIGUSR1 is what SLURM sends before the
time is up (`--signal`): the run ends with 0, for nothing is wrong. It may reach a process twice, from SLURM and from
the script that hands it on, and never means haste.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from accelerate.utils import reduce

from rtrl_chem.errors import Interrupted
from rtrl_chem.models.processes import processes

__all__ = ["Interrupts"]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name))

_WARNING = getattr(signal, "SIGUSR1", None)


class Interrupts:
    """The signal that has come, if one has."""

    def __init__(self) -> None:
        self.received: int = 0
        self._noted: tuple[signal.Signals, ...] = ()

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note signals while inside instead of being ended by them. Only a process's main thread can do so."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.getsignal(one) for one in SIGNALS}
        if before[signal.SIGINT] is signal.SIG_IGN:
            del before[signal.SIGINT]  # a script that is run in the background: Ctrl-C is meant for something else
        for one in before:
            signal.signal(one, self._note)
        self._noted = tuple(before)
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, signal.SIG_DFL if handler is None else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        for one in self._noted:  # the next one is not ours: it ends the process even in the middle of a computation
            signal.signal(one, signal.SIG_IGN if one == _WARNING else signal.SIG_DFL)

    def agreed(self) -> int:
        """The signal that any process has got, 0 if none. Every process must call this."""
        if processes().num_processes == 1:
            return self.received
        # The sum is not one of the signals; the largest is not to be had from `reduce`.
        counts = torch.tensor([int(self.received == one) for one in SIGNALS], device=processes().device)
        total = reduce(counts, reduction="sum").tolist()
        return int(next((one for one, count in zip(SIGNALS, total, strict=True) if count), 0))

    def check(self) -> None:
        """Interrupted where nothing need be saved, if a signal has come. Every process must call this."""
        if found := self.agreed():
            raise Interrupted(found)

    def check_alone(self) -> None:
        """The same in the middle of work that several processes share: there it goes on until `check`."""
        if processes().num_processes == 1:
            self.check()
