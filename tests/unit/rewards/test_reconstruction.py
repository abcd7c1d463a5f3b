"""x_hat sampled from y, and how like x it is."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rtrl_chem.chem import tanimoto
from rtrl_chem.models import reverse as reverse_module
from rtrl_chem.models.codec import Answer
from rtrl_chem.rewards.options import ReconstructionReward
from rtrl_chem.rewards.reconstruction import Reconstruction


class Reads:
    """A reverse model that writes what the table says."""

    def __init__(self, table: dict[str, list[str]]) -> None:
        self.table = table

    def reconstruct(self, outputs: list[str], count: int, temperature: float) -> list[list[str]]:
        return [self.table[y][:count] for y in outputs]


TABLE = {
    "ethanol": ["OCC", "CCO", "CCN", ""],
    "propanol": ["CCCO"] * 4,
    "alanine": ["C[C@H](N)C(=O)O", "CC(N)C(=O)O"] * 2,
}


def value_of(make_batch: Any, x: str, y: str, **options: Any) -> float:
    term = Reconstruction(ReconstructionReward(**options))
    [value] = term(make_batch([x], [y], reverse=Reads(TABLE)))
    return value


@pytest.mark.parametrize(
    ("x", "y", "options", "expected"),
    [
        pytest.param("CCO", "ethanol", {}, 0.5, id="two of four are x, in any spelling"),
        pytest.param("CCO", "ethanol", {"n": 2}, 1.0, id="both of two"),
        pytest.param("CCO", "propanol", {}, 0.0, id="none"),
        pytest.param("C[C@@H](N)C(=O)O", "alanine", {}, 0.0, id="stereo counts"),
        pytest.param("C[C@@H](N)C(=O)O", "alanine", {"equality": "stereo_free"}, 1.0, id="unless it is told not to"),
        pytest.param("CCO", "ethanol", {"equality": None, "similarity": "morgan", "n": 2}, 1.0, id="similarity alone"),
    ],
)
def test_by_hand(make_batch: Any, x: str, y: str, options: dict[str, Any], expected: float) -> None:
    assert value_of(make_batch, x, y, **options) == expected


@pytest.mark.parametrize("fingerprint", ["maccs", "rdkit", "morgan"])
def test_similarity_is_the_mean_over_the_samples_and_an_invalid_one_is_0(make_batch: Any, fingerprint: Any) -> None:
    [like] = tanimoto([("CCO", "CCN")], fingerprint)
    assert like is not None
    alone = value_of(make_batch, "CCO", "ethanol", equality=None, similarity=fingerprint)
    assert alone == pytest.approx((1 + 1 + like + 0) / 4)
    both = value_of(make_batch, "CCO", "ethanol", similarity=fingerprint)
    assert both == pytest.approx((alone + 0.5) / 2)


def test_texts_are_the_same_or_not(make_batch: Any) -> None:
    written = Reads({"CCO": ["ethanol", "ethyl  alcohol", "Ethanol", ""]})
    term = Reconstruction(ReconstructionReward(similarity="morgan"))
    batch = make_batch(["ethanol", "ethyl alcohol"], ["CCO", "CCO"], direction="reverse", reverse=written)
    assert term(batch) == [0.25, 0.25]


# ---- the reverse model's part ---------------------------------------------------------------------------------------


def test_the_greedy_reconstruction_is_what_the_model_writes(taught_policy: Any, make_reverse: Any) -> None:
    reverse = make_reverse(taught_policy, max_new_tokens=12)
    assert reverse.reconstruct(["ethanol", "benzene", "ethanol"], 1, 0.0) == [["CCO"], ["c1ccccc1"], ["CCO"]]


def test_samples_are_drawn_once_for_each_output_and_by_the_seed(taught_policy: Any, make_reverse: Any) -> None:
    names = ["ethanol", "ethane", "propane", "butane"]
    draw = {seed: make_reverse(taught_policy, max_new_tokens=12, seed=seed) for seed in (0, 1)}
    first = draw[0].reconstruct(names, 4, 2.0)
    assert draw[0].reconstruct(names[::-1], 4, 2.0) == first[::-1]
    assert make_reverse(taught_policy, max_new_tokens=12, seed=0).reconstruct(names, 4, 2.0) == first
    assert draw[1].reconstruct(names, 4, 2.0) != first
    assert all(len(group) == 4 for group in first)


def test_what_was_cut_off_is_no_reconstruction(
    taught_policy: Any, make_reverse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [Answer("CC", "CC", 2, truncated=True), Answer("CCO", "CCO", 3, truncated=False)]
    monkeypatch.setattr(reverse_module, "generate", lambda *args, **kwargs: [answers])
    assert make_reverse(taught_policy).reconstruct(["ethanol"], 2, 1.0) == [["", "CCO"]]


def test_the_share_of_exact_reconstructions_estimates_the_likelihood_over_spellings(
    taught_policy: Any, make_batch: Any, make_reverse: Any
) -> None:
    """256 samples: the share is within 5 standard errors of p, or above it by what other spellings have."""
    reverse = make_reverse(taught_policy, max_new_tokens=16)
    batch = make_batch(["CCO", "CC"], ["ethanol", "ethane"], reverse=reverse)
    found = Reconstruction(ReconstructionReward(n=256))(batch)
    for share, score in zip(found, batch.scores, strict=True):
        p = math.exp(score.nats)
        assert share >= p - 5 * (p * (1 - p) / 256) ** 0.5
        assert share > 0.05
