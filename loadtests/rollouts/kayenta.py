"""Kayenta's judge: a Mann-Whitney test for each metric, and a score of those that pass."""

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from loadtests.rollouts.series import P99, PER_STEP, QUANTILES, Series, Values, rows
from loadtests.rollouts.services import STEPS, Ends

# NetflixACAJudge has these two in its code.
TOLERANCE = 0.25
NORMAL_98 = 2.3263478740408408  # of 98 % on both sides


@dataclass(frozen=True)
class Judged:
    """By rollout, metric and minute: whether the test says High, and the ratio of the means. By rollout
    and minute: requests of the new version until then.
    """

    high: NDArray[np.bool_]
    ratio: Values
    served: Values


@dataclass(frozen=True)
class Kayenta:
    """`interval`: minutes between two judgements, each of all that there is by then. One with a score
    below `marginal` ends it at once, a last one below `pass_score` at the end. A metric passes unless
    it is High and its mean at least `allowed` times the other's (spinnaker.io: How canary judgment
    works, Add a canary stage; `effectSize.allowedIncrease` in spinnaker/kayenta, docs/canary-config.md).
    `quantile`: which one is among the metrics.
    """

    interval: int
    marginal: float
    pass_score: float
    allowed: float
    quantile: int = P99

    def __str__(self) -> str:
        return (
            f"interval {self.interval} min, marginal {self.marginal:g}, pass {self.pass_score:g}, "
            f"allowedIncrease {self.allowed:g}, "
            f"p{100 * QUANTILES[self.quantile]:g}"
        )

    def run(self, judged: Judged) -> Ends:
        """As Spinnaker's canary stage would. A ratio that can't be had counts as large."""
        looked_at = rows(self.quantile)
        large = ~(judged.ratio[:, looked_at] < self.allowed)
        score = 100 * (1 - (judged.high[:, looked_at] & large).mean(axis=1))
        minutes = np.arange(self.interval - 1, len(STEPS), self.interval)
        needed = np.where(minutes == minutes[-1], self.pass_score, self.marginal)
        below = score[:, minutes] < needed
        back = below.any(axis=1)
        at = np.where(back, minutes[below.argmax(axis=1)], len(STEPS) - 1)
        served = np.take_along_axis(judged.served, at[:, None], axis=1)[:, 0]
        return Ends(back, (at + 1.0) * 60, served)


def judged(series: Series) -> Judged:
    """All tests that any setting asks for: after each minute, over what there is since the start."""
    new, old = (series.beside[:, version].reshape(len(series.counts), 4, -1) for version in (0, 1))
    high = np.zeros((len(new), 4, len(STEPS)), bool)
    ratio = np.zeros(high.shape)
    for rollout, metric, minute in np.ndindex(high.shape):
        upto = (minute + 1) * PER_STEP
        one, other = new[rollout, metric, :upto], old[rollout, metric, :upto]
        high[rollout, metric, minute], ratio[rollout, metric, minute] = compared(one, other)
    requests = series.counts[:, 0, :, :PER_STEP].sum(axis=-1)
    return Judged(high, ratio, np.cumsum(requests, axis=1))


def joined(several: list[Judged]) -> Judged:
    """All of their rollouts."""
    names = [field.name for field in fields(Judged)]
    return Judged(*(np.concatenate([getattr(one, name) for one in several]) for name in names))


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
    spread = _spread(m, n, float((ties**3 - ties).sum()))
    return float((shift - 0.5 * np.sign(shift)) / spread) if spread else 0.0


@lru_cache(maxsize=1024)
def _spread(m: int, n: int, ties: float) -> float:
    return float(np.sqrt(m * n / 12 * (m + n + 1 - ties / ((m + n) * (m + n - 1)))))
