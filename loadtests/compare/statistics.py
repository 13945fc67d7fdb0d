"""From samples to what may be said of them.

The unit is the round: requests of one round share the machine's mood, so a thousand of them are no
thousand measurements. Intervals come from resampling rounds, in pairs, widened for their small number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Literal

import numpy as np

_RESAMPLES = 10_000
_NORMAL = 1.959964  # two-sided 95 %
# Student's t, two-sided 95 %, by degrees of freedom from 1 on; beyond, the last is close enough.
_STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
)  # fmt: skip
Verdict = Literal["lower", "higher", "no difference shown"]


def percentile(samples: np.ndarray, share: float) -> float:
    """The smallest sample that at least `share` of all don't exceed (nearest rank); NaN of none."""
    if not len(samples):
        return float("nan")
    rank = max(int(np.ceil(round(share * len(samples), 9))), 1)
    return float(np.partition(samples, rank - 1)[rank - 1])


@dataclass(frozen=True)
class Interval:
    """An estimate, and where it lies with 95 % confidence."""

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


def compared(ours: Sequence[float], theirs: Sequence[float], seed: int = 7) -> Difference:
    """One figure of each round on both sides, in the order of the rounds; all above 0.

    ValueError with fewer than two rounds, or with unequal numbers of them.
    """
    if len(ours) != len(theirs) or len(ours) < 2:
        raise ValueError(f"two or more rounds of both are needed, got {len(ours)} and {len(theirs)}")
    if min(*ours, *theirs) <= 0:
        raise ValueError("a ratio needs figures above 0")
    logs = np.array([log(a / b) for a, b in zip(ours, theirs, strict=True)])
    gaps = np.array(ours) - np.array(theirs)
    ratio, difference = (_interval(values, seed) for values in (logs, gaps))
    return Difference(
        float(np.mean(ours)),
        float(np.mean(theirs)),
        Interval(*(float(np.exp(value)) for value in (ratio.middle, ratio.low, ratio.high))),
        difference,
        len(ours),
    )


def _interval(values: np.ndarray, seed: int) -> Interval:
    """Mean and 95 % interval of a mean over rounds.

    Resampled quantiles alone are too narrow for few rounds: their variance lacks n / (n - 1), and
    their tails are the normal distribution's where Student's belong.
    """
    count, middle = len(values), float(values.mean())
    chance = np.random.default_rng(seed)
    means = values[chance.integers(0, count, (_RESAMPLES, count))].mean(1)
    student = _STUDENT[min(count - 1, len(_STUDENT)) - 1]
    widening = student / _NORMAL * sqrt(count / (count - 1))
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(
        middle, middle - widening * (middle - float(low)), middle + widening * (float(high) - middle)
    )
