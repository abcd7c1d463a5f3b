"""Drawn pairs: whatever a model writes gives an image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrl_chem.reporting.pair_images import DrawnPair, draw_pairs


def pixels(*pairs: DrawnPair) -> np.ndarray:
    return np.asarray(draw_pairs(pairs))


@pytest.mark.parametrize(
    ("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (3, 2, 2), (6, 2, 3)], ids=["one", "two", "three", "six"]
)
def test_the_grid_holds_the_pairs(count: int, columns: int, rows: int) -> None:
    width, height = draw_pairs([DrawnPair("CCO", "ethanol", True, False, "OK")] * count).size
    assert (width, height) == (12 + columns * 544, 12 + rows * 208)


def test_molecules_are_drawn_and_the_rest_is_written() -> None:
    drawn = pixels(DrawnPair("CCO", "CN", True, True, ""))
    written = pixels(DrawnPair("CCO", "CN", False, False, ""))
    other = pixels(DrawnPair("CCO", "CCN", True, True, ""))
    assert (drawn != written).any()
    middle = drawn.shape[1] // 2
    assert (drawn[:, : middle - 20] == other[:, : middle - 20]).all(), "the same source"
    assert (drawn[:, middle + 20 :] != other[:, middle + 20 :]).any(), "another output"
    red = (drawn[:, :middle] == (255, 0, 0)).all(axis=2)
    assert red.any(), "the oxygen of ethanol"


def test_wide_letters_stay_in_their_cell() -> None:
    narrow, wide = (pixels(DrawnPair("CCO", text, True, False, "")) for text in ("i", "W" * 400))
    middle = narrow.shape[1] // 2
    assert (narrow[:, : middle - 20] == wide[:, : middle - 20]).all(), "the source"
    assert (narrow[:, -16:] == wide[:, -16:]).all(), "the frame"


@pytest.mark.parametrize("structure", [True, False], ids=["drawn", "written"])
def test_the_arrow_between_them_is_whole(structure: bool) -> None:
    text = "CCO" if structure else "C" * 400
    image = draw_pairs([DrawnPair(text, text, structure, structure, "")])
    middle, tip = 12 + 26 + 85, 12 + 260 + 12 + 10
    assert all(image.getpixel((x, middle)) == (90, 90, 90) for x in range(tip - 28, tip))
    assert image.getpixel((tip - 9, middle - 4)) == (90, 90, 90), "its head"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("C1CC", id="an open ring"),
        pytest.param("[Xx](C)(C", id="no SMILES"),
        pytest.param("C" * 3000, id="too large"),
        pytest.param("c1cccc1", id="cannot be kekulised"),
        pytest.param("C(C)(C)(C)(C)C", id="five bonds at a carbon"),
        pytest.param("*", id="a dummy atom"),
        pytest.param("[2H]", id="hydrogen alone"),
        pytest.param("CCO.O>>CC=O", id="a reaction"),
        pytest.param("α\x00\x1b[31m\ud800\u202e𝛼 <b>\n" * 30, id="control and foreign characters"),  # noqa: RUF001
    ],
)
@pytest.mark.parametrize("structure", [True, False], ids=["structure", "text"])
def test_untrusted_text_gives_an_image(text: str, structure: bool) -> None:
    assert draw_pairs([DrawnPair(text, text, structure, structure, text)]).size == (556, 220)


@settings(max_examples=30)
@given(st.text(max_size=60))
def test_any_text_gives_an_image(text: str) -> None:
    image = draw_pairs([DrawnPair(text, text, True, False, text)])
    assert image.width > 0 and image.height > 0
