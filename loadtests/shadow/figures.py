"""Whether what a shadow does to a percentile lies within what runs without one do to each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
TELLING = 1.5


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
    def shift(self) -> tuple[float, float, float]:
        """By what a shadow multiplies the percentile, on the geometric mean, with the interval of that:
        what all runs share shows here first.
        """
        logs = np.log(np.asarray(self.shadowed))
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(logs) - 1) * logs.std(ddof=1)) / math.sqrt(
            len(logs)
        )
        middle = float(logs.mean())
        return math.exp(middle), math.exp(middle - half), math.exp(middle + half)

    @property
    def telling(self) -> bool:
        """Whether a run beyond it would be one that anybody minds: runs without a shadow may differ so
        much that nothing lies outside.
        """
        return self.low >= 1 / TELLING and self.high <= TELLING

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
