"""A burst: ten times the load for a while, the same arrivals for all sides."""

from loadtests.arrivals import spike
from loadtests.client.target import Target
from loadtests.compare.cases import Case
from loadtests.compare.load import Load
from loadtests.compare.session import Session, cost
from loadtests.servers import Server

CALM = 0.15  # of the smallest capacity; the spike is half as much again as that
FACTOR = 10
AFTER = 3  # times as long as the calm before
PREFERRED = "sentences/http"


def measure(session: Session, target: Target, server: Server | None, number: int) -> None:
    """One burst on one side."""
    session.run(_load(session, number, CALM * min(session.capacities(case_of(session)))), target, server)


def case_of(session: Session) -> Case:
    """The one that takes real work, where it is among those asked for."""
    cases = {case.name: case for case in session.options.cases}
    return cases.get(PREFERRED) or next(iter(cases.values()))


def _load(session: Session, number: int, rate: float) -> Load:
    options = session.options
    calm, long = options.calm, options.spike
    profile = spike(rate, FACTOR, calm, long, calm + long + AFTER * calm)
    return Load(
        "burst",
        case_of(session),
        number,
        profile.duration,
        profile=profile,
        rate=rate,
        warm_up=options.warm_up,
        arrivals=options.arrivals,
        processes=options.processes,
    )


def expected(session: Session) -> float:
    """Seconds."""
    return session.options.rounds * len(session.sides) * cost(_load(session, 0, 1))
