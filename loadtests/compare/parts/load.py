"""Latency against throughput: open loops at the same rates for all sides, up to saturation."""

import numpy as np

from loadtests.arrivals import constant
from loadtests.client.target import Target
from loadtests.compare.cases import Case
from loadtests.compare.load import Load
from loadtests.compare.session import Session, cost
from loadtests.servers import Server

LEAST, MOST = 0.15, 1.15  # of the smallest and of the largest capacity
_KEPT_UP = 0.85  # who answers less of what comes is saturated
_FAR_OUT = 4  # times the SLO: higher rates show nothing new
REACHED = 0.8  # of the steps, on average


def measure(session: Session, target: Target, server: Server | None, number: int) -> None:
    """All cases of one round on one side."""
    for case in session.options.cases:
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
            if run.achieved < _KEPT_UP * rate or slow > _FAR_OUT * slo.seconds:
                session.steps.done(sum(cost(_load(session, case, number, r)) for r in rates[at + 1 :]))
                break


def rates_of(session: Session, case: Case) -> list[float]:
    """Per second, evenly spaced on a logarithmic axis."""
    capacities = session.capacities(case)
    low, high = LEAST * min(capacities), MOST * max(capacities)
    return [float(f"{rate:.3g}") for rate in np.geomspace(low, high, session.options.steps)]


def _load(session: Session, case: Case, number: int, rate: float) -> Load:
    options = session.options
    return Load(
        "load",
        case,
        number,
        options.seconds,
        profile=constant(rate, options.seconds),
        rate=rate,
        warm_up=options.warm_up,
        arrivals=options.arrivals,
        processes=options.processes,
    )


def expected(session: Session) -> float:
    """Seconds."""
    options = session.options
    one = cost(_load(session, options.cases[0], 0, 1)) if options.cases else 0
    return options.rounds * len(session.sides) * len(options.cases) * options.steps * one
