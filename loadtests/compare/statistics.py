"""From samples to what may be said of them.

The unit is the round: requests of one round share the machine's mood, so a thousand of them are no
thousand measurements. Intervals are Student's, of pairs of rounds.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

Verdict = Literal["lower", "higher", "no difference shown"]


@dataclass(frozen=True)
class Interval:
    """An estimate, and where it lies with the confidence that was asked for."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """`ours` against `theirs`, means over the rounds, and how they differ from round to round.

    `significance` is the p-value of the ratio: with an error below it, its interval holds 1.
    """

    ours: float
    theirs: float
    ratio: Interval
    difference: Interval
    significance: float
    rounds: int

    @property
    def verdict(self) -> Verdict:
        """Of the ratio: on one side of 1 with its whole interval, or nothing that was shown."""
        if self.ratio.high < 1:
            return "lower"
        return "higher" if self.ratio.low > 1 else "no difference shown"


def compared(ours: Sequence[float], theirs: Sequence[float], confidence: float = 0.95) -> Difference:
    """One figure of each round on both sides, in the order of the rounds; all above 0.

    The ratio is geometric, its interval the paired t interval of the logarithms: log(ours / theirs)
    has a mean over n rounds, and t(n - 1) times its standard error on either side of that. The
    difference's is the same of ours - theirs. After Student, The Probable Error of a Mean,
    Biometrika 6 (1908); on ratios, Bland and Altman, BMJ 312 (1996), 1153.

    Who asks several questions of one experiment takes a higher `confidence` for each of them: see
    `level`. ValueError with fewer than two rounds, or with unequal numbers of them.
    """
    if len(ours) != len(theirs) or len(ours) < 2:
        raise ValueError(f"two or more rounds of both are needed, got {len(ours)} and {len(theirs)}")
    if min(*ours, *theirs) <= 0:
        raise ValueError("a ratio needs figures above 0")
    logs, significance = _paired(np.log(ours), np.log(theirs), confidence)
    difference, _ = _paired(np.array(ours), np.array(theirs), confidence)
    return Difference(
        float(np.mean(ours)),
        float(np.mean(theirs)),
        Interval(*np.exp([logs.middle, logs.low, logs.high]).tolist()),
        difference,
        significance,
        len(ours),
    )


def level(significances: Sequence[float], share: float = 0.05) -> float:
    """The error to allow each of several questions, so that of what is shown so small a share is chance.

    Of N questions, k are answered by Benjamini and Hochberg's procedure (J. R. Stat. Soc. B 57, 1995),
    and intervals have the error share * k / N: false coverage rate-adjusted intervals, by Benjamini
    and Yekutieli (J. Am. Stat. Assoc. 100, 2005). An interval then lies beside 1 where its question is
    answered. Where no side differs at all, a difference is shown in `share` of reports.
    """
    if not significances:
        return share
    answered = int((stats.false_discovery_control(significances) <= share).sum())
    return share * max(answered, 1) / len(significances)


def _paired(ours: np.ndarray, theirs: np.ndarray, confidence: float) -> tuple[Interval, float]:
    """The mean difference with its interval, and the p-value of there being none."""
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore")  # every round may say the same
        found: Any = stats.ttest_rel(ours, theirs)
    low, high = found.confidence_interval(confidence)
    middle = float(np.mean(ours - theirs))
    return Interval(middle, float(low), float(high)), float(np.nan_to_num(found.pvalue, nan=1.0))
