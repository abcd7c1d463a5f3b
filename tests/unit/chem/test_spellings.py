"""Other SMILES of the same molecule."""

from __future__ import annotations

import pytest

from rtrl_chem.chem import canonical
from rtrl_chem.chem.spellings import spellings

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


@pytest.mark.parametrize("smiles", [ASPIRIN, "C[C@H](N)C(=O)O", "CCO.CC(=O)O.c1ccccc1", "F/C=C/F", "[Na+].[O-]C=O"])
def test_every_spelling_is_the_molecule_and_none_comes_twice(smiles: str) -> None:
    found = spellings(smiles, 6)
    assert found[0] == smiles
    assert len(set(found)) == len(found) > 1
    assert {canonical(one) for one in found} == {canonical(smiles)}


def test_fragments_change_places() -> None:
    firsts = {canonical(one.split(".")[0]) for one in spellings("CCO.CC(=O)O.c1ccccc1", 8)}
    assert len(firsts) > 1


@pytest.mark.parametrize(
    ("smiles", "count", "expected"),
    [
        pytest.param("C", 8, ("C",), id="methane has one"),
        pytest.param("CO", 8, ("CO", "OC"), id="methanol has few"),
        pytest.param(ASPIRIN, 1, (ASPIRIN,), id="one is enough"),
        pytest.param("no molecule", 8, ("no molecule",), id="a text has its own"),
    ],
)
def test_no_more_than_there_are(smiles: str, count: int, expected: tuple[str, ...]) -> None:
    assert spellings(smiles, count)[:2] == expected[:2]
    assert set(expected) <= set(spellings(smiles, count))
    assert len(spellings(smiles, count)) <= max(count, 1)


def test_the_same_seed_gives_the_same_spellings() -> None:
    first = spellings(ASPIRIN, 8)
    spellings.cache_clear()
    assert spellings(ASPIRIN, 8) == first
    assert spellings(ASPIRIN, 8, seed=1) != first
