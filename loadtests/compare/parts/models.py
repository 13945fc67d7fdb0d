"""Many models in one server: what each costs in memory, and what they do to the latency."""

from loadtests.arrivals import constant
from loadtests.client.target import Target
from loadtests.compare.cases import CASES, copies, spread
from loadtests.compare.load import Load
from loadtests.compare.session import SWITCHED, Session, Visit, cost
from loadtests.compare.sides import Side, configured
from loadtests.servers import Server

CASE = CASES[f"{SWITCHED}/http"]
SHARE = 0.3  # of the smallest capacity, spread over all models
MOST_ROUNDS = 3  # every one starts every side as often as there are counts


def measure(session: Session, number: int) -> None:
    """One round over all sides and counts."""
    for count in session.options.counts:
        for side in session.in_turn(number):
            if side.kind:
                _measure(session, side, number, count)


def _measure(session: Session, side: Side, number: int, count: int) -> None:
    case = spread(CASE, count)
    names = {SWITCHED: copies(SWITCHED, count)}
    config = configured(session.options.config, [SWITCHED], names, dict.fromkeys(names[SWITCHED], "1"))
    rate = SHARE * min(session.capacities(CASE))

    def work(target: Target, server: Server | None) -> None:
        session.checks.answers.check(target, case.requests, case.name)
        run = session.run(_load(session, count, number, rate), target, server)
        run.count = count

    session.visit(Visit(side, number, "models", config, [case], timed=False), work)


def _load(session: Session, count: int, number: int, rate: float) -> Load:
    options = session.options
    return Load(
        "models",
        spread(CASE, count),
        number,
        options.seconds,
        profile=constant(rate, options.seconds),
        rate=rate,
        warm_up=options.warm_up,
        arrivals=options.arrivals,
        processes=options.processes,
    )


def rounds(session: Session) -> int:
    return min(MOST_ROUNDS, session.options.rounds)


def expected(session: Session) -> float:
    """Seconds: every model takes about one to load."""
    own = sum(1 for side in session.sides if side.kind)
    counts = session.options.counts
    runs = own * (len(counts) * cost(_load(session, 1, 0, 1)) + sum(counts))
    return rounds(session) * (len(counts) * session.start_cost + runs)
