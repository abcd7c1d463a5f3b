"""What every part of a config is made of. No torch, no RDKit."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = ["Closed", "Count", "Text", "check_text"]


def check_text(text: str) -> str:
    """The text, if there is any."""
    if not text.strip():
        raise ValueError("is empty; give a text")
    return text


Text = Annotated[str, AfterValidator(check_text)]
Count = Annotated[int, Field(ge=1)]


class Closed(BaseModel):
    """What is read from YAML: no unknown keys, no change after reading, no silent conversion: `true` is not 1, `"3"`
    is not 3."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
