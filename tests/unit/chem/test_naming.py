from __future__ import annotations

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


def test_nothing_to_read_starts_no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Opsin, "available", staticmethod(lambda: False))
    assert Opsin().read([]) == []
    assert Opsin().read(["", " "]) == [None, None]


def test_without_java_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming.shutil, "which", lambda program: None)
    assert Opsin.available() is False
    with pytest.raises(RtrlError, match="install Java"):
        Opsin().read(["ethanol"])
