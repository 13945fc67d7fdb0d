"""Whether what a shadow does to a percentile lies within what runs without one do to each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Within:
    """Ratios of pairs of runs without a shadow (`apart`), of runs with one to those (`shadowed`), and
    the interval of the former.
    """

    apart: Sequence[float]
    shadowed: Sequence[float]
    low: float
    high: float

    @property
    def inside(self) -> int:
        """How many of the latter lie in it."""
        return sum(self.low <= one <= self.high for one in self.shadowed)


def within(apart: Sequence[float], shadowed: Sequence[float]) -> Within:
    """The interval that holds all of the next n ratios with CONFIDENCE, if they are of the kind of
    `apart`: Student's prediction interval of logarithms, each at 1 - (1 - CONFIDENCE) / n (Bonferroni).

    ValueError with fewer than two.
    """
    if len(apart) < 2:
        raise ValueError("an interval takes two pairs of runs")
    logs = np.log(np.asarray(apart))
    count = len(logs)
    level = 1 - (1 - CONFIDENCE) / (2 * len(shadowed))
    half = float(stats.t.ppf(level, count - 1)) * float(logs.std(ddof=1)) * math.sqrt(1 + 1 / count)
    middle = float(logs.mean())
    return Within(apart, shadowed, math.exp(middle - half), math.exp(middle + half))
