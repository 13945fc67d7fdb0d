"""What a Prometheus would show the others of the same rollouts: values for each quarter of a minute.

They are told more than they would know: the share of answers that differ, which none of them measures,
is taken for a metric that somebody exports. What is normal is known in two ways: exactly, as nobody
knows it, and as of the week before, from which it has moved a little.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from loadtests.rollouts.services import STEPS, Traffic
from serve_app.releases.rollout.evidence import PER_DOUBLING

SAMPLE_S = 15
PER_STEP = 4  # samples in a minute
HELD = 52  # samples that there are of each step: Flagger stays on one while checks fail, nine at most
TODAY, LAST_WEEK = 0, 1
QUANTILES = (0.99, 0.95)
P99, P95 = 0, 1
# Within a week, as standard deviations of a logarithm: of errors, p99, differing answers and p95.
MOVED = np.array([0.2, 0.1, 0.2, 0.1])
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Series:
    """Of rollouts, the first axis; then by step and sample.

    `counts`: requests, errors and differing answers of the new version; `slow`: its quantiles, of 1, 2
    and 4 samples together. `beside`: errors, p99, differing answers and p95 of the new version and of
    the other one, for a minute of each step. `normal`: the four of the service, today's and last week's.
    """

    counts: Values  # rollout, 3, step, sample
    slow_1: Values  # rollout, quantile, step, sample
    slow_2: Values
    slow_4: Values
    beside: Values  # rollout, version, 4, step, sample
    normal: Values  # rollout, when, 4

    def slow(self, together: int, quantile: int) -> Values:
        """A quantile of so many samples together."""
        values: Values = {1: self.slow_1, 2: self.slow_2, 4: self.slow_4}[together][:, quantile]
        return values


def rows(quantile: int) -> list[int]:
    """Of `beside` and `normal`: errors, that quantile and differing answers."""
    return [0, (1, 3)[quantile], 2]


def joined(several: list[Series]) -> Series:
    """All of their rollouts."""
    names = [field.name for field in fields(Series)]
    return Series(*(np.concatenate([getattr(one, name) for one in several]) for name in names))


def measured(traffic: Traffic) -> Series:
    """Of one rollout."""
    counts = np.zeros((3, len(STEPS), HELD))
    beside = np.zeros((2, 4, len(STEPS), PER_STEP))
    times = np.zeros((len(STEPS), HELD, len(traffic.service.times)))
    for step, weight in enumerate(STEPS):
        for sample in range(HELD):
            # By the clock of one that goes on every minute; an outage comes in the first one.
            at = (step * PER_STEP + sample) * SAMPLE_S
            new, old = traffic.requests(SAMPLE_S, weight)
            errors = traffic.errors(new, True, at)
            times[step, sample] = traffic.times(new - errors, True)
            counts[:, step, sample] = new, errors, traffic.differ(new - errors, True)
            if sample < PER_STEP:
                failed = traffic.errors(old, False, at)
                p99, p95 = quantiles(traffic.times(old - failed, False), traffic)
                beside[1, :, step, sample] = (
                    failed / old, float(p99), traffic.differ(old - failed, False) / old, float(p95),
                )  # fmt: skip
    one, two, four = (
        quantiles(times.reshape(len(STEPS), -1, together, times.shape[-1]).sum(2), traffic)
        for together in (1, 2, 4)
    )
    shares = counts[1:, :, :PER_STEP] / counts[0, :, :PER_STEP]
    beside[0] = shares[0], one[P99, :, :PER_STEP], shares[1], one[P95, :, :PER_STEP]
    service = traffic.service
    p99, p95 = (service.quantile(share) for share in QUANTILES)
    today = np.array([service.errors, p99, service.differs, p95])
    last_week = today * traffic.random.lognormal(0, MOVED)
    normal = np.stack((today, last_week))
    return Series(*(values[None] for values in (counts, one, two, four, beside, normal)))


def quantiles(times: Values | NDArray[np.int64], traffic: Traffic) -> Values:
    """By linear interpolation in a bucket, as PromQL's histogram_quantile has it."""
    return np.stack([_quantile(times, traffic, share) for share in QUANTILES])


def _quantile(times: Values | NDArray[np.int64], traffic: Traffic, share: float) -> Values:
    upto = np.cumsum(times, axis=-1)
    rank = share * upto[..., -1:]
    at = np.minimum((upto < rank).sum(axis=-1, keepdims=True), times.shape[-1] - 1)
    here = np.take_along_axis(times, at, axis=-1)
    before = np.take_along_axis(upto, at, axis=-1) - here
    part = np.where(here > 0, (rank - before) / np.maximum(here, 1), 0)
    low = 2.0 ** ((at + traffic.service.first) / PER_DOUBLING)
    high = 2.0 ** ((at + traffic.service.first + 1) / PER_DOUBLING)
    value: Values = (low + (high - low) * part)[..., 0]
    return value
