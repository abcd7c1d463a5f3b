"""An inspection as one self-contained HTML page: inline styles and SVG, no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from rtrl_chem.data.inspect import Count, Histogram, Inspection, Section
from rtrl_chem.reporting.drawings import draw
from rtrl_chem.reporting.plots import svg

__all__ = ["headlines", "render"]

# Of a share of bad rows below this nobody need be told first.
_WORTH_NOTING = 0.001
_SMALL_CELL, _REACTION_CELL = 210, 440


@dataclass(frozen=True)
class _Tile:
    value: str
    label: str
    bad: bool = False


@dataclass(frozen=True)
class _Shown:
    """A section as the page lays it out: what occurs as a table, what does not in one sentence."""

    title: str
    counts: list[Count]
    none: str
    quantiles: list[tuple[str, str, str, str, str]]
    plots: list[str]


@dataclass(frozen=True)
class _Drawing:
    row: int
    svg: str
    label: str


def render(found: Inspection) -> str:
    """The page. Every text of the corpus is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("rtrl_chem.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    reachable = [overlap for overlap in found.overlaps if not overlap.unreachable]
    reactions = any(">>" in drawn.smiles for drawn in found.drawn)
    return environment.get_template("inspection.html").render(
        found=found,
        name=PurePath(found.where).name or found.where,
        notes=headlines(found),
        tiles=_tiles(found),
        sections=[_shown(section, Markup) for section in found.sections],
        overlaps=reachable,
        unreachable=", ".join(overlap.suite for overlap in found.overlaps if overlap.unreachable),
        drawings=_drawings(found, Markup),
        percent=percent,
        cell=_REACTION_CELL if reactions else _SMALL_CELL,
        drawn_height="150px" if reactions else "auto",
    )


def percent(count: Count) -> str:
    """The share as text; what is there is never shown as 0%, what is not all never as 100%.

    >>> percent(Count("k", "l", 1, 100_000)), percent(Count("k", "l", 0, 5)), percent(Count("k", "l", 1999, 2000))
    ('<0.01%', '0%', '99.95%')
    """
    share = 100 * count.share
    if not count.count:
        return "0%"
    if share < 0.01:
        return "<0.01%"
    if count.count < count.of and share > 99.99:
        return ">99.99%"
    return f"{share:.2f}%" if share < 1 or 99 < share < 100 else f"{share:.1f}%"


def headlines(found: Inspection) -> list[str]:
    """What a reader should know first, in sentences, the worst share first."""
    notes = []
    for section in found.sections:
        worth = [c for c in section.counts if c.bad and not c.label.startswith("-") and c.share >= _WORTH_NOTING]
        notes += [(c.share, f"{c.label}: {percent(c)} ({c.count:,} of {c.of:,} rows{_in(section)})") for c in worth]
    sentences = [found.problem] if found.problem else []
    sentences += [text[:1].upper() + text[1:] for _, text in sorted(notes, reverse=True)]
    for overlap in found.overlaps:
        if shared := max(overlap.found, overlap.by_text):
            sentences.append(f"{shared:,} of {overlap.molecules:,} molecules of the suite {overlap.suite} are in here")
    return sentences


def _in(section: Section) -> str:
    return f", {section.of}" if section.of else ""


def _tiles(found: Inspection) -> list[_Tile]:
    tiles = [_Tile(f"{found.rows:,}", "rows")]
    counts = {count.key: count for section in reversed(found.sections) for count in section.counts}
    for key, label in (
        ("unreadable", "cannot be read"),
        ("invalid", "invalid SMILES"),
        ("duplicates", "duplicates"),
        ("duplicate_pairs", "duplicate pairs"),
        ("stereo", "with stereo"),
        ("net_charge", "with a net charge"),
        ("fragments", "salts, mixtures"),
    ):
        if count := counts.get(key):
            tiles.append(_Tile(percent(count), label, bad=count.bad and count.share >= _WORTH_NOTING))
    sizes = [h for section in found.sections for h in section.histograms if h.key == "heavy_atoms"]
    if sizes:
        tiles.append(_Tile(f"{sizes[0].quantile(0.5)}", "heavy atoms (median)"))
    return tiles


def _shown(section: Section, safe: type[str]) -> _Shown:
    there = [count for count in section.counts if count.count]
    absent = [count.label for count in section.counts if not count.count]
    numbers = [h for h in section.histograms if h.counts and not h.categories]
    return _Shown(
        title=section.title,
        counts=there,
        none=", ".join(absent),
        quantiles=[_quantiles(histogram) for histogram in numbers],
        plots=[safe(svg(histogram)) for histogram in section.histograms if histogram.counts],
    )


def _quantiles(histogram: Histogram) -> tuple[str, str, str, str, str]:
    low, median, most, high = (f"{histogram.quantile(share):,}" for share in (0.0, 0.5, 0.95, 1.0))
    label = histogram.label if histogram.unit in histogram.label else f"{histogram.label}, {histogram.unit}"
    return label, low, median, most, high


def _drawings(found: Inspection, safe: type[str]) -> Sequence[_Drawing]:
    drawings = []
    for drawn in found.drawn:
        wide = ">>" in drawn.smiles
        if picture := draw(drawn.smiles, *((2 * _REACTION_CELL, 320) if wide else (250, 180))):
            drawings.append(_Drawing(drawn.row, safe(picture), drawn.label or drawn.smiles))
    return drawings
