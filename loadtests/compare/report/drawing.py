"""Series in a plot: a side keeps its colour and its marker in all of them."""

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from loadtests.compare.report.document import Plot

# Told apart on white, and the page's on black, with each of the three kinds of colour blindness.
COLOURS = ("#0b6e99", "#d1603d", "#2b2d42", "#8a15d8", "#4c2307", "#996363")
GLYPHS = "●■▲◆▼✚"  # the markers, as text
PAPER, INK, GREY, GRID = "#ffffff", "#26303d", "#66717e", "#e4e7eb"
# The page has others for the dark, by these names.
NAMES = {PAPER: "paper", INK: "plot-ink", GREY: "plot-grey", GRID: "plot-grid"}
NAMES |= {colour: f"side-{place}" for place, colour in enumerate(COLOURS, 1)}
_MARKERS = "os^DvP"
_CROWD = 30  # of more points than these, about ten are marked
_ENDLESS = 1e30  # nothing that is measured comes near
_ARROW: dict[str, Any] = {
    "marker": ((0, 0), (0, -2), (0, 0), (-0.6, -0.7), (0, 0), (0.6, -0.7), (0, 0)), "markersize": 22,
    "fillstyle": "none", "markeredgewidth": 2, "linestyle": "none", "clip_on": False,
}  # fmt: skip


def placed(values: list[float], log: bool = False) -> np.ndarray:
    """NaN for those that an axis has no place for."""
    found = np.array(values, dtype=float)
    return np.where((found > (0 if log else -_ENDLESS)) & (found < _ENDLESS), found, np.nan)


def draw(axes: Axes, plot: Plot, at: int) -> Artist:
    """Without error bars; what is infinite is an arrow at the upper end. Returns its legend's key."""
    series = plot.series[at]
    x, y = _across(plot, at), placed(series.y, plot.log_y)
    hollow = np.isin(np.arange(len(y)), series.hollow)
    colour = COLOURS[series.place % len(COLOURS)]
    marker: dict[str, Any] = {"marker": _MARKERS[series.place % len(_MARKERS)], "color": colour}
    empty = {"markerfacecolor": PAPER, "markeredgewidth": 1.8, "linestyle": "none"}
    key: Artist
    if plot.kind == "bars":
        hatch: dict[str, Any] = (
            {"hatch": "////", "edgecolor": PAPER, "linewidth": 0} if series.dashed else {}
        )
        key = Patch(facecolor=colour, **hatch)
        for some, face in ((~hollow, {"facecolor": colour} | hatch), (hollow, {"facecolor": PAPER})):
            known = some & ~np.isnan(y)
            axes.bar(x[known], y[known], _wide(plot) * 0.92, **{"edgecolor": colour} | face)
    else:
        stroke: dict[str, Any] = {"linestyle": (0, (4, 2)) if series.dashed else "-"} | marker
        every = max(1, len(y) // 10) if len(y) > _CROWD else 1
        axes.plot(x, y, markevery=(at * every // len(plot.series), every), **stroke)
        axes.plot(x[hollow], y[hollow], **marker | empty)
        key = Line2D([], [], **stroke)
    if len(above := x[np.array(series.y, dtype=float) >= _ENDLESS]):
        top = axes.get_xaxis_transform()
        axes.plot(above, np.ones(len(above)), color=colour, transform=top, **_ARROW)
    for ends in (series.low, series.high):  # in view, too
        pairs = zip(x, placed(ends, plot.log_y), strict=False)
        axes.update_datalim([pair for pair in pairs if not np.isnan(pair).any()])
    return key


def errors(axes: Axes, plot: Plot, at: int) -> None:
    """Error bars, no longer than the axis."""
    series, bars = plot.series[at], plot.kind == "bars"
    if series.low:
        x, known = _across(plot, at), ~np.isnan(placed(series.y, plot.log_y))
        low, high = np.clip([series.low, series.high], *axes.get_ylim())
        known &= ~np.isnan(x) & (low < high)
        # Sides are measured at the same x: a little aside, their error bars don't hide each other.
        aside = 0 if bars else 3 * (at - (len(plot.series) - 1) / 2)
        moved = axes.transData + ScaledTranslation(aside / 72, 0, axes.figure.dpi_scale_trans)
        colour = INK if bars else COLOURS[series.place % len(COLOURS)]
        axes.vlines(x[known], low[known], high[known], colors=colour, linewidth=1.2, transform=moved)


def infinite(plot: Plot) -> dict[str, Artist]:
    """The arrow's key, where there is one."""
    there = any(value >= _ENDLESS for series in plot.series for value in series.y)
    return {"infinite": Line2D([], [], color=GREY, **_ARROW)} if there else {}


def _across(plot: Plot, at: int) -> np.ndarray:
    """Where a series' points are; bars of a group stand side by side."""
    shift = (at - (len(plot.series) - 1) / 2) * _wide(plot) if plot.kind == "bars" else 0
    return placed(plot.series[at].x, plot.log_x) + shift


def _wide(plot: Plot) -> float:
    return min(0.36, 0.8 / max(1, len(plot.series)))
