"""What a window of evidence says of one metric, as e-values against two hypotheses. Pure.

*fine*: the new version isn't worse. Evidence against it is for a rollback. *bad*: it is worse by the
margin or more. Evidence against that is for a promotion.

What is bet may rest on the windows before (`past`), and on how many errors there are of both versions
together, never on how they lie: so no bet can know its outcome.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from serve_app.config import Metric
from serve_app.releases.rollout.evalues import conditional, projected, single
from serve_app.releases.rollout.evidence import PER_DOUBLING, Evidence, edge, over, quantile

QUANTILES = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}
# A rate that nothing is known of is taken for 1 %, as if 50 requests had said so.
_BEFORE = 0.5, 50.0
_SEEN_BEYOND = 5  # so many slow ones before a quantile is called known
# Where a tail begins: so many times as many requests take longer than that as than the quantile.
_TAIL = 5
_SIGN = 0.8  # of looks at which a worse version is above the other one: what is bet on


@dataclass(frozen=True, slots=True)
class Bet:
    """Logarithms of e-values: against "it is fine", and against "it is bad". `tail`: another one against
    "it is fine", of a latency where its tail begins.
    """

    fine: float
    bad: float
    tail: float | None = None


def bet(metric: Metric, window: Evidence, past: Evidence) -> Bet | None:
    """None where the window says nothing of it."""
    if metric.kind == "errorRate":
        return _errors(metric, window, past)
    if metric.kind == "latency":
        return _latency(metric, window, past)
    return _disagreement(metric, window)


def sign(metric: Metric, canary: float, baseline: float) -> Bet | None:
    """Of one look at a value that each version has: is the new one's worse, is it so by the margin?

    Of a version that is the same, at most half of the looks are worse; of one whose median is worse by
    the margin, at least half of them are so: the sign test, one look after the other. It asks nothing
    of the values but that a look doesn't repeat the one before.
    """
    if not (math.isfinite(canary) and math.isfinite(baseline)):
        return None
    if metric.worse == "lower":
        canary, baseline = -canary, -baseline
    margin = metric.margin if metric.margin is not None else metric.relative_margin or 0.0
    beyond = baseline + margin * (1 if metric.margin is not None else abs(baseline))
    return Bet(single(1, canary > baseline, _SIGN, 0.5), single(1, canary >= beyond, 1 - _SIGN, 0.5))


def tail(metric: Metric) -> float | None:
    """Of a latency: the quantile at which its tail begins; None where that is the metric's own, or the
    tail isn't to be looked at.
    """
    share = QUANTILES[metric.quantile]
    begins = max(0.5, round(1 - _TAIL * (1 - share), 4))
    return begins if metric.tail and begins < share else None


def threshold(metric: Metric, past: Evidence, share: float) -> tuple[int, int] | None:
    """Of a latency: the bucket at which that quantile of the other version was until now, and the one
    that is a margin above it, or just below that: so rounding makes nothing of what is bad look fine.
    """
    if sum(past.baseline.latency.values()) * (1 - share) < _SEEN_BEYOND:
        return None
    at = quantile(past.baseline.latency, share)
    assert at is not None
    if metric.relative_margin is not None:
        factor = 1 + metric.relative_margin
    else:
        factor = 1 + (metric.margin or 0.0) / edge(at)
    return at, math.floor(at + math.log2(factor) * PER_DOUBLING + 1e-9)


def _errors(metric: Metric, window: Evidence, past: Evidence) -> Bet | None:
    n0, k0 = window.baseline.requests, window.baseline.errors
    n1, k1 = window.canary.requests, window.canary.errors
    if not n1:
        return None
    rate = _rate(past.baseline.requests, past.baseline.errors)
    if metric.margin is None:
        more = 1 + (metric.relative_margin or 0.0)
        low = min(rate, 0.9 / more)
        odds = _odds(low, low * more, (n0 + n1, k0 + k1))
        return Bet(conditional(n0, k0, n1, k1, odds), conditional(n0, k0, n1, k1, 1.0, more))
    # Of a version that never fails, an error isn't proof of another one: nothing below a twentieth.
    low = min(max(rate, metric.margin / 20), 1 - metric.margin)
    odds = _odds(low, low + metric.margin, (n0 + n1, k0 + k1))
    fine = conditional(n0, k0, n1, k1, odds)
    return Bet(fine, projected(n0, k0, n1, k1, (rate, rate), metric.margin))


def _latency(metric: Metric, window: Evidence, past: Evidence) -> Bet | None:
    """How many of each version's requests take longer than the other version's quantile; for the
    margin, how many of the new one's take longer than that and the margin. The first of these also where
    the tail begins: whatever makes the slowest requests longer moves more of them past that.
    """
    of0, of1 = window.baseline.latency, window.canary.latency
    found = threshold(metric, past, QUANTILES[metric.quantile])
    if not of0 or not of1 or found is None:
        return None
    begins = tail(metric)
    lower = threshold(metric, past, begins) if begins else None
    return Bet(
        _slower(window, past, *found),
        _not_slower(window, past, *found),
        _slower(window, past, *lower) if lower else None,
    )


def _slower(window: Evidence, past: Evidence, at: int, beyond: int) -> float:
    before = past.baseline.latency
    here, there = _share_over(before, at), _share_over(before, 2 * at - beyond)
    return _between(window, at, at, here, max(there, 1.01 * here))


def _not_slower(window: Evidence, past: Evidence, at: int, beyond: int) -> float:
    before = past.baseline.latency
    here, there = _share_over(before, at), _share_over(before, beyond)
    return _between(window, at, beyond, here, min(there, 0.99 * here))


def _between(window: Evidence, at: int, beyond: int, here: float, there: float) -> float:
    """Against: as many of the new version's are over `beyond` as of the other's over `at`."""
    of0, of1 = window.baseline.latency, window.canary.latency
    n0, n1 = sum(of0.values()), sum(of1.values())
    k0, k1 = over(of0, at), over(of1, beyond)
    return conditional(n0, k0, n1, k1, _odds(here, there, (n0 + n1, k0 + k1)))


def _share_over(latency: Mapping[int, int], at: int) -> float:
    return _rate(sum(latency.values()), over(latency, at))


def _disagreement(metric: Metric, window: Evidence) -> Bet | None:
    n, k = window.canary.compared, window.canary.differed
    if not n:
        return None
    bad = metric.tolerated + (metric.margin or 0.0)
    return Bet(single(n, k, bad, metric.tolerated), single(n, k, metric.tolerated, bad))


def _rate(n: int, k: int) -> float:
    return (k + _BEFORE[0]) / (n + _BEFORE[1])


def _odds(low: float, high: float, together: tuple[int, int]) -> float:
    """The ratio of odds to bet on, where the rates were `low` and would be `high`.

    In a window in which both versions together have far more than that (a dependency is down, say), the
    difference is taken to lie on top of it: else each such minute would cost much of the evidence.
    """
    n, k = together
    above = max(0.0, (k - 2 * math.sqrt(k)) / n - max(low, high))
    low, high = (min(max(rate + above, 1e-9), 1 - 1e-9) for rate in (low, high))
    return high * (1 - low) / (low * (1 - high))
