"""When requests arrive: rates that change over time, and the arrivals drawn from them.

In an open loop requests come whether or not earlier ones were answered, so the times are drawn before
the first is sent, the same ones for the same seed. A `Profile` also counts users in a closed loop.
"""

import difflib
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["poisson", "constant"]


@dataclass(frozen=True)
class Profile:
    """A level (requests per second, or users) over time: straight lines between [seconds, level]."""

    points: tuple[tuple[float, float], ...]

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.points[-1][0]

    def at(self, seconds: float) -> float:
        """The level at a time; 0 before and after. At a jump, what it jumps to."""
        if not 0 <= seconds < self.duration:
            return 0.0
        after = next(index for index, point in enumerate(self.points) if point[0] > seconds)
        (start, low), (end, high) = self.points[after - 1 : after + 1]
        return low + (high - low) * (seconds - start) / (end - start)

    def arrivals(self, kind: Kind = "poisson", seed: int = 7) -> np.ndarray:
        """Sorted times in seconds from the start: evenly spaced, or a Poisson process of that rate."""
        times, rates = np.array(self.points, dtype=float).T
        spans = np.diff(times)
        expected = np.concatenate([[0], np.cumsum(spans * (rates[1:] + rates[:-1]) / 2)])
        total = expected[-1]
        if kind == "constant":
            counts = np.arange(math.floor(total + 1e-9)) + 0.0
        else:
            chance = np.random.default_rng(seed)
            # Arrivals of a Poisson process, given their number, are that many times in any order.
            counts = np.sort(chance.uniform(0, total, chance.poisson(total)))
        part = np.clip(np.searchsorted(expected, counts, side="right") - 1, 0, len(spans) - 1)
        slope = np.divide(rates[1:] - rates[:-1], spans, out=np.zeros_like(spans), where=spans > 0)[part]
        left, start = counts - expected[part], rates[:-1][part]
        # Where a line's area reaches `left`: the root of a square, in the form that allows slope 0.
        root = start + np.sqrt(np.maximum(start**2 + 2 * slope * left, 0))
        found: np.ndarray = times[part] + np.divide(
            2 * left, root, out=np.zeros_like(left), where=root > 0
        )
        return found


def constant(rate: float, duration: float = 60) -> Profile:
    return Profile(((0, rate), (duration, rate)))


def steps(first: float, step: float, count: float = 5, each: float = 30) -> Profile:
    """Rates first, first + step, ..., `each` seconds of each."""
    levels = [(index * each, first + index * step) for index in range(int(count))]
    return Profile(tuple(p for at, level in levels for p in ((at, level), (at + each, level))))


def ramp(first: float, last: float, duration: float = 60) -> Profile:
    """A straight line from one rate to another."""
    return Profile(((0, first), (duration, last)))


def spike(
    rate: float, factor: float = 10, at: float = 20, length: float = 20, duration: float = 60
) -> Profile:
    """A rate, and `factor` times that for `length` seconds from `at` on."""
    high, end = rate * factor, at + length
    if end > duration:
        raise ValueError(f"the spike ends at {end:g} s, after the duration of {duration:g} s")
    return Profile(((0, rate), (at, rate), (at, high), (end, high), (end, rate), (duration, rate)))


def day(low: float, high: float, duration: float = 300) -> Profile:
    """A day in `duration` seconds: `low` at both ends, `high` in the middle, a cosine between."""
    parts = 48
    return Profile(
        tuple(
            (duration * i / parts, low + (high - low) * (1 - math.cos(2 * math.pi * i / parts)) / 2)
            for i in range(parts + 1)
        )
    )


SHAPES: dict[str, Callable[..., Profile]] = {
    shape.__name__: shape for shape in (constant, steps, ramp, spike, day)
}


def parse(text: str) -> Profile:
    """`spike,rate=100,factor=5` as a Profile; ValueError says what is wrong with it."""
    name, *pairs = text.split(",")
    if name not in SHAPES:
        raise ValueError(f"no shape '{name}'{_near(name, SHAPES)}; there are {', '.join(SHAPES)}")
    known = inspect.signature(SHAPES[name]).parameters
    values: dict[str, float] = {}
    for pair in pairs:
        key, _, number = pair.partition("=")
        if key not in known:
            raise ValueError(f"{name} has no '{key}'{_near(key, known)}; it has {', '.join(known)}")
        try:
            values[key] = float(number)
        except ValueError:
            raise ValueError(f"{name}: {key} must be a number, got '{number}'") from None
        if not 0 <= values[key] < math.inf:
            raise ValueError(f"{name}: {key} must not be negative, got {number}")
    if missing := [key for key, one in known.items() if one.default is one.empty and key not in values]:
        raise ValueError(f"{name} needs {', '.join(f'{key}=' for key in missing)}")
    profile = SHAPES[name](**values)
    if not profile.points or profile.duration <= 0:
        raise ValueError(f"{name} lasts no time")
    return profile


def _near(name: str, known: object) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)  # type: ignore[call-overload]
    return f", did you mean '{near[0]}'?" if near else ""
