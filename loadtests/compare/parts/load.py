"""Capacity, then latency against throughput: open loops at the same rates for all, up to saturation."""

import numpy as np

from loadtests.arrivals import constant
from loadtests.client.target import Target
from loadtests.compare.cases import Case
from loadtests.compare.load import Load
from loadtests.compare.parts.prepare import capacity
from loadtests.compare.session import Session, cost
from loadtests.servers import Server

LEAST, MOST = 0.25, 1.15  # of the smallest and of the largest capacity
_KEPT_UP = 0.85  # who answers less of what comes is saturated
_ENOUGH = 100  # requests that a step should have
_LONGER = 4  # times as long as others it may take for them
_FAR_OUT = 4  # times the SLO: higher rates show nothing new
_UNKNOWN = 1000.0  # answers per second


def measure(session: Session, target: Target, server: Server | None, number: int) -> None:
    """All cases of one round on one side."""
    for case in session.options.cases:
        session.run(capacity(session, case, number), target, server)
        rates = rates_of(session, case)
        for at, rate in enumerate(rates):
            load = _load(session, case, number, rate)
            run = session.run(load, target, server)
            slo = session.options.slo(case.name)
            slow = (
                float(np.quantile(run.latencies, slo.quantile, method="inverted_cdf"))
                if run.due_us
                else 0
            )
            came = len(run.latency_us) / load.seconds
            if run.achieved < _KEPT_UP * came or slow > _FAR_OUT * slo.seconds:
                session.steps.done(sum(cost(_load(session, case, number, r)) for r in rates[at + 1 :]))
                break


def rates_of(session: Session, case: Case) -> list[float]:
    """Per second, evenly spaced on a logarithmic axis; before the preparation as if of quick models."""
    capacities = session.capacities(case) or [_UNKNOWN]
    low, high = LEAST * min(capacities), MOST * max(capacities)
    return [float(f"{rate:.3g}") for rate in np.geomspace(low, high, session.options.steps)]


def _load(session: Session, case: Case, number: int, rate: float) -> Load:
    options = session.options
    seconds = min(_LONGER * options.seconds, max(options.seconds, _ENOUGH / rate))
    return Load(
        "load",
        case,
        number,
        seconds,
        profile=constant(rate, seconds),
        rate=rate,
        warm_up=options.warm_up,
        arrivals=options.arrivals,
        processes=options.processes,
    )


def expected(session: Session) -> float:
    """Seconds."""
    options = session.options
    rates = {case: rates_of(session, case) for case in options.cases}
    one = sum(cost(_load(session, case, 0, rate)) for case in options.cases for rate in rates[case])
    loops = sum(cost(capacity(session, case, 0)) for case in options.cases)
    return options.rounds * len(session.sides) * (loops + one)
