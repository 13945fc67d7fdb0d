"""Plots as inline SVG: legible on a phone, and the same for the same numbers."""

import warnings
from io import StringIO
from textwrap import fill
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from loadtests.compare.report.document import Mark, Plot, printable
from loadtests.compare.report.drawing import (
    GREY,
    GRID,
    INK,
    NAMES,
    PAPER,
    draw,
    errors,
    infinite,
    placed,
)
from loadtests.compare.report.vector import inline

_WIDTH, _HEIGHT = 440, 262  # CSS pixels: the letters, of 14, still have more than 9 on a phone
_ROW = 18  # pixels for a line of text
_LETTERS = 46  # from the left to the right of a plot
_STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "tandem", "text.parse_math": False, "font.size": 14,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": GREY, "axes.axisbelow": True,
    "axes.titlesize": 14, "legend.fontsize": 14, "axes.facecolor": "none", "figure.facecolor": "none",
    "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "xtick.color": GREY, "xtick.labelcolor": INK, "ytick.color": GREY, "ytick.labelcolor": INK,
    "ytick.major.size": 0, "axes.grid": True, "axes.grid.axis": "y", "grid.color": GRID,
    "axes.xmargin": 0.04, "axes.ymargin": 0.08,
    "lines.linewidth": 2, "lines.markersize": 7, "hatch.linewidth": 1.5,
    "legend.frameon": False, "legend.borderpad": 0, "legend.borderaxespad": 0,
}  # fmt: skip
# Ticks within each decade of a logarithmic axis, by how many times its beginning the end is.
_STEPS = {12: (1, 2, 3, 5), 150: (1, 2, 5), 3000: (1, 3), np.inf: (1,)}
_LINE: dict[str, Any] = {"color": GREY, "linewidth": 1, "linestyle": (0, (4, 3)), "zorder": 1}
_WORD: dict[str, Any] = {
    "color": GREY, "textcoords": "offset points", "zorder": 6,
    "bbox": {"facecolor": f"{PAPER}cc", "edgecolor": "none", "pad": 1},
}  # fmt: skip


def svg(plot: Plot, prefix: str = "plot-") -> str:
    """The plot; its ids begin with the prefix, of which every plot of a page needs its own."""
    text = StringIO()
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that the measuring font lacks: the browser has them
        _figure(plot).savefig(
            text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    label = ", ".join(
        part for part in (plot.y, plot.x, *(series.name for series in plot.series)) if part
    )
    return inline(text.getvalue(), prefix, printable(f"{plot.title}: {label}"), NAMES)


def _figure(plot: Plot) -> Figure:
    figure = Figure(dpi=72, layout=ConstrainedLayoutEngine(h_pad=5 / 72))
    axes = figure.add_subplot()
    axes.set(xscale="log" if plot.log_x else "linear", yscale="log" if plot.log_y else "linear")
    keys = [draw(axes, plot, at) for at in range(len(plot.series))] + [*infinite(plot).values()]
    names = [_short(series.name, 42) for series in plot.series] + [*infinite(plot)]
    moments = _moments(axes, plot)
    _levels(axes, plot)
    if plot.kind == "bars" or plot.ticks:
        axes.set_xlim(-0.6, max(1, len(plot.ticks)) - 0.4)
    if not plot.log_y and axes.dataLim.y0 >= 0:
        axes.set_ylim(bottom=0)
    axes.autoscale(False)
    for at in range(len(plot.series)):
        errors(axes, plot, at)
    _ticks(axes, plot)
    axes.set_xlabel(fill(printable(plot.x), _LETTERS))
    axes.set_title(fill(printable(plot.y), _LETTERS), loc="left", pad=10 + _ROW * moments)
    columns = 2 if max(map(len, names), default=0) < _LETTERS // 2 - 3 else 1
    figure.legend(keys, names, loc="outside upper left", ncols=columns)
    rows = -(-len(names) // columns) + moments
    figure.set_size_inches(_WIDTH / 72, (_HEIGHT + _ROW * rows) / 72)
    return figure


def _moments(axes: Axes, plot: Plot) -> int:
    """Lines down the plot, from words above it; how many. The last stands lowest: less is crossed."""
    marks = sorted(_shown(plot, "x", plot.log_x), key=lambda mark: -mark.at)
    for mark in marks:
        axes.axvline(mark.at, **_LINE)
    first, last = axes.get_xlim()
    for row, mark in enumerate(marks):
        late = mark.at > (first + last) / 2
        axes.annotate(
            _short(mark.text, 30), (mark.at, 1), (-4 if late else 4, 6 + _ROW * row),
            xycoords=("data", "axes fraction"), ha="right" if late else "left", **_WORD,
        )  # fmt: skip
        axes.axvline(mark.at, 1, 1 + 0.09 * (row + 1), clip_on=False, **_LINE)
    return len(marks)


def _levels(axes: Axes, plot: Plot) -> None:
    """Lines across the plot, with words at its left."""
    for mark in _shown(plot, "y", plot.log_y):
        axes.axhline(mark.at, **_LINE)
        axes.annotate(
            _short(mark.text, 40), (0, mark.at), (2, 4), xycoords=("axes fraction", "data"), **_WORD
        )


def _shown(plot: Plot, axis: str, log: bool) -> list[Mark]:
    return [mark for mark in plot.marks if mark.axis == axis and not np.isnan(placed([mark.at], log)[0])]


def _ticks(axes: Axes, plot: Plot) -> None:
    """Plain numbers, or names at the bottom."""
    _numbers(axes.yaxis, plot.log_y, 6)
    if plot.ticks:
        room = _LETTERS // len(plot.ticks) - 1
        aslant: dict[str, Any] = {"rotation": 30, "ha": "right"}
        names = [fill(_short(name, 24), max(room, 8)) for name in plot.ticks]
        axes.set_xticks(range(len(names)), names, **aslant if room < 8 else {})
    else:
        _numbers(axes.xaxis, plot.log_x, 8)
    if not any(not np.isnan(placed(series.y, plot.log_y)).all() for series in plot.series):
        axes.text(0.5, 0.5, "no values to show", transform=axes.transAxes, ha="center", color=GREY)


def _numbers(axis: Axis, log: bool, most: int) -> None:
    low, high = axis.get_view_interval()
    if log:
        subs = next(subs for reach, subs in _STEPS.items() if high / low < reach)
        axis.set_major_locator(LogLocator(subs=subs, numticks=8))
    else:
        axis.set_major_locator(MaxNLocator(nbins=most, steps=[1, 2, 5, 10]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:,.10g}")


def _short(text: str, most: int) -> str:
    line = " ".join(printable(text).split())
    return line if len(line) <= most else line[: most - 1] + "…"
