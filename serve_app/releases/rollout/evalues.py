"""E-values: numbers whose mean is at most 1 as long as a hypothesis holds, whatever else is unknown.

Their product over windows of time, one after the other, is then a nonnegative supermartingale, and by
Ville's inequality it ever reaches 1/a with probability a at most: one may look at every moment (Ramdas,
Grünwald, Vovk, Shafer: Game-theoretic statistics and safe anytime-valid inference, 2023). Each function
gives the natural logarithm of one window's.
"""

import math

import numpy as np

_TINY = 1e-12
_FEW, _MOST = 64, 1e300  # terms that are added one by one, and a sum that is near its end


def conditional(n0: int, k0: int, n1: int, k1: int, odds: float, null: float = 1.0) -> float:
    """Two versions side by side: `k0` of `n0` requests against `k1` of `n1`.

    Given how many there are in all, the share of the second version has Fisher's noncentral
    hypergeometric distribution, whose only parameter is the ratio of the odds: how high both rates are,
    and that they move together, cancels out. Hypothesis: the ratio is at most `null` (at least, where
    `odds` lies below). With `null` 1 the hypergeometric distribution is that of requests that were given
    to either at random, so it needs no more than that. The sequential form with time effects: Lindon
    and Malek, Anytime-valid inference for multinomial count data, 2022; for one 2x2 table it is Wald's
    double dichotomy, 1947.
    """
    total = k0 + k1
    low, high = max(0, total - n0), min(total, n1)
    if low == high:
        return 0.0
    likely = (k1 - low) * math.log(odds / null)
    return likely - _log_ratio(n0, n1, total, low, high, odds, null)


def projected(
    n0: int, k0: int, n1: int, k1: int, alternative: tuple[float, float], margin: float
) -> float:
    """The same two, for a difference. Hypothesis: the second version's rate is higher by `margin` or
    more.

    The likelihood of `alternative` (both rates) over that of the nearest pair for which the hypothesis
    holds, nearest by Kullback and Leibler: Turner, Ly and Grünwald, Generic e-variables for exact
    sequential k-sample tests, 2024; for convex hypotheses such as this, Turner and Grünwald, Exact
    anytime-valid confidence intervals for contingency tables and beyond, 2023. Rates may change within
    the window: what has to hold is said of their means.
    """
    if not n1 or alternative[1] >= alternative[0] + margin:
        return 0.0
    p0, p1 = (min(max(rate, _TINY), 1 - _TINY) for rate in alternative)
    q0 = _nearest(n0, n1, p0, p1, margin)
    return _gain(n0, k0, p0, q0) + _gain(n1, k1, p1, q0 + margin)


def single(n: int, k: int, rate: float, null: float) -> float:
    """One version: `k` of `n`. Hypothesis: the rate is at most `null` (at least, where `rate` lies
    below).

    A likelihood ratio, as in Wald's sequential test of 1945.
    """
    return _gain(n, k, rate, null)


def _gain(n: int, k: int, rate: float, null: float) -> float:
    return k * math.log(rate / null) + (n - k) * math.log((1 - rate) / (1 - null)) if n else 0.0


def _nearest(n0: int, n1: int, p0: float, p1: float, margin: float) -> float:
    """The first rate of the pair on the hypothesis' edge that is nearest to (p0, p1), by bisection."""
    low, high = max(_TINY, p1 - margin), min(p0, 1 - margin - _TINY)
    for _ in range(50):
        q0 = (low + high) / 2
        q1 = q0 + margin
        if n0 * (q0 - p0) / (q0 * (1 - q0)) + n1 * (q1 - p1) / (q1 * (1 - q1)) > 0:
            high = q0
        else:
            low = q0
    return (low + high) / 2


def _log_ratio(n0: int, n1: int, total: int, low: int, high: int, odds: float, null: float) -> float:
    """Of two sums over what the second version's count can be, of the ways to get it times `odds`, or
    `null`, to its power: the logarithm of their ratio. Both begin with 1, at `low`.
    """
    if high - low <= _FEW:
        one = other = sum_one = sum_other = 1.0
        for at in range(low, high):
            way = (n1 - at) * (total - at) / ((at + 1) * (n0 - total + at + 1))
            one *= way * odds
            other *= way * null
            sum_one += one
            sum_other += other
        if sum_one < _MOST and sum_other < _MOST:
            return math.log(sum_one / sum_other)
    each = np.arange(low, high, dtype=float)
    ways = np.log((n1 - each) * (total - each) / ((each + 1) * (n0 - total + each + 1)))
    logs = np.concatenate(([0.0], np.cumsum(ways)))
    steps = np.arange(high - low + 1)
    return _log_sum(logs + steps * math.log(odds)) - _log_sum(logs + steps * math.log(null))


def _log_sum(logs: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    most = logs.max()
    return float(most + math.log(np.exp(logs - most).sum()))
