"""Axes of plots: how far they reach, and what is written at them."""

import math
import re
from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from loadtests.compare.report.document import printable

LETTERS = 46  # from the left to the right of a plot
_ENDLESS = 1e30  # nothing that is measured comes near
# Ticks within each decade of a logarithmic axis, by how many times its beginning the end is.
_STEPS = [(12, (1, 2, 3, 5)), (150, (1, 2, 5)), (3000, (1, 3)), (math.inf, (1,))]

Ends = tuple[float, float]


def finite(value: float, log: bool = False) -> bool:
    """Whether an axis has a place for it."""
    return (0 if log else -_ENDLESS) < value < _ENDLESS


def endless(value: float) -> bool:
    """Higher than any axis, as the latency of a request that is never answered."""
    return value >= _ENDLESS


def limits(values: Iterable[float], log: bool, room: float, base: bool = False) -> Ends:
    """Where an axis begins and ends, with a share of room; `base`: at zero, where nothing is below."""
    known = [value for value in values if finite(value, log)]
    if not known:
        return (1, 10) if log else (0, 1)
    low, high = min(known), max(known)
    if log:
        factor = max((high / low) ** room, 1.15)
        return low / factor, high * factor
    space = (high - (0 if base else low)) * room or abs(high) * room or 1
    return (0 if base and low >= 0 else low - space), high + space


def share(value: float, ends: Ends, log: bool) -> float:
    """How far along the axis it is, 0 to 1."""
    low, high, at = (math.log(number) for number in (*ends, value)) if log else (*ends, value)
    return (at - low) / (high - low)


def ticks(axis: Axis, ends: Ends, log: bool, most: int) -> None:
    """Plain numbers; on a linear axis about as many at most."""
    if log:
        reach = ends[1] / ends[0]
        fitting = [steps for most, steps in _STEPS if reach < most]
        axis.set_major_locator(LogLocator(subs=fitting[0], numticks=8))
    else:
        axis.set_major_locator(MaxNLocator(nbins=most, steps=[1, 2, 5, 10]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def number(value: float) -> str:
    """`0.5`, `20`, `1,000`."""
    return f"{value:,.10g}" if abs(value) > 1e-12 else "0"


def words(axes: Axes, names: list[str]) -> None:
    """Names instead of numbers at the bottom: on several lines where that fits, else aslant."""
    room = LETTERS // max(1, len(names)) - 1
    texts = [wrapped(name, room) for name in names]
    if all(text.count("\n") < 3 and len(line) <= room for text in texts for line in text.split("\n")):
        axes.set_xticks(range(len(names)), texts)
    else:
        short = [shortened(name, 24) for name in names]
        axes.set_xticks(range(len(names)), short, rotation=30, ha="right", rotation_mode="anchor")


def shortened(text: str, most: int) -> str:
    """On one line."""
    line = " ".join(printable(text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def wrapped(text: str, most: int = LETTERS) -> str:
    """On as many lines as it takes, broken after spaces, strokes and hyphens."""
    lines = [""]
    for piece in re.findall(r"[^\s/_-]*(?:[/_-]+|\s+|$)", printable(text)):
        if lines[-1] and len(lines[-1] + piece.rstrip()) > most:
            lines.append("")
        lines[-1] += piece
    return "\n".join(" ".join(line.split()) for line in lines)
