"""Services that don't exist, and what a new version of them may be worse in."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serve_app.releases.rollout.evidence import PER_DOUBLING, bucket, edge

RATE = 300  # requests per second
STEPS = (5, 10, 20, 30, 50)  # percent
STEP_S = 60
Kind = Literal["same", "outage", "errors", "latency", "answers"]
GOOD: tuple[Kind, ...] = ("same", "outage")
BAD: tuple[Kind, ...] = ("errors", "latency", "answers")
KINDS: tuple[Kind, ...] = (*GOOD, *BAD)
# How much worse the bad ones are, and how many of their answers are.
MORE_ERRORS, SLOWER, MORE_DIFFER = 0.01, 0.2, 0.005
SLOW_SHARE = 0.1  # the slowest requests take so much longer, the others as long as before
BAD_SHARE = {"errors": MORE_ERRORS, "latency": SLOW_SHARE, "answers": MORE_DIFFER}
OUTAGE = 0.05  # errors of both versions while what they ask is down
OUTAGE_S = (15, 60)

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


@dataclass(frozen=True)
class Service:
    """`differs`: the share of answers in which two good versions differ. Times are lognormal, a `tail`
    of them `far` times as long: a cache that missed, a collection of garbage.
    """

    errors: float
    differs: float
    typical_s: float
    spread: float
    tail: float
    far: float

    @classmethod
    def drawn(cls, random: np.random.Generator) -> "Service":
        """One of many: errors of 0.1 to 1 %, medians of 2 to 200 ms."""
        return cls(
            math.exp(random.uniform(math.log(0.001), math.log(0.01))),
            random.uniform(0.0, 0.0005),
            math.exp(random.uniform(math.log(0.002), math.log(0.2))),
            random.uniform(0.2, 0.8),
            random.uniform(0.005, 0.03),
            random.uniform(2, 5),
        )

    def share_below(self, seconds: float) -> float:
        """Of the requests, those that take less."""
        log = (math.log(seconds / self.typical_s)) / self.spread
        return (1 - self.tail) * _normal(log) + self.tail * _normal(
            log - math.log(self.far) / self.spread
        )

    def quantile(self, share: float) -> float:
        """Its inverse."""
        low, high = self.typical_s / 1e3, self.typical_s * 1e3
        for _ in range(60):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if self.share_below(middle) < share else (low, middle)
        return low

    @cached_property
    def first(self) -> int:
        """The lowest bucket of its histograms."""
        return bucket(self.quantile(1e-6))

    @cached_property
    def times(self) -> Shares:
        """The share of its requests in each bucket of a histogram."""
        return self._shares([self.share_below(edge(at)) for at in self._edges])

    @cached_property
    def slow_times(self) -> Shares:
        """The same, where the slowest take longer."""
        start = self.quantile(1 - SLOW_SHARE)
        below = []
        for at in self._edges:
            seconds = edge(at)
            slowed = self.share_below(seconds / (1 + SLOWER))
            below.append(self.share_below(seconds) if seconds < start else max(slowed, 1 - SLOW_SHARE))
        return self._shares(below)

    @property
    def _edges(self) -> range:
        last = bucket(self.quantile(1 - 1e-6)) + math.ceil(math.log2(1 + SLOWER) * PER_DOUBLING)
        return range(self.first, last + 2)

    def _shares(self, below: list[float]) -> Shares:
        below[0], below[-1] = 0.0, 1.0
        return np.maximum(np.diff(below), 0)


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))


@dataclass(frozen=True)
class Traffic:
    """What a service and a new version of it do with requests."""

    service: Service
    kind: Kind
    random: np.random.Generator

    def requests(self, seconds: float, weight: float) -> tuple[int, int]:
        """Of the new version and the other in that time."""
        total = int(self.random.poisson(RATE * seconds))
        canary = int(self.random.binomial(total, weight / 100))
        return canary, total - canary

    def errors(self, count: int, canary: bool, at: float) -> int:
        """How many of them fail, `at` seconds after the start."""
        share = self.service.errors + MORE_ERRORS * (canary and self.kind == "errors")
        if self.kind == "outage" and OUTAGE_S[0] <= at < OUTAGE_S[1]:
            share += OUTAGE
        return int(self.random.binomial(count, share))

    def times(self, count: int, canary: bool) -> Counts:
        """A histogram of how long they take."""
        slow = canary and self.kind == "latency"
        shares = self.service.slow_times if slow else self.service.times
        return self.random.multinomial(count, shares)

    def differ(self, count: int, canary: bool) -> int:
        """How many of their answers differ from the other version's."""
        more = MORE_DIFFER * (canary and self.kind == "answers")
        return int(self.random.binomial(count, self.service.differs + more))


@dataclass(frozen=True)
class Ends:
    """How rollouts ended: after how many seconds, and requests of the new version."""

    back: NDArray[np.bool_]
    seconds: NDArray[np.float64]
    requests: NDArray[np.float64]

    def bad_answers(self, kind: Kind) -> float:
        """That users got from one rollout, on the mean."""
        return float(self.requests.mean()) * BAD_SHARE[kind]
