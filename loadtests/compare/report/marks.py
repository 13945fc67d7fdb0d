"""Lines across a plot, each with its word."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes

from loadtests.compare.report.document import Mark, Plot
from loadtests.compare.report.drawing import GREY
from loadtests.compare.report.scales import Ends, finite, share, shortened
from loadtests.compare.report.vector import HALO

ROW = 18  # pixels for a line of text
_LETTER = 0.022  # of the plot's width
_LINE: dict[str, Any] = {"color": GREY, "linewidth": 1, "linestyle": (0, (4, 3)), "zorder": 1}


def rows(plot: Plot, ends: Ends) -> list[tuple[Mark, int]]:
    """The moments, each with a row above the plot where its word meets no other's.

    From the last to the first: the line up to a word then passes no other word.
    """
    free: list[float] = []  # where every row's first word begins
    found: list[tuple[Mark, int]] = []
    for mark in sorted(_shown(plot, "x", plot.log_x), key=lambda mark: -mark.at):
        at, long, late = _place(mark, ends, plot.log_x)
        begin = at - long if late else at
        # Not below a word whose own line would cross this one.
        lowest = max(
            (row for other, row in found if share(other.at, ends, plot.log_x) < at + long), default=0
        )
        fits = (row for row, first in enumerate(free) if row >= lowest and begin + long <= first)
        row = next(fits, len(free))
        free[row : row + 1] = [begin]
        found.append((mark, row))
    return found


def moments(axes: Axes, placed: list[tuple[Mark, int]], ends: Ends, log: bool) -> None:
    """Down the plot, from words above it."""
    for mark, row in placed:
        axes.axvline(mark.at, **_LINE)
        late = _place(mark, ends, log)[2]
        style: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        axes.annotate(
            _word(mark), (mark.at, 1), (-4 if late else 4, 3 + ROW * row), **style,
            ha="right" if late else "left", color=GREY, gid=HALO,
        )  # fmt: skip
        if row:  # up to its word
            stem = (0, (row + 0.8) * ROW)
            axes.annotate("", (mark.at, 1), stem, **style, arrowprops={"arrowstyle": "-", **_LINE})


def levels(axes: Axes, plot: Plot, x: Ends, y: Ends) -> None:
    """Across the plot; the word stands at the end where there is less in its way."""
    drawn = list(_along(plot, x, y))
    for mark in _shown(plot, "y", plot.log_y):
        axes.axhline(mark.at, **_LINE)
        height = share(mark.at, y, plot.log_y)
        near = [across for across, up in drawn if height - 0.02 < up < height + 0.1]
        right = sum(at > 0.7 for at in near) <= sum(at < 0.3 for at in near)
        axes.annotate(
            _word(mark), (float(right), mark.at), (-2 if right else 2, 3), gid=HALO, zorder=6,
            xycoords=("axes fraction", "data"), textcoords="offset points",
            ha="right" if right else "left", color=GREY,
        )  # fmt: skip


def _along(plot: Plot, x: Ends, y: Ends) -> Iterator[tuple[float, float]]:
    """Where its lines run: places close to each other, as shares of both axes."""
    for series in plot.series:
        points = [
            (share(at, x, plot.log_x), share(value, y, plot.log_y))
            for at, value in zip(series.x, series.y, strict=False)
            if finite(at, plot.log_x) and finite(value, plot.log_y)
        ]
        yield from points
        for (x1, y1), (x2, y2) in pairwise(points):
            yield from ((x1 + (x2 - x1) * step / 20, y1 + (y2 - y1) * step / 20) for step in range(20))


def _place(mark: Mark, ends: Ends, log: bool) -> tuple[float, float, bool]:
    """Where it is, how long its word, and whether that must stand on its left."""
    at, long = share(mark.at, ends, log), _LETTER * len(_word(mark)) + 0.02
    return at, long, at + long > 1


def _shown(plot: Plot, axis: str, log: bool) -> list[Mark]:
    return [mark for mark in plot.marks if mark.axis == axis and finite(mark.at, log)]


def _word(mark: Mark) -> str:
    return shortened(mark.text, 40)
