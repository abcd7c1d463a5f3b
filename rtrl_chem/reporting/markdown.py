"""Text of models and files in Markdown: shown as it is, never read as Markdown or HTML."""

from __future__ import annotations

import json
import re

from rtrl_chem.terminal import visible

__all__ = ["cell", "code", "plain", "table"]


def code(text: str, cut: int | None = None) -> str:
    r"""A code span that holds the text, at most `cut` characters of it, whatever is in it: control characters escaped.

    >>> code("a`b\n\x1b[31m")
    '`` a`b\\n\\u001b[31m ``'
    """
    shown = json.dumps(text[:cut]).replace("\x7f", "\\u007f")[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    more = f" (and {len(text) - cut:,} characters more)" if cut is not None and len(text) > cut else ""
    padded = f" {shown} " if "`" in shown or shown != shown.strip() else shown
    return f"{fence}{padded}{fence}{more}" if shown else "(empty)"


def cell(text: str, cut: int | None = None) -> str:
    r"""The same in a table, where a bar ends the cell even in code, and Markdown's readers differ about `\|`."""
    return code(text, cut).replace("|", "\\u007c")


def plain(text: str) -> str:
    r"""The text on one line of prose.

    >>> plain("<b>|[x](y)\n*")
    '\\<b>\\|\\[x\\](y) \\*'
    """
    return re.sub(r"([\\`*\[\]<|])", r"\\\1", " ".join(visible(text).split()))


def table(headings: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table; cells must be escaped already."""
    lines = [headings, ["---"] * len(headings), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
