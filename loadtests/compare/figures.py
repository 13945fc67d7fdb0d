"""Figures of runs: what every table, plot and verdict is made of."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from loadtests.compare.options import Slo
from loadtests.compare.results import Results, Run

QUANTILES = (0.5, 0.95, 0.99, 0.999)
_KEPT_UP = 0.95  # answering less of what comes, or so much later, is not keeping up
_LATE_S = 0.005  # a client that is so late for every tenth arrival measures itself
_BUSY = 0.95  # cores of one client process
_SOME = 0.2  # of a side's runs


def quantile(values: np.ndarray, share: float) -> float:
    """Of latencies in seconds, the failed ones being infinite: a value that occurred."""
    if not len(values):
        return math.nan
    at = max(0, math.ceil(share * len(values) - 1e-9) - 1)
    return float(np.partition(values, at)[at])


def pooled(runs: Iterable[Run]) -> np.ndarray:
    """All their latencies."""
    found = [run.latencies for run in runs]
    return np.concatenate(found) if found else np.zeros(0)


def saturated(run: Run) -> bool:
    """Whether the client was, so that its own slowness is in the figures."""
    return quantile(run.late, 0.9) > _LATE_S or run.client_cpu > _BUSY


def often(spoilt: int, runs: int) -> bool:
    """Whether a saturated client spoilt so many runs that what is left says nothing."""
    return spoilt > _SOME * runs


def good(run: Run, slo: Slo) -> float:
    """Goodput: answers inside the SLO's time, per second."""
    return float((run.latencies <= slo.seconds).sum() / run.seconds)


def meets(run: Run, slo: Slo) -> bool:
    """Whether the side kept up, inside the SLO.

    With what came: in a second of Poisson arrivals that is a tenth more or less than the rate.
    """
    latencies = run.latencies
    if not len(latencies) or quantile(latencies, slo.quantile) > slo.seconds:
        return False
    answered = latencies < math.inf
    over = float((run.due + latencies)[answered].max()) - run.seconds
    late = max(slo.seconds, run.seconds * (1 / _KEPT_UP - 1))
    return bool(answered.mean() >= _KEPT_UP and over <= late)


@dataclass(frozen=True)
class Reach:
    """The highest rate inside an SLO. `least`: it may be higher; `client`: because of the client."""

    rate: float
    least: bool = False
    client: bool = False


def reach(runs: Sequence[Run], slo: Slo) -> Reach:
    """Of the runs of one round: between the last rate that met the SLO and the first that didn't.

    There it is where the latency, on a straight line over the logarithms of both, crosses the SLO.
    """
    ordered = sorted(runs, key=lambda run: run.rate)
    for at, run in enumerate(ordered):
        if meets(run, slo):
            continue
        if at == 0:
            return Reach(0, client=saturated(run))
        before = ordered[at - 1]
        if saturated(run):
            return Reach(before.rate, least=True, client=True)
        low, high = (quantile(one.latencies, slo.quantile) for one in (before, run))
        if not high > slo.seconds or math.isinf(high):  # it failed requests, or didn't keep up
            return Reach(before.rate)
        share = math.log(slo.seconds / low) / math.log(high / low)
        return Reach(before.rate * (run.rate / before.rate) ** share)
    return Reach(ordered[-1].rate, least=True) if ordered else Reach(0)


def rounds_of(runs: Iterable[Run]) -> dict[int, list[Run]]:
    """By round."""
    found: dict[int, list[Run]] = {}
    for run in runs:
        found.setdefault(run.round, []).append(run)
    return found


def capacity(results: Results, case: str, side: str) -> float:
    """Answers per second in a closed loop."""
    rates = [run.achieved for run in results.of("capacity", case, side)]
    return median(rates) if rates else math.nan


def moderate(results: Results, case: str) -> float:
    """The highest of the rates that is no more than half of the smallest capacity."""
    rates = sorted({run.rate for run in results.of("load", case)})
    limit = min(capacity(results, case, side) for side in results.sides) / 2
    return max((rate for rate in rates if rate <= limit), default=rates[0] if rates else 0)


def cpu_per_1000(run: Run) -> float | None:
    """CPU seconds of the server, its warm-up's requests counted as well as its others."""
    answered = len(run.latency_us) - run.failed
    if run.server_cpu is None or not answered:
        return None
    asked = len(run.late_us) or answered
    return run.server_cpu / (answered + max(0, asked - len(run.latency_us))) * 1000
