"""Noise of a row: by its key, wherever and with whatever else it is drawn."""

from __future__ import annotations

import pytest
import torch

from rtrl_chem.models.noise import key_of, row_noise

KEYS = [key_of(7, step, row) for step in range(4) for row in range(50)]


def test_a_row_is_the_same_alone_and_among_others() -> None:
    together = row_noise(KEYS, 12)
    assert torch.equal(row_noise(KEYS[30:31], 12)[0], together[30])
    assert torch.equal(row_noise(KEYS[::-1], 5), together.flip(0)[:, :5])


def test_rows_are_uniform_and_unlike_each_other() -> None:
    noise = row_noise(KEYS, 100)
    assert noise.shape == (200, 100)
    assert noise.dtype == torch.float32
    assert noise.min() >= 0
    assert noise.max() < 1
    assert len(noise.unique()) > 19_900
    counts = torch.histc(noise, bins=10, min=0, max=1)
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9  # chi-square, 9 degrees of freedom, p = 0.001
    assert torch.corrcoef(noise)[~torch.eye(200, dtype=torch.bool)].abs().max() < 0.5


def test_drawing_leaves_torchs_generator_alone() -> None:
    before = torch.get_rng_state()
    row_noise(KEYS, 3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "other", [("ab",), ("a", "b", ""), ("b", "a"), (("a", "b"),)], ids=["joined", "longer", "swapped", "nested"]
)
def test_keys_tell_their_words_apart(other: tuple[object, ...]) -> None:
    assert key_of("a", "b") == key_of("a", "b") != key_of(*other)
