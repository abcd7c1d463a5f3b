"""Whatever a model or a file says, a terminal shows it and does nothing."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from rich.table import Table
from rich.text import Text

from rtrl_chem.cli import main
from rtrl_chem.evaluation.tables import dialect_table
from rtrl_chem.reporting.progress import progress_line
from rtrl_chem.terminal import Console, visible
from rtrl_chem.training.progress import Display

HOSTILE = [
    "<script>alert(1)</script>",
    "[red]x[/red]",
    "x [/] y",
    "C[C@H](N)C(=O)O",
    "a|b `c`",
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://evil\x07link\x1b]8;;\x07",
    "\x1b]0;title\x07",
    "nul\x00bell\x07back\x08\x08",
    "\x9b31mred",
    "over\rwritten",
    "\u202egnp.exe",
    "\ud800",
    ":smile:",
]
# What this program itself writes to a terminal: colours and the like.
OWN = re.compile(r"\x1b\[[\d;]*m")


def printed(write: Callable[[Console], Any], terminal: bool = True) -> str:
    file = io.StringIO()
    write(Console(file=file, force_terminal=terminal, width=200, color_system=None))
    return file.getvalue()


def commands(text: str) -> list[str]:
    """The characters of a text that a terminal would act upon."""
    return [c for c in OWN.sub("", text) if c not in "\n\t" and visible(c) != c]


def title(text: str) -> Table:
    table = Table(text, title=text, caption=text)
    table.add_row(text)
    table.add_row(Text(text))
    return table


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "file"])
@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(lambda text: text, id="line"),
        pytest.param(Text, id="text"),
        pytest.param(title, id="table"),
        pytest.param(lambda text: dialect_table({text: 1.0}, {text: text}, text), id="our table"),
    ],
)
def test_what_is_printed_is_shown(shown: Callable[[str], Any], text: str, terminal: bool) -> None:
    found = printed(lambda console: console.print(shown(text)), terminal)
    assert commands(found) == []
    # rich leaves some control characters out; the others have a picture.
    plain = visible(re.sub("[\x07\x08\x0b\x0c\r]", "", text))
    assert plain in found


@pytest.mark.parametrize("text", HOSTILE)
def test_the_log_and_the_progress_of_a_run(text: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    Display(1, 1, visible=True).say(text)
    assert commands(capsys.readouterr().err) == []

    def work(console: Console) -> None:
        with progress_line(console) as on_progress:
            on_progress(text, 1, 2)

    cursor = re.compile(r"\x1b\[(?:\?25[lh]|1A|2K|\d*[A-K])|\r")
    assert commands(cursor.sub("", printed(work))) == []


@pytest.mark.parametrize("text", ["[/]", "\x1b[31mred", "\x9b31m\u202e"])
def test_an_error_that_quotes_it(text: str, capsys: Any) -> None:
    assert main(["runs", "--in", "no folder " + text]) == 2
    assert commands(capsys.readouterr().err) == []
    assert main(["train", text]) == 2
    assert commands(capsys.readouterr().err) == []
    assert main(["no-such-" + text]) == 2
    assert commands(capsys.readouterr().err) == []


def test_one_character_becomes_one_character() -> None:
    text = "".join(map(chr, range(0x3000)))
    assert len(visible(text)) == len(text)
    assert visible("CCO\t[C@H]\nλ 中") == "CCO\t[C@H]\nλ 中"
    assert visible("\x00\x1b\x7f\x9b") == "␀␛␡\ufffd"
