"""The rules of Flagger and Argo Rollouts: values that are looked at now and then, and thresholds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadtests.rollouts.series import PER_STEP, SAMPLE_S, Series
from loadtests.rollouts.services import MORE_DIFFER, MORE_ERRORS, SLOWER, STEPS, End


@dataclass(frozen=True)
class Limits:
    """`together`: samples in an interval. `part`: how much of a regression of the size that is to be
    found is allowed on top of what is normal: 1 is all of it.
    """

    together: int
    part: float

    def failed(self, series: Series) -> NDArray[np.bool_]:
        """By metric, step and interval: whether the new version's value is above its threshold."""
        requests = self._sum(series.requests)
        normal = series.normal
        return np.stack(
            (
                self._sum(series.of["errors"]) / requests > normal["errors"] + self.part * MORE_ERRORS,
                series.p99[self.together] > normal["p99"] * (1 + self.part * SLOWER),
                self._sum(series.of["differ"]) / requests > normal["differ"] + self.part * MORE_DIFFER,
            )
        )

    def requests(self, series: Series) -> NDArray[np.float64]:
        """By step and interval."""
        return self._sum(series.requests)

    def _sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        summed: NDArray[np.float64] = values.reshape(len(STEPS), -1, self.together).sum(axis=2)
        return summed

    @property
    def seconds(self) -> int:
        """Of an interval."""
        return self.together * SAMPLE_S


@dataclass(frozen=True)
class Flagger:
    """`thresholdRange` of each metric; the weight grows by a step after checks that didn't fail, and the
    rollout ends after `threshold` failed ones in all (docs.flagger.app, "How it works" and "Metrics
    Analysis": rollback after interval x threshold).
    """

    limits: Limits
    threshold: int

    def __str__(self) -> str:
        return (
            f"interval {self.limits.seconds} s, threshold {self.threshold}, "
            f"thresholdRange normal + {self.limits.part:g} of the regression"
        )

    def run(self, series: Series) -> End:
        """As a controller would."""
        failed = np.logical_or.reduce(self.limits.failed(series))
        requests = self.limits.requests(series)
        checks = failures = 0
        served = 0.0
        for step in range(len(STEPS)):
            passed = at = 0
            while passed < PER_STEP // self.limits.together:
                served += requests[step, at]
                checks += 1
                if failed[step, at]:
                    failures += 1
                    if failures >= self.threshold:
                        return End(True, checks * self.limits.seconds, int(served))
                else:
                    passed += 1
                at += 1
        return End(False, checks * self.limits.seconds, int(served))


@dataclass(frozen=True)
class Argo:
    """A background analysis: each metric is measured every interval while the steps go on by the clock;
    one that failed more often than `failureLimit` aborts (argo-rollouts.readthedocs.io: Analysis &
    Progressive Delivery, Failure Conditions and Failure Limit).
    """

    limits: Limits
    failure_limit: int

    def __str__(self) -> str:
        return (
            f"interval {self.limits.seconds} s, failureLimit {self.failure_limit}, "
            f"successCondition below normal + {self.limits.part:g} of the regression"
        )

    def run(self, series: Series) -> End:
        """As a controller would."""
        each = PER_STEP // self.limits.together
        failed = self.limits.failed(series)[:, :, :each].reshape(3, -1)
        served = np.cumsum(self.limits.requests(series)[:, :each])
        over = (np.cumsum(failed, axis=1) > self.failure_limit).any(axis=0)
        at = int(over.argmax()) if over.any() else len(served) - 1
        return End(bool(over.any()), (at + 1) * self.limits.seconds, int(served[at]))
