"""OPSIN, the independent reader of IUPAC names, through the optional package `py2opsin` (it needs Java).

OPSIN: Lowe et al., J. Chem. Inf. Model. 2011, 51, 739. It is a Java program that takes a second to start and then reads
a name in half a millisecond, so one process is started when it is first needed, and kept: it answers each line of its
input with one line, which is empty where it cannot read the name.
"""

from __future__ import annotations

import atexit
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from rtrl_chem.chem.molecule import canonical
from rtrl_chem.errors import RtrlError

__all__ = ["Opsin"]

# Seconds that one name, or the start of Java, may take.
PATIENCE = 60.0
# So much is written before the answers are read: a pipe holds 64 kB.
_CHUNK_BYTES = 32_000
# No IUPAC name is longer, and OPSIN is not asked about anything longer.
_MAX_NAME = 4_000
_CACHED_NAMES = 200_000
# One collector and the quick compiler: half the start, and 1,500 names in a third of the time of the defaults.
_COMMAND = ("java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-jar")


class Opsin:
    """A judge of names that is no part of the model: `Opsin().read(["ethanol", "no name"])` is `["CCO", None]`.

    All of a program's share one Java process and one memory of the names that were read.
    """

    @staticmethod
    def available() -> bool:
        """Whether both `py2opsin` and Java are there."""
        return find_spec("py2opsin") is not None and shutil.which("java") is not None

    def read(self, names: Sequence[str]) -> list[str | None]:
        """Canonical isomeric SMILES of each name, None where OPSIN cannot read it; same length and order as `names`.

        White space inside a name is folded to single spaces (a name is one line of OPSIN's input), empty names are not
        sent, and each distinct name is sent once. A name on which OPSIN dies or hangs is one that it cannot read.
        RtrlError if OPSIN is not available or cannot be started.
        """
        lines = [_one_line(name) for name in names]
        known: dict[str, str | None] = {line: _KNOWN[line] for line in lines if line in _KNOWN} | {"": None}
        fresh = [line for line in dict.fromkeys(lines) if line not in known]
        if fresh:
            known |= zip(fresh, map(canonical, _ask_opsin(fresh)), strict=True)
            if len(_KNOWN) + len(fresh) > _CACHED_NAMES:
                _KNOWN.clear()
            _KNOWN.update({line: known[line] for line in fresh})
        return [known[line] for line in lines]


_KNOWN: dict[str, str | None] = {}


def _one_line(name: str) -> str:
    """The name as a line of OPSIN's input; "" where it is not worth asking."""
    # A lone surrogate, which a byte-level tokenizer can produce, cannot be written there.
    line = " ".join(name.encode("utf-8", "ignore").decode("utf-8").split())
    return line if len(line) <= _MAX_NAME else ""


class _Java:
    """A running OPSIN. A thread collects its answers, so that waiting for one can end."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        try:
            self.process = subprocess.Popen(
                [*_COMMAND, str(_jar())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise RtrlError(f"OPSIN could not be started ({error.strerror}); check `java -version`") from None
        threading.Thread(target=self._listen, daemon=True).start()
        if self.ask(["methane"]) != ["C"]:
            self.stop()
            raise RtrlError("OPSIN could not be started: it cannot read 'methane'; check `java -version`")

    @property
    def usable(self) -> bool:
        """Whether it runs, and is this process's own: a fork shares the pipes of its parent."""
        return self.owner == os.getpid() and self.process.poll() is None

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(line.decode("utf-8", "replace").strip())
        self.answers.put(None)  # it has ended

    def ask(self, names: list[str]) -> list[str]:
        """The answer to each name; fewer where it died, or took too long, on the one after them."""
        assert self.process.stdin is not None
        answers: list[str] = []
        try:
            self.process.stdin.write("".join(f"{name}\n" for name in names).encode())
            self.process.stdin.flush()
            for _ in names:
                if (answer := self.answers.get(timeout=PATIENCE)) is None:
                    break
                answers.append(answer)
        except (OSError, queue.Empty):
            pass
        return answers

    def stop(self) -> None:
        """End the process, unless it is another's."""
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()


_LOCK = threading.Lock()
_JAVA: list[_Java] = []  # the one that runs, if any


def _ask_opsin(names: list[str]) -> list[str]:
    """OPSIN's SMILES for each name, "" where it has none."""
    if not Opsin.available():
        raise RtrlError("OPSIN needs Java and the package py2opsin: install Java 8 or newer and `rtrl-chem[opsin]`")
    answers: list[str] = []
    with _LOCK:
        while len(answers) < len(names):
            chunk = _chunk(names[len(answers) :])
            found = _running().ask(chunk)
            answers += found
            if len(found) < len(chunk):
                _stop()
                answers.append("")
    return answers


def _chunk(names: list[str]) -> list[str]:
    """The first of the names, as many as fit into a pipe."""
    size = 0
    for count, name in enumerate(names):
        size += len(name.encode()) + 1
        if size > _CHUNK_BYTES and count:
            return names[:count]
    return names


def _running() -> _Java:
    if not _JAVA or not _JAVA[0].usable:
        _stop()
        _JAVA.append(_Java())
    return _JAVA[0]


def _stop() -> None:
    while _JAVA:
        _JAVA.pop().stop()


atexit.register(_stop)


def _jar() -> Path:
    # Importing py2opsin starts Java, to look for it.
    spec = find_spec("py2opsin")
    folders = (spec.submodule_search_locations if spec else None) or []
    jars = sorted(jar for folder in folders for jar in Path(folder).glob("opsin-cli*.jar"))
    if not jars:
        raise RtrlError("the package py2opsin holds no OPSIN; install it again: pip install --force-reinstall py2opsin")
    return jars[-1]
