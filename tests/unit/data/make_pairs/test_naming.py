from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import ModuleType

import pytest

from rtrl_chem.chem.naming import Opsin
from rtrl_chem.data.make_pairs import naming
from rtrl_chem.data.make_pairs.naming import Named, name_molecules, read_back, require_namers
from rtrl_chem.errors import ConfigError


def fake_namer(smiles: str) -> str | None:
    """Stands for openclatura: what it does depends on the molecule."""
    if smiles == "slow":
        with suppress(Exception):  # as in a namer that catches everything
            time.sleep(20)
    if smiles == "broken":
        raise KeyError("no such ring")
    return {"CCO": "ethanol", "tab": "eth\tanol"}.get(smiles)


@pytest.fixture
def _namer(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("openclatura")
    module.name_smiles = fake_namer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "openclatura", module)


@pytest.mark.usefixtures("_namer")
def test_each_molecule_has_a_name_or_a_reason() -> None:
    assert name_molecules(["CCO", "broken", "none", "tab", "slow", "CCO"], seconds=0.2) == [
        Named("ethanol"),
        Named("", "cannot be named (KeyError)"),
        Named("", "cannot be named"),
        Named("", "cannot be named"),
        Named("", "not named within 0.2 seconds"),
        Named("ethanol"),
    ]


@pytest.mark.parametrize("missing", ["openclatura", "java"])
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr(naming, "find_spec", lambda name: None if missing == "openclatura" else object())
    monkeypatch.setattr(Opsin, "available", staticmethod(lambda: False))
    with pytest.raises(ConfigError, match=r"rtrl-chem\[pairs\]"):
        require_namers()


@pytest.mark.skipif(not Opsin.available(), reason="needs Java and py2opsin")
def test_opsin_has_the_last_word() -> None:
    assert read_back(["CCO", "CCO", "CCO"], ["ethanol", "methanol", "gibberish"]) == [
        "",
        "name that OPSIN reads as another molecule",
        "name that OPSIN cannot read",
    ]
