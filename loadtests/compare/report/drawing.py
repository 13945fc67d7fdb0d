"""Series in a plot: a side keeps its colour and its marker in all of them."""

import math
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.path import Path
from matplotlib.transforms import ScaledTranslation

from loadtests.compare.report.document import Plot, Series
from loadtests.compare.report.scales import Ends, endless, finite, shortened

# Told apart on white with each of the three kinds of colour blindness.
COLOURS = ("#0b6e99", "#d1603d", "#2b2d42", "#8a15d8", "#4c2307", "#996363")
GLYPHS = "●■▲◆▼✚"  # the markers, as text
PAPER, INK, GREY = "#ffffff", "#26303d", "#66717e"
_MARKERS = "os^DvP"
_CROWD = 30  # of more points than these, some are marked
_GROUP = 0.8  # of the way from one group of bars to the next
_LETTERS = 42  # of a name


@dataclass(frozen=True)
class Point:
    """What a series says at one x; without an error bar, all three are the same."""

    x: float
    y: float
    low: float
    high: float
    hollow: bool


def points(plot: Plot, series: Series, at: int) -> list[Point]:
    """Those that have a place on the x axis; bars of a group stand side by side."""
    shift = (at - (len(plot.series) - 1) / 2) * _wide(plot) if plot.kind == "bars" else 0
    found = []
    for index, (x, y) in enumerate(zip(series.x, series.y, strict=False)):
        if finite(x, plot.log_x):
            low = series.low[index] if index < len(series.low) else y
            high = series.high[index] if index < len(series.high) else y
            found.append(Point(x + shift, y, low, high, index in series.hollow))
    return found


def draw(axes: Axes, plot: Plot, at: int, shown: list[Point], up: Ends) -> None:
    """With error bars; what is infinite is an arrow at the upper end."""
    place, bars = plot.series[at].place, plot.kind == "bars"
    if bars:
        _bars(axes, plot, at, [point for point in shown if finite(point.y, plot.log_y)], up)
    else:
        _line(axes, plot, at, shown)
    errors = [
        (point.x, max(point.low, up[0]), min(point.high, up[1]))
        for point in shown
        if finite(point.y, plot.log_y) and point.low < point.high
    ]
    if errors:
        # Sides are measured at the same x: a little aside, their error bars don't hide each other.
        aside = 0 if bars else 3 * (at - (len(plot.series) - 1) / 2)
        moved = axes.transData + ScaledTranslation(aside / 72, 0, axes.figure.dpi_scale_trans)
        colour = INK if bars else _of(COLOURS, place)
        at_x, lows, highs = zip(*errors, strict=True)
        axes.vlines(at_x, lows, highs, colors=colour, linewidth=1.2, transform=moved)
    above = [point.x for point in shown if endless(point.y)]
    if above:
        axes.plot(above, [up[1]] * len(above), color=_of(COLOURS, place), **_arrow(-2))


def keys(plot: Plot) -> list[tuple[str, Artist]]:
    """Names and what to show beside them."""
    found: list[tuple[str, Artist]] = []
    for series in plot.series:
        style = _patch(series) if plot.kind == "bars" else _marker(series) | _stroke(series)
        key = Patch(**style) if plot.kind == "bars" else Line2D([], [], **style)
        found.append((shortened(series.name, _LETTERS), key))
    if any(endless(value) for series in plot.series for value in series.y):
        found.append(("infinite", Line2D([], [], color=GREY, **_arrow(-1))))
    return found


def _line(axes: Axes, plot: Plot, at: int, shown: list[Point]) -> None:
    """It breaks where a value is missing."""
    series = plot.series[at]
    known = [point.y if finite(point.y, plot.log_y) else math.nan for point in shown]
    axes.plot([point.x for point in shown], known, **_stroke(series))
    every = max(1, len(shown) // 10) if len(shown) > _CROWD else 1
    begin = at * every // max(1, len(plot.series))
    for hollow in (False, True):
        kept = [
            (point.x, y)
            for index, (point, y) in enumerate(zip(shown, known, strict=True))
            if point.hollow == hollow and (hollow or index % every == begin)
        ]
        if kept:
            face = {"markerfacecolor": PAPER, "markeredgewidth": 1.8} if hollow else {}
            axes.plot(*zip(*kept, strict=True), linestyle="none", **_marker(series) | face)


def _bars(axes: Axes, plot: Plot, at: int, shown: list[Point], up: Ends) -> None:
    wide = _wide(plot) * 0.92
    for hollow in (False, True):
        kept = [point for point in shown if point.hollow == hollow]
        face = {"facecolor": PAPER, "edgecolor": _of(COLOURS, plot.series[at].place)} if hollow else {}
        bottom = up[0] if plot.log_y else 0  # a logarithmic axis has no zero to stand on
        axes.bar(
            [point.x for point in kept], [point.y - bottom for point in kept], wide, bottom,
            **_patch(plot.series[at]) | face,
        )  # fmt: skip


def _wide(plot: Plot) -> float:
    return min(0.36, _GROUP / max(1, len(plot.series)))


def _of(choice: Any, place: int) -> Any:
    return choice[place % len(choice)]


def _stroke(series: Series) -> dict[str, Any]:
    return {"color": _of(COLOURS, series.place), "linestyle": (0, (4, 2)) if series.dashed else "-"}


def _marker(series: Series) -> dict[str, Any]:
    return {"color": _of(COLOURS, series.place), "marker": _of(_MARKERS, series.place)}


def _patch(series: Series) -> dict[str, Any]:
    colour = _of(COLOURS, series.place)
    hatch = {"hatch": "////", "edgecolor": PAPER, "linewidth": 0} if series.dashed else {}
    return {"facecolor": colour, **hatch}


def _arrow(foot: float) -> dict[str, Any]:
    """Upwards; two units long, from so far above its place."""
    head = foot + 2
    tips = [(0, foot), (0, head), (-0.6, head - 0.7), (0, head), (0.6, head - 0.7)]
    shape = Path(tips, [Path.MOVETO, Path.LINETO, Path.MOVETO, Path.LINETO, Path.LINETO])
    size = 11 * max(-foot, head)  # matplotlib scales the farthest tip to half of it
    return {
        "marker": shape, "markersize": size, "fillstyle": "none", "markeredgewidth": 2,
        "linestyle": "none", "clip_on": False,
    }  # fmt: skip
