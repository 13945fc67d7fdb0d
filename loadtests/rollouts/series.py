"""What a Prometheus would show the others of the same rollouts: values for each quarter of a minute.

They are told more than they would know: the share of answers that differ, which none of them measures,
is taken for a metric that somebody exports, and who sets thresholds knows exactly what is normal.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadtests.rollouts.services import STEPS, Traffic

SAMPLE_S = 15
PER_STEP = 4  # samples in a minute
HELD = 52  # samples that there are of each step: Flagger stays on one while checks fail, nine at most
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """By step and sample: requests, errors, differing answers, and the p99 of 1, 2 and 4 samples
    together.

    `of`: of the new version; `base`: of the other one, for the samples of a step's minute alone.
    `normal`: the service's own share of errors, p99 and differing answers.
    """

    requests: Values
    of: dict[str, Values]
    base: dict[str, Values]
    normal: dict[str, float]
    p99: dict[int, Values]  # by how many samples are taken together


def measured(traffic: Traffic) -> Series:
    """Of one rollout."""
    held = np.zeros((len(STEPS), HELD))
    of = {name: held.copy() for name in ("errors", "differ")}
    base = {name: np.zeros((len(STEPS), PER_STEP)) for name in ("errors", "p99", "differ")}
    requests = held.copy()
    times = np.zeros((len(STEPS), HELD, len(traffic.service.times)))
    for step, weight in enumerate(STEPS):
        for sample in range(HELD):
            # By the clock of one that goes on every minute; an outage comes in the first one.
            at = step * PER_STEP * SAMPLE_S + sample * SAMPLE_S
            new, old = traffic.requests(SAMPLE_S, weight)
            errors = traffic.errors(new, True, at)
            requests[step, sample] = new
            of["errors"][step, sample] = errors
            of["differ"][step, sample] = traffic.differ(new - errors, True)
            times[step, sample] = traffic.times(new - errors, True)
            if sample < PER_STEP:
                failed = traffic.errors(old, False, at)
                base["errors"][step, sample] = failed / old
                base["differ"][step, sample] = traffic.differ(old, False) / old
                base["p99"][step, sample] = p99(traffic.times(old - failed, False), traffic)
    service = traffic.service
    normal = {
        "errors": service.errors, "p99": service.quantile(0.99), "differ": service.differs,
    }  # fmt: skip
    quantiles = {
        together: p99(times.reshape(len(STEPS), -1, together, times.shape[-1]).sum(2), traffic)
        for together in (1, 2, 4)
    }
    return Series(requests, of, base, normal, quantiles)


def p99(times: NDArray[np.float64] | NDArray[np.int64], traffic: Traffic) -> Values:
    """By linear interpolation in a bucket, as PromQL's histogram_quantile has it."""
    upto = np.cumsum(times, axis=-1)
    rank = 0.99 * upto[..., -1:]
    at = np.minimum((upto < rank).sum(axis=-1, keepdims=True), times.shape[-1] - 1)
    here = np.take_along_axis(times, at, axis=-1)
    before = np.take_along_axis(upto, at, axis=-1) - here
    part = np.where(here > 0, (rank - before) / np.maximum(here, 1), 0)
    low = 2.0 ** ((at + traffic.service.first) / 32)
    high = 2.0 ** ((at + traffic.service.first + 1) / 32)
    value: Values = (low + (high - low) * part)[..., 0]
    return value
