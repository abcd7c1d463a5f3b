"""How answers are drawn from a model: settings by themselves, without torch, so that files of them can be checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from rtrl_chem.config import Closed, Count

__all__ = ["Decoding"]

# Each of these speaks to one method only; given to another it would be ignored in silence.
_ONLY_FOR = {"beams": "beam", "length_penalty": "beam", "temperature": "sampling", "top_p": "sampling"}


class Decoding(Closed):
    """Greedy: the most likely token at each step. Beam: the `outputs` best of a beam search, best first. Sampling:
    `outputs` independent draws, in no order."""

    method: Literal["greedy", "beam", "sampling"] = "greedy"
    """greedy | beam | sampling."""
    outputs: Count = 1
    """Answers to each source; greedy has one."""
    beams: Count | None = None
    """Width of the beam; default: outputs."""
    length_penalty: float = 0.0
    """Beams are ranked by log p(y | x) / tokens ** length_penalty: 0 by the probability of the answer itself."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Logits are divided by it before sampling."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Sample from the most likely tokens whose probabilities add up to it."""
    max_new_tokens: Count = 512
    """Longest answer, in tokens."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of the samples."""

    @property
    def rows(self) -> int:
        """Rows of a batch that one source takes."""
        return self.beams or self.outputs

    @model_validator(mode="after")
    def _check(self) -> Self:
        fields = type(self).model_fields
        changed = [key for key in _ONLY_FOR if getattr(self, key) != fields[key].default]
        if foreign := [key for key in changed if _ONLY_FOR[key] != self.method]:
            raise ValueError(f"{foreign[0]} is for method: {_ONLY_FOR[foreign[0]]}; method is {self.method}")
        if self.method == "greedy" and self.outputs > 1:
            raise ValueError(f"outputs: {self.outputs} greedy answers would be equal; set method: beam or sampling")
        if self.rows < self.outputs:
            raise ValueError(f"beams: {self.beams} beams cannot give {self.outputs} outputs; set beams >= outputs")
        return self
