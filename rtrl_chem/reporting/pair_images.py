"""Pairs of a source and an output as one image, for logs: molecules drawn, everything else written."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from rdkit import Chem, rdBase
from rdkit.Chem.Draw import rdMolDraw2D

__all__ = ["DrawnPair", "draw_pairs"]

CELL = (260, 170)
CAPTION = 26
GAP = 12
COLUMNS = 2
# Laying out a larger molecule takes long, and in a cell it could not be read.
MOST_ATOMS, MOST_LETTERS = 80, 400
LETTERS, LINES = 34, 8  # that fit a cell
GREY, BLACK = (90, 90, 90), (0, 0, 0)


@dataclass(frozen=True)
class DrawnPair:
    """A source and what was written for it, whether each is a structure, and a word on them."""

    source: str
    output: str
    source_is_structure: bool
    output_is_structure: bool
    caption: str


def draw_pairs(pairs: Sequence[DrawnPair]) -> Image.Image:
    """The pairs in two columns: source, arrow, output, and the caption above. Any text is fine: what cannot be drawn is
    written, its unprintable characters as question marks."""
    width, height = 2 * CELL[0] + GAP, CELL[1] + CAPTION
    columns = min(COLUMNS, len(pairs))
    rows = -(-len(pairs) // COLUMNS)
    image = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP), "white")
    for number, pair in enumerate(pairs):
        left = GAP + (number % COLUMNS) * (width + GAP)
        top = GAP + (number // COLUMNS) * (height + GAP)
        _draw_pair(image, pair, left, top)
    return image


def _draw_pair(image: Image.Image, pair: DrawnPair, left: int, top: int) -> None:
    canvas = ImageDraw.Draw(image)
    canvas.rectangle((left, top, left + 2 * CELL[0] + GAP, top + CELL[1] + CAPTION), outline=(205, 205, 205))
    canvas.text((left + 8, top + 5), _printable(pair.caption), fill=GREY, font=_font(14))
    _draw_side(image, pair.source, pair.source_is_structure, left + 4, top + CAPTION)
    _draw_side(image, pair.output, pair.output_is_structure, left + CELL[0] + 2 * GAP, top + CAPTION)
    middle, arrow = top + CAPTION + CELL[1] // 2, left + CELL[0]  # over the sides, which fill their cells
    canvas.line((arrow - 8, middle, arrow + GAP + 8, middle), fill=GREY, width=2)
    canvas.polygon([(arrow + GAP + 10, middle), (arrow + GAP, middle - 5), (arrow + GAP, middle + 5)], fill=GREY)


def _draw_side(image: Image.Image, text: str, structure: bool, left: int, top: int) -> None:
    size = (CELL[0] - GAP - 8, CELL[1] - 4)
    drawn = _molecule(text, *size) if structure else None
    image.paste(drawn or _written(text, *size), (left, top))


def _written(text: str, width: int, height: int) -> Image.Image:
    """The text in an image of its own, so that no letters are wide enough to leave it."""
    lines = textwrap.wrap(_printable(text), LETTERS) or ["(empty)"]
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], "..."]
    image = Image.new("RGB", (width, height), "white")
    where = (width // 2, height // 2)
    ImageDraw.Draw(image).multiline_text(where, "\n".join(lines), fill=BLACK, font=_font(13), anchor="mm")
    return image


def _molecule(smiles: str, width: int, height: int) -> Image.Image | None:
    """The drawn molecule, None for what is none or too large to be seen."""
    if not smiles or len(smiles) > MOST_LETTERS:
        return None
    canvas = rdMolDraw2D.MolDraw2DCairo(width, height)
    options: Any = canvas.drawOptions()
    options.padding = 0.06
    options.fixedBondLength = 28  # small molecules are not blown up; large ones still shrink to fit
    with rdBase.BlockLogs():
        try:
            mol = Chem.MolFromSmiles(smiles)
            if mol is None or not 0 < mol.GetNumAtoms() <= MOST_ATOMS:
                return None
            rdMolDraw2D.PrepareAndDrawMolecule(canvas, mol)
        except (ValueError, RuntimeError):  # RDKit's ways to say that it finds no layout
            return None
    canvas.FinishDrawing()
    return Image.open(BytesIO(canvas.GetDrawingText())).convert("RGB")


def _printable(text: str) -> str:
    """On one line, in letters that every font has."""
    shown = "".join(one if one.isprintable() else "?" for one in " ".join(text.split()))
    return shown.encode("latin-1", "replace").decode("latin-1")


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
