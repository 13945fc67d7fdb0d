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

    Who asks several questions of one experiment takes a higher `confidence` for each of them: see
    `level`. ValueError with fewer than two rounds, or with unequal numbers of them.
    """
    logs, gaps = _logs(ours, theirs), np.array(ours) - np.array(theirs)
    ratio, difference = (_Means(values, seed).interval(confidence) for values in (logs, gaps))
    return Difference(
        float(np.mean(ours)),
        float(np.mean(theirs)),
        Interval(*(float(np.exp(value)) for value in (ratio.middle, ratio.low, ratio.high))),
        difference,
        len(ours),
    )


def significance(ours: Sequence[float], theirs: Sequence[float], seed: int = 7) -> float:
    """The smallest error that an interval of the ratio must be allowed for it to lie beside 1."""
    means = _Means(_logs(ours, theirs), seed)
    least, most = -9.0, 0.0  # powers of ten
    for _ in range(20):
        middle = (least + most) / 2
        found = means.interval(1 - 10**middle)
        if found.low > 0 or found.high < 0:
            most = middle
        else:
            least = middle
    return float(10**most)


def level(significances: Sequence[float], share: float = 0.05) -> float:
    """The error to allow each of several questions, so that of what is shown so small a share is chance.

    After Benjamini and Hochberg: of N questions, as many are answered, k, as have a significance
    within share * k / N. Where no side differs at all, this shows a difference in `share` of reports.
    """
    ordered, count = sorted(significances), max(1, len(significances))
    shown = [at for at, one in enumerate(ordered, 1) if one <= share * at / count]
    return share * max(shown, default=1) / count


def _logs(ours: Sequence[float], theirs: Sequence[float]) -> np.ndarray:
    if len(ours) != len(theirs) or len(ours) < 2:
        raise ValueError(f"two or more rounds of both are needed, got {len(ours)} and {len(theirs)}")
    if min(*ours, *theirs) <= 0:
        raise ValueError("a ratio needs figures above 0")
    return np.array([log(a / b) for a, b in zip(ours, theirs, strict=True)])


class _Means:
    """Means of resampled rounds, and intervals of the mean from them.

    Resampled quantiles alone are too narrow for few rounds: their variance lacks n / (n - 1), and
    their tails are the normal distribution's where Student's belong. What they add to Student's own
    interval is the skew of what was measured; so the wider of both is taken, on either side.
    """

    def __init__(self, values: np.ndarray, seed: int) -> None:
        self._count, self._middle = len(values), float(values.mean())
        self._error = float(values.std(ddof=1)) / sqrt(self._count)
        chance = np.random.default_rng(seed)
        drawn = chance.integers(0, self._count, (_RESAMPLES, self._count))
        self._means = np.sort(values[drawn].mean(1))

    def interval(self, confidence: float) -> Interval:
        """Where the mean is, with that confidence."""
        share, count, middle = (1 + confidence) / 2, self._count, self._middle
        student = float(stats.t.ppf(share, count - 1))
        widening = student / float(stats.norm.ppf(share)) * sqrt(count / (count - 1))
        low, high = (float(np.quantile(self._means, part)) for part in (1 - share, share))
        below = max(widening * (middle - low), student * self._error)
        above = max(widening * (high - middle), student * self._error)
        return Interval(middle, middle - below, middle + above)
