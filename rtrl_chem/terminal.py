"""The terminal: what models wrote and files hold may be shown there, and must not command it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

__all__ = ["Console", "visible"]

# Control characters by their pictures, as ESC by U+241B; those without one, and what turns the direction of writing,
# by the replacement character. Line breaks and tabs stay.
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
_NAMELESS = [*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x2028, 0x2029]
_SHOWN = _PICTURES | dict.fromkeys([*_NAMELESS, *range(0xD800, 0xE000)], 0xFFFD)


def visible(text: str) -> str:
    r"""The text with every control character replaced by something that can be seen, one for one.

    >>> visible("CCO\x1b[31m")
    'CCO␛[31m'
    """
    return text.translate(_SHOWN)


class Console(RichConsole):
    """rich's console without markup, so that `[C@H]` is text, and with every text made visible."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"markup": False, "emoji": False, "highlight": False} | options))

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Everything that is printed goes through here, the cells of tables too."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))
