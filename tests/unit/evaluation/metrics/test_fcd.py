"""FCD: its reasons for saying nothing. The figure itself is among the golden ones."""

from __future__ import annotations

import pytest

from rtrl_chem.evaluation.metrics import fcd
from rtrl_chem.evaluation.metrics.score import Unavailable


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcd, "available", lambda: False)
    with pytest.raises(Unavailable, match="pip install"):
        fcd.distance(["CCO", "CC"], ["CCO", "CC"])


def test_it_needs_two_valid_molecules_on_either_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcd, "available", lambda: True)
    with pytest.raises(Unavailable, match="got 1 outputs and 2 targets"):
        fcd.distance(["CCO", "C("], ["CCO", "CC"])
