"""F(y): is y well formed, whether right or wrong."""

from __future__ import annotations

import pytest

from rtrl_chem.rewards.format import format_reward
from rtrl_chem.tasks import CAPTIONING, NAMING, REACTION, Domain

MOLECULE, NAME, REACTANTS, CAPTION = NAMING.left, NAMING.right, REACTION.left, CAPTIONING.right


@pytest.mark.parametrize(
    ("domain", "output", "expected"),
    [
        pytest.param(MOLECULE, "CCO", 1.0, id="molecule"),
        pytest.param(MOLECULE, "C1CC", 0.0, id="open ring"),
        pytest.param(MOLECULE, "ethanol", 0.0, id="name for a molecule"),
        pytest.param(MOLECULE, "CCO ethanol", 0.0, id="molecule and a comment"),
        pytest.param(MOLECULE, "", 0.0, id="no molecule"),
        pytest.param(REACTANTS, "CCO.CC(=O)O", 1.0, id="two molecules"),
        pytest.param(REACTANTS, "CCO.C(", 0.0, id="one of them broken"),
        pytest.param(NAME, "ethanol", 1.0, id="name"),
        pytest.param(NAME, "bicyclo[2.2.1]heptane-(1{2})", 1.0, id="brackets of each kind"),
        pytest.param(NAME, "(1R)-1-[(2-methyl", 0.0, id="unclosed"),
        pytest.param(NAME, "methyl)ethane", 0.0, id="closed before opened"),
        pytest.param(NAME, "a(b]c", 0.0, id="closed by another kind"),
        pytest.param(NAME, "a(b[c)d]", 0.0, id="crossed"),
        pytest.param(NAME, "two\nlines", 0.0, id="two lines"),
        pytest.param(NAME, "\x07", 0.0, id="unprintable"),
        pytest.param(NAME, "", 0.0, id="no name"),
        pytest.param(NAME, "β-D-glucose", 1.0, id="Greek"),
        pytest.param(CAPTION, "It is an acid.\nIt is (very", 1.0, id="prose may be anything"),
        pytest.param(CAPTION, " \n", 0.0, id="blank prose"),
    ],
)
def test_format_reward(domain: Domain, output: str, expected: float) -> None:
    assert format_reward(domain, output) == expected
