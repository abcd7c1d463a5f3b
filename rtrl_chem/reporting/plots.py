"""Histograms as SVG for a page and as one PNG, with matplotlib (extra `report`)."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtrl_chem.data.inspect import Histogram
from rtrl_chem.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["require_report", "save_png", "svg"]

_INK, _BAR, _LIMIT = "#1f2933", "#3b6ea8", "#b3261e"
_STYLE: Any = {
    "svg.fonttype": "path",  # the same letters on every machine, without a font to load
    "svg.hashsalt": "rtrl-chem",  # the same data gives the same bytes
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.parse_math": False,  # a dollar sign is a dollar sign
    "text.color": _INK,
    "axes.edgecolor": "#8a94a0",
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_BINS = 50
_CATEGORIES = 14
# A few huge items would press all others into one bar: the axis ends where so many are shown.
_SHOWN = 0.995
_WIDTH, _HEIGHT = 4.6, 2.9


def require_report(what: str) -> None:
    """ConfigError that names the extra, where a package for pages is missing."""
    missing = [name for name, module in (("matplotlib", "matplotlib"), ("Jinja2", "jinja2")) if not find_spec(module)]
    if missing:
        raise ConfigError(f"{what} needs {' and '.join(missing)}: pip install 'rtrl-chem[report]', or leave it out")


def svg(histogram: Histogram) -> str:
    """The `<svg>` element of one histogram."""
    figure, (axes,) = _figure(1, columns=1)
    _plot(axes, histogram, histogram.label)
    buffer = io.StringIO()
    with _styled():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    element = text[text.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>\s*", "", element, flags=re.DOTALL)
    label = escape(f"{histogram.label}, histogram", quote=True)
    return element.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def save_png(histograms: Sequence[tuple[str, Histogram]], path: Path) -> None:
    """All histograms with their titles in one picture, three in a row."""
    figure, axes = _figure(len(histograms), columns=3)
    for one, (title, histogram) in zip(axes, histograms, strict=True):
        _plot(one, histogram, title)
    with _styled():
        figure.savefig(path, dpi=130, metadata={"Software": None})


def _styled() -> Any:
    import matplotlib as mpl

    return mpl.rc_context(_STYLE)


def _figure(count: int, columns: int) -> tuple[Any, list[Axes]]:
    # Figure without pyplot: no global state, no window system.
    from matplotlib.figure import Figure

    rows = -(-count // columns)
    with _styled():
        figure = Figure(figsize=(_WIDTH * min(count, columns), _HEIGHT * rows), layout="constrained")
        grid = figure.subplots(rows, min(count, columns), squeeze=False).flatten().tolist()
    for empty in grid[count:]:
        empty.set_visible(False)
    return figure, grid[:count]


def _plot(axes: Axes, histogram: Histogram, title: str) -> None:
    with _styled():
        axes.set_title(title, fontsize=10, fontweight="bold", loc="left")
        if histogram.categories:
            _bars(axes, histogram)
        else:
            _columns(axes, histogram)


def _bars(axes: Axes, histogram: Histogram) -> None:
    """Lying bars, the commonest on top, with their shares."""
    shown = list(histogram.counts.items())[:_CATEGORIES]
    names, counts = [str(name) for name, _ in shown], [count for _, count in shown]
    bars = axes.barh(names, counts, color=_BAR, height=0.72)
    shares = [f"{_percent(count, histogram.of)}" for count in counts]
    axes.bar_label(bars, labels=shares, padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, max(counts, default=1) * 1.18)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.set_xlabel(_left_out(len(histogram.counts) - len(shown), histogram.unit), fontsize=8)
    _thousands(axes.xaxis)


def _left_out(left_out: int, unit: str) -> str:
    return f"{unit} ({left_out} rarer ones left out)" if left_out else unit


def _percent(count: int, of: int) -> str:
    share = 100 * count / of if of else 0.0
    return f"{share:.0f}%" if share >= 9.95 else f"{share:.1f}%" if share >= 0.1 else "<0.1%"


def _columns(axes: Axes, histogram: Histogram) -> None:
    """Standing bars over the range in which nearly all values lie."""
    low, high = histogram.quantile(0.0) or 0, histogram.quantile(_SHOWN) or 0
    width = max(1, -(-(high - low + 1) // _BINS))
    heights: dict[int, int] = {}
    for value, count in histogram.counts.items():
        if value <= high:
            heights[(value - low) // width] = heights.get((value - low) // width, 0) + count
    middles = [low + place * width + (width - 1) / 2 for place in heights]
    axes.bar(middles, list(heights.values()), width=0.92 * width, color=_BAR)
    beyond = sum(count for value, count in histogram.counts.items() if value > high)
    largest = max(histogram.counts, default=0)
    unit = f"{histogram.unit} ({beyond:,} rows beyond, up to {largest:,})" if beyond else histogram.unit
    axes.set_xlabel(unit, fontsize=8)
    axes.set_ylabel("rows", fontsize=8)
    axes.set_xlim(low - 0.6 * width, high + 0.6 * width)
    if histogram.limit is not None and histogram.limit <= high:
        axes.set_ylim(0, 1.13 * max(heights.values()))  # room for the words above the bars
        axes.axvline(histogram.limit, color=_LIMIT, linewidth=1.2)
        axes.annotate(f"limit {histogram.limit:,}", (histogram.limit, 1), xycoords=("data", "axes fraction"),
                      xytext=(3, -9), textcoords="offset points", color=_LIMIT, fontsize=8)  # fmt: skip
    _whole(axes.xaxis)
    _thousands(axes.xaxis)
    _thousands(axes.yaxis)


def _whole(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _thousands(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_tick_params(labelsize=8)
