"""Signals are noted once, and the second one is not ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from rtrl_chem.errors import Interrupted
from rtrl_chem.training.interrupts import Interrupts


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background of a script
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


def test_a_signal_is_noted_and_asked_for_later() -> None:
    interrupts = Interrupts()
    with interrupts.noted():
        interrupts.check()
        os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL, "the next one ends the process"
        with pytest.raises(Interrupted) as caught:
            interrupts.check()
    assert caught.value.exit_status == 143


def test_a_launcher_that_ignores_the_schedulers_warning_leaves_it_to_us() -> None:
    """As the SLURM scripts start torchrun: what it starts inherits that."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    interrupts = Interrupts()
    with interrupts.noted():
        os.kill(os.getpid(), signal.SIGUSR1)
        assert interrupts.agreed() == signal.SIGUSR1


def test_ctrl_c_that_the_process_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupts = Interrupts()
    with interrupts.noted():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.agreed() == signal.SIGTERM
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_the_second_signal_ends_the_process_in_the_middle_of_a_computation() -> None:
    script = """
        import os, signal
        from rtrl_chem.training.interrupts import Interrupts
        with Interrupts().noted():
            os.kill(os.getpid(), signal.SIGUSR1)
            print("goes on", flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
            print("never", flush=True)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "goes on\n")
