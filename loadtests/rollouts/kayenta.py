"""Kayenta's judge: a Mann-Whitney test for each metric, and a score of those that pass."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from loadtests.rollouts.series import PER_STEP, SAMPLE_S, Series
from loadtests.rollouts.services import STEPS, End

# NetflixACAJudge has these two in its code.
TOLERANCE = 0.25
NORMAL_98 = 2.3263478740408408  # of 98 % on both sides
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """Of one rollout, by metric and minute: whether the test says High, and the ratio of the means."""

    high: NDArray[np.bool_]
    ratio: Values
    served: Values


@dataclass(frozen=True)
class Kayenta:
    """`interval`: minutes between two judgements, each of all that there is by then. One with a score
    below `marginal` ends it at once, a last one below `pass_score` at the end. A metric passes unless
    it is High and its mean at least `allowed` times the other's (spinnaker.io: How canary judgment
    works, Add a canary stage; `effectSize.allowedIncrease` in spinnaker/kayenta, docs/canary-config.md).
    """

    interval: int
    marginal: float
    pass_score: float
    allowed: float

    def __str__(self) -> str:
        return (
            f"interval {self.interval} min, marginal {self.marginal:g}, pass {self.pass_score:g}, "
            f"allowedIncrease {self.allowed:g}"
        )

    def run(self, judged: Judged) -> End:
        """As Spinnaker's canary stage would. A ratio that can't be had counts as large."""
        large = ~(judged.ratio < self.allowed)
        score = 100 * (1 - (judged.high & large).mean(axis=0))
        for minute in range(self.interval - 1, len(STEPS), self.interval):
            last = minute + self.interval >= len(STEPS)
            if score[minute] < (self.pass_score if last else self.marginal):
                return End(True, (minute + 1) * 60, int(judged.served[minute]))
        return End(False, len(STEPS) * 60, int(judged.served[-1]))


def judged(series: Series) -> Judged:
    """All tests that any setting asks for: after each minute, over what there is since the start."""
    requests = series.requests[:, :PER_STEP]
    of = {
        "errors": series.of["errors"][:, :PER_STEP] / requests,
        "p99": series.p99[1][:, :PER_STEP],
        "differ": series.of["differ"][:, :PER_STEP] / requests,
    }
    high = np.zeros((3, len(STEPS)), bool)
    ratio = np.zeros((3, len(STEPS)))
    for row, name in enumerate(of):
        new, old = of[name].ravel(), series.base[name].ravel()
        for minute in range(len(STEPS)):
            upto = (minute + 1) * 60 // SAMPLE_S
            high[row, minute], ratio[row, minute] = compared(new[:upto], old[:upto])
    return Judged(high, ratio, np.cumsum(requests.sum(axis=1)))


def compared(experiment: Values, control: Values) -> tuple[bool, float]:
    """Whether the experiment is High: the lower end of the interval for the shift between the two is
    above a quarter of the shift's estimate (MannWhitneyClassifier.scala, direction increase). And the
    ratio of means.
    """
    means = experiment.mean(), control.mean()
    ratio = float(means[0] / means[1]) if means[0] and means[1] else np.nan
    if np.array_equal(np.sort(experiment), np.sort(control)):
        return False, ratio
    estimate = float(np.median(experiment[:, None] - control[None, :]))
    return _z(experiment - TOLERANCE * abs(estimate), control) > NORMAL_98, ratio


def _z(x: Values, y: Values) -> float:
    """The test's normal score with correction for continuity and ties (MannWhitney.scala,
    wilcoxonDiff): it falls as x is shifted, so the interval's end is above a bound where it is above
    the quantile there.
    """
    m, n = len(x), len(y)
    ranks = rankdata(np.concatenate((x, y)))
    shift = float(ranks[:m].sum() - m * (m + 1) / 2 - m * n / 2)
    ties = np.unique(ranks, return_counts=True)[1].astype(float)
    spread = _variance(m, n, float((ties**3 - ties).sum()))
    return (shift - 0.5 * np.sign(shift)) / spread if spread else 0.0


@lru_cache(maxsize=1024)
def _variance(m: int, n: int, ties: float) -> float:
    return float(np.sqrt(m * n / 12 * (m + n + 1 - ties / ((m + n) * (m + n - 1)))))
