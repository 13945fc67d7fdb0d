"""The rules of Flagger and Argo Rollouts: values that are looked at now and then, and thresholds."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from loadtests.rollouts.series import P99, PER_STEP, QUANTILES, SAMPLE_S, TODAY, Series, Values, rows
from loadtests.rollouts.services import MORE_DIFFER, MORE_ERRORS, SLOWER, STEPS, Ends

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Limits:
    """`together`: samples in an interval. How much of a regression of the size that is to be found is
    allowed on top of what is normal, of `shares` and of `times`: 1 is all of it. `known`: as of when
    that is known. `quantile`: which one is looked at.
    """

    together: int
    shares: float
    times: float
    known: int = TODAY
    quantile: int = P99

    def __str__(self) -> str:
        return (
            f"interval {self.seconds} s, thresholds at normal + {self.shares:g} of the regression for "
            f"shares, {self.times:g} of it for the p{100 * QUANTILES[self.quantile]:g}"
        )

    def failed(self, series: Series) -> Flags:
        """By metric, rollout, step and interval: whether the new version's value is too high."""
        errors, slow, differ = excess(series, self.together, self.known, self.quantile)
        return np.stack((errors > self.shares, slow > self.times, differ > self.shares))

    def requests(self, series: Series) -> Values:
        """Of the new version, by rollout, step and interval."""
        return summed(series.counts[:, 0], self.together)

    @property
    def each(self) -> int:
        """How many intervals a step takes."""
        return PER_STEP // self.together

    @property
    def seconds(self) -> int:
        """Of an interval."""
        return self.together * SAMPLE_S


@dataclass(frozen=True)
class Flagger:
    """`thresholdRange` of each metric; the weight grows by a step after checks that didn't fail, and the
    rollout ends after `threshold` failed ones in all (docs.flagger.app: How it works, Metrics Analysis:
    rollback after interval x threshold).
    """

    limits: Limits
    threshold: int

    def __str__(self) -> str:
        return f"threshold {self.threshold}, {self.limits}"

    def run(self, series: Series) -> Ends:
        """As a controller would."""
        failed = np.logical_or.reduce(self.limits.failed(series))
        requests = self.limits.requests(series)
        count = len(requests)
        checks, failures, served = np.zeros(count), np.zeros(count, int), np.zeros(count)
        back = np.zeros(count, bool)
        for step in range(len(STEPS)):
            passed = np.zeros(count, int)
            for at in range(self.limits.each + self.threshold - 1):
                here = ~back & (passed < self.limits.each)
                checks += here
                served += here * requests[:, step, at]
                bad = here & failed[:, step, at]
                failures += bad
                passed += here & ~bad
                back |= failures >= self.threshold
        return Ends(back, checks * self.limits.seconds, served)


@dataclass(frozen=True)
class Argo:
    """A background analysis: each metric is measured every interval while the steps go on by the clock;
    one that failed more often than `failureLimit` aborts (argo-rollouts.readthedocs.io: Analysis &
    Progressive Delivery, Failure Conditions and Failure Limit).
    """

    limits: Limits
    failure_limit: int

    def __str__(self) -> str:
        return f"failureLimit {self.failure_limit}, {self.limits}"

    def run(self, series: Series) -> Ends:
        """As a controller would."""
        each = self.limits.each
        failed = self.limits.failed(series)[..., :each].reshape(3, len(series.counts), -1)
        over = np.logical_or.reduce(np.cumsum(failed, axis=2) > self.failure_limit)
        back = over.any(axis=1)
        at = np.where(back, over.argmax(axis=1), over.shape[1] - 1)
        requests = self.limits.requests(series)[..., :each].reshape(len(at), -1)
        served = np.take_along_axis(np.cumsum(requests, axis=1), at[:, None], axis=1)[:, 0]
        return Ends(back, (at + 1.0) * self.limits.seconds, served)


@lru_cache(maxsize=64)
def excess(series: Series, together: int, known: int, quantile: int) -> tuple[Values, Values, Values]:
    """How far errors, a quantile and differing answers are above what is normal: 1 is the regression."""
    requests, errors, differ = (summed(series.counts[:, row], together) for row in range(3))
    normal = series.normal[:, known, rows(quantile), None, None]
    return (
        (errors / requests - normal[:, 0]) / MORE_ERRORS,
        (series.slow(together, quantile) / normal[:, 1] - 1) / SLOWER,
        (differ / requests - normal[:, 2]) / MORE_DIFFER,
    )


def summed(values: Values, together: int) -> Values:
    """So many samples together."""
    made: Values = values.reshape(*values.shape[:-1], -1, together).sum(axis=-1)
    return made
