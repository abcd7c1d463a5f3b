from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rtrl_chem.models.decoding import Decoding


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param({"outputs": 3}, "3 greedy answers would be equal", id="several greedy answers"),
        pytest.param({"method": "beam", "outputs": 5, "beams": 3}, "3 beams cannot give 5", id="too narrow"),
        pytest.param({"temperature": 0.7}, "temperature is for method: sampling", id="temperature of greedy"),
        pytest.param({"method": "sampling", "beams": 2}, "beams is for method: beam", id="beams of sampling"),
        pytest.param({"method": "beam", "top_p": 0.9}, "top_p is for method: sampling", id="top_p of a beam"),
        pytest.param({"method": "sampling", "temperature": 0.0}, "greater than 0", id="temperature zero"),
    ],
)
def test_settings_that_would_be_ignored_or_make_no_sense(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Decoding(**given)


def test_rows_are_what_one_source_takes_of_a_batch() -> None:
    assert Decoding().rows == 1
    assert Decoding(method="beam", outputs=3).rows == 3
    assert Decoding(method="beam", outputs=3, beams=5).rows == 5
    assert Decoding(method="sampling", outputs=4).rows == 4
