"""From samples to what may be said of them.

The unit is the round: requests of one round share the machine's mood, so a thousand of them are no
thousand measurements. Intervals come from resampling rounds, in pairs, widened for their small number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Literal

import numpy as np
from scipy import stats

_RESAMPLES = 10_000
Verdict = Literal["lower", "higher", "no difference shown"]


@dataclass(frozen=True)
class Interval:
    """An estimate, and where it lies with the confidence that was asked for."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """`ours` against `theirs`, means over the rounds, and how they differ from round to round."""

    ours: float
    theirs: float
    ratio: Interval
    difference: Interval
    rounds: int

    @property
    def verdict(self) -> Verdict:
        """Of the ratio: on one side of 1 with its whole interval, or nothing that was shown."""
        if self.ratio.high < 1:
            return "lower"
        return "higher" if self.ratio.low > 1 else "no difference shown"


def compared(
    ours: Sequence[float], theirs: Sequence[float], confidence: float = 0.95, seed: int = 7
) -> Difference:
    """One figure of each round on both sides, in the order of the rounds; all above 0.

    Who asks several questions of one experiment takes a higher `confidence` for each of them:
    1 - 0.05 / questions. ValueError with fewer than two rounds, or with unequal numbers of them.
    """
    if len(ours) != len(theirs) or len(ours) < 2:
        raise ValueError(f"two or more rounds of both are needed, got {len(ours)} and {len(theirs)}")
    if min(*ours, *theirs) <= 0:
        raise ValueError("a ratio needs figures above 0")
    logs = np.array([log(a / b) for a, b in zip(ours, theirs, strict=True)])
    gaps = np.array(ours) - np.array(theirs)
    ratio, difference = (_interval(values, confidence, seed) for values in (logs, gaps))
    return Difference(
        float(np.mean(ours)),
        float(np.mean(theirs)),
        Interval(*(float(np.exp(value)) for value in (ratio.middle, ratio.low, ratio.high))),
        difference,
        len(ours),
    )


def _interval(values: np.ndarray, confidence: float, seed: int) -> Interval:
    """Mean and interval of a mean over rounds.

    Resampled quantiles alone are too narrow for few rounds: their variance lacks n / (n - 1), and
    their tails are the normal distribution's where Student's belong.
    """
    count, middle = len(values), float(values.mean())
    chance = np.random.default_rng(seed)
    means = values[chance.integers(0, count, (_RESAMPLES, count))].mean(1)
    share = (1 + confidence) / 2
    widening = stats.t.ppf(share, count - 1) / stats.norm.ppf(share) * sqrt(count / (count - 1))
    low, high = np.quantile(means, (1 - share, share))
    return Interval(
        middle, middle - widening * (middle - float(low)), middle + widening * (float(high) - middle)
    )
