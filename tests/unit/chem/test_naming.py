from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rtrl_chem.chem import naming
from rtrl_chem.chem.naming import Opsin
from rtrl_chem.errors import RtrlError

needs_opsin = pytest.mark.skipif(not Opsin.available(), reason="OPSIN needs Java and py2opsin")


@needs_opsin
def test_answers_stay_beside_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cases = {
        "ethanol": "CCO",
        "no such name": None,
        "": None,
        " \n ": None,
        "L-alanine": "C[C@H](N)C(=O)O",
        "2-methyl\npropane": "CC(C)C",
        "(E)-but-2-ene": "C/C=C/C",
        "\ud800benzene": "c1ccccc1",
        "[((" * 500: None,
        "CCO": None,
    }
    assert Opsin().read([*cases, "ethanol"]) == [*cases.values(), "CCO"]
    assert list(tmp_path.iterdir()) == []


@needs_opsin
def test_unreadable_names_make_no_noise(recwarn: pytest.WarningsRecorder) -> None:
    assert Opsin().read(["gibberish"]) == [None]
    assert list(recwarn) == []


@pytest.fixture
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "_KNOWN", {})


@needs_opsin
@pytest.mark.usefixtures("nothing_known")
def test_one_java_serves_call_after_call(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Opsin().read(["ethanol"]) == ["CCO"]
    [first] = naming._JAVA
    assert Opsin().read(["propane", "\u03b1-D-glucopyranose"]) == ["CCC", "OC[C@H]1O[C@H](O)[C@H](O)[C@@H](O)[C@@H]1O"]
    assert naming._JAVA[0] is first
    monkeypatch.setattr(first, "ask", None)
    assert Opsin().read(["propane", "ethanol"]) == ["CCC", "CCO"], "read names are remembered"


@needs_opsin
@pytest.mark.usefixtures("nothing_known")
def test_a_killed_java_is_started_again() -> None:
    Opsin().read(["ethanol"])
    naming._JAVA[0].process.kill()
    naming._JAVA[0].process.wait()
    assert Opsin().read(["butane"]) == ["CCCC"]


@needs_opsin
@pytest.mark.usefixtures("nothing_known")
def test_more_names_than_fit_into_a_pipe_keep_their_order() -> None:
    names = [f"{i}-methyl{stem}ane" for i in range(2, 5) for stem in ("hept", "oct", "non")] * 400
    padded = [f"{name} {i}" if i % 3 else name for i, name in enumerate(names)]  # two thirds are no names
    found = Opsin().read(padded)
    assert [one is None for one in found] == [bool(i % 3) for i in range(len(names))]
    assert found[0] == "CCCCCC(C)C"


class Mortal:
    """Stands in for Java: dies on `deadly`, hangs (gives up) on it just the same; shouts the names it reads."""

    born = 0
    usable = True

    def __init__(self) -> None:
        Mortal.born += 1

    def ask(self, names: list[str]) -> list[str]:
        return [name.upper() for name in names[: names.index("deadly") if "deadly" in names else None]]

    def stop(self) -> None:
        pass


@pytest.mark.parametrize(
    ("names", "born"),
    [
        pytest.param(["c", "cc"], 1, id="it lives"),
        pytest.param(["c", "deadly", "cc"], 2, id="dies in the middle"),
        pytest.param(["deadly", "c"], 2, id="dies at once"),
        pytest.param(["c", "deadly"], 1, id="dies in the end"),
    ],
)
@pytest.mark.usefixtures("nothing_known")
def test_a_name_that_kills_java_costs_no_other(monkeypatch: pytest.MonkeyPatch, names: list[str], born: int) -> None:
    monkeypatch.setattr(Opsin, "available", staticmethod(lambda: True))
    monkeypatch.setattr(naming, "_JAVA", [])
    monkeypatch.setattr(naming, "_Java", Mortal)
    monkeypatch.setattr(Mortal, "born", 0)
    assert Opsin().read(names) == [None if name == "deadly" else name.upper() for name in names]
    assert Mortal.born == born


ECHO = """
import sys, time
for line in sys.stdin:
    if "hang" in line: time.sleep(60)
    if "die" in line: sys.exit(1)
    print("C" * line.count("m"), flush=True)
"""


@needs_opsin
@pytest.mark.usefixtures("nothing_known")
def test_a_name_that_hangs_costs_some_patience_and_no_other_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "_JAVA", [])
    monkeypatch.setattr(naming, "_COMMAND", (sys.executable, "-c", ECHO))
    monkeypatch.setattr(naming, "PATIENCE", 0.5)
    assert Opsin().read(["mm", "hang m", "m m m", "die", "m"]) == ["CC", None, "CCC", None, "C"]
    naming._stop()


def test_a_name_longer_than_any_is_not_asked_about() -> None:
    assert Opsin().read(["meth" * 2_000 + "ane"]) == [None]


def test_nothing_to_read_starts_no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Opsin, "available", staticmethod(lambda: False))
    assert Opsin().read([]) == []
    assert Opsin().read(["", " "]) == [None, None]


@pytest.mark.usefixtures("nothing_known")
def test_without_java_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming.shutil, "which", lambda program: None)
    assert Opsin.available() is False
    with pytest.raises(RtrlError, match="install Java"):
        Opsin().read(["ethanol"])
