"""Plots as inline SVG: legible on a phone, and the same for the same numbers."""

import warnings
from io import StringIO
from itertools import chain

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from loadtests.compare.report import marks
from loadtests.compare.report.document import Plot, printable
from loadtests.compare.report.drawing import GREY, INK, Point, draw, keys, points
from loadtests.compare.report.scales import Ends, finite, limits, ticks, words, wrapped
from loadtests.compare.report.vector import inline

_WIDTH, _HEIGHT = 440, 262  # CSS pixels: the letters, of 14, still have more than 9 on a phone
_ACROSS = 52  # letters beside each other in the legend
_STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "tandem", "text.parse_math": False, "font.size": 14,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": GREY, "axes.axisbelow": True,
    "axes.titlesize": 14, "legend.fontsize": 14, "axes.facecolor": "none", "figure.facecolor": "none",
    "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "xtick.color": GREY, "xtick.labelcolor": INK, "ytick.color": GREY, "ytick.labelcolor": INK,
    "ytick.major.size": 0, "axes.grid": True, "axes.grid.axis": "y", "grid.color": "#e4e7eb",
    "lines.linewidth": 2, "lines.markersize": 7, "hatch.linewidth": 1.5,
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
    return inline(text.getvalue(), prefix, printable(f"{plot.title}: {label}"))


def _figure(plot: Plot) -> Figure:
    drawn = [points(plot, series, at) for at, series in enumerate(plot.series)]
    across, up = _ends(plot, list(chain.from_iterable(drawn)))
    moments = marks.rows(plot, across)
    above = max((row + 1 for _, row in moments), default=0)
    title, label, legend = wrapped(plot.y), wrapped(plot.x), keys(plot)
    columns = _columns([len(name) + 6 for name, _ in legend])
    lines = above + -(-len(legend) // columns) + title.count("\n") + label.count("\n")
    height = _HEIGHT + marks.ROW * lines
    layout = ConstrainedLayoutEngine(h_pad=5 / 72)
    figure = Figure(figsize=(_WIDTH / 72, height / 72), dpi=72, layout=layout)
    axes = figure.add_subplot()
    axes.set(xscale="log" if plot.log_x else "linear", yscale="log" if plot.log_y else "linear")
    for at, shown in enumerate(drawn):
        draw(axes, plot, at, shown, up)
    axes.set(xlim=across, ylim=up, xlabel=label)
    heading = axes.set_title(title, loc="left", pad=10 + marks.ROW * above)
    marks.moments(axes, moments, across, plot.log_x)
    marks.levels(axes, plot, across, up)
    _label(axes, plot, across, up)
    if legend:
        figure.legend(
            [key for _, key in legend], [name for name, _ in legend], loc="outside upper left",
            ncols=columns, frameon=False, borderpad=0, borderaxespad=0, handlelength=1.8,
            columnspacing=1.4,
        )  # fmt: skip
    figure.draw_without_rendering()  # now it's known where the axes begin
    begin, width = axes.get_position().x0, axes.get_position().width
    heading.set_x(-begin / width)
    return figure


def _columns(lengths: list[int]) -> int:
    """As many as fit beside each other; a legend is filled column by column."""
    for count in range(len(lengths), 1, -1):
        rows = -(-len(lengths) // count)
        if sum(max(lengths[at : at + rows]) for at in range(0, len(lengths), rows)) <= _ACROSS:
            return count
    return 1


def _ends(plot: Plot, every: list[Point]) -> tuple[Ends, Ends]:
    """Of both axes: all of it is in view, marks and error bars too."""
    at = {axis: [mark.at for mark in plot.marks if mark.axis == axis] for axis in ("x", "y")}
    heights = [value for point in every for value in (point.y, point.low, point.high)]
    up = limits(heights + at["y"], plot.log_y, 0.08, base=True)
    if plot.kind == "bars" or plot.ticks:
        return (-0.6, max(1, len(plot.ticks)) - 0.4), up
    return limits([point.x for point in every] + at["x"], plot.log_x, 0.04), up


def _label(axes: Axes, plot: Plot, across: Ends, up: Ends) -> None:
    if plot.ticks:
        words(axes, plot.ticks)
    else:
        ticks(axes.xaxis, across, plot.log_x, 8)
    ticks(axes.yaxis, up, plot.log_y, 6)
    if not any(finite(value, plot.log_y) for series in plot.series for value in series.y):
        axes.text(0.5, 0.5, "no values to show", transform=axes.transAxes, ha="center", color=GREY)
