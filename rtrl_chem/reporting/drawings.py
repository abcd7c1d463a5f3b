"""Molecules and reactions as SVG to put into a page."""

from __future__ import annotations

import re
from typing import Any

from rdkit import Chem, rdBase
from rdkit.Chem import rdChemReactions
from rdkit.Chem.Draw import rdMolDraw2D

__all__ = ["draw"]

_PATH, _POINT = re.compile(r"<path [^>]*? d='([^']*)'"), re.compile(r"(-?[\d.]+)[ ,](-?[\d.]+)")
_SIZE = re.compile(r"width='\d+px' height='\d+px' viewBox='[^']*'")
_MARGIN = 12.0
_PROLOGUE = re.compile(r"<\?xml.*?\?>\s*", re.DOTALL)


def draw(smiles: str, width: int = 250, height: int = 180) -> str | None:
    """The `<svg>` element of a molecule, or of a reaction `reactants>>product`; None where it cannot be drawn."""
    canvas = rdMolDraw2D.MolDraw2DSVG(width, height)
    options: Any = canvas.drawOptions()
    options.padding = 0.06
    options.fixedBondLength = 28  # small molecules are not blown up; large ones still shrink to fit
    with rdBase.BlockLogs():
        try:
            if ">>" in smiles:
                canvas.DrawReaction(rdChemReactions.ReactionFromSmarts(smiles, useSmiles=True))
            elif (mol := Chem.MolFromSmiles(smiles)) is not None:
                rdMolDraw2D.PrepareAndDrawMolecule(canvas, mol)
            else:
                return None
        except (ValueError, RuntimeError):  # RDKit's ways to say that it finds no layout
            return None
    canvas.FinishDrawing()
    text = _PROLOGUE.sub("", canvas.GetDrawingText())
    return _cropped(text, width, height) if ">>" in smiles else text


def _cropped(text: str, width: int, height: int) -> str:
    """Without most of the margins, a third of the width, that RDKit leaves around a reaction."""
    points = [(float(x), float(y)) for path in _PATH.findall(text) for x, y in _POINT.findall(path)]
    if not points:
        return text
    left, top = (max(0.0, min(values) - _MARGIN) for values in zip(*points, strict=True))
    right, bottom = (max(values) + _MARGIN for values in zip(*points, strict=True))
    right, bottom = min(right, width), min(bottom, height)
    box = f"{left:.1f} {top:.1f} {right - left:.1f} {bottom - top:.1f}"
    return _SIZE.sub(f"viewBox='{box}'", text, count=1)
