"""Before the first round: every side is looked at, and asked as fast as it answers."""

from functools import partial

from loadtests.client.target import Target
from loadtests.compare.cases import Case
from loadtests.compare.checks import Incomparable
from loadtests.compare.load import Load
from loadtests.compare.session import Session, SideDied, Visit, cost
from loadtests.servers import Server

CLOSED = 32  # connections of the closed loop
_TRIES = 3
_LEAST_S = 1.5  # all rates follow from it


def measure(session: Session) -> None:
    """Equal metadata and answers, and capacities; Incomparable when the sides differ, or one fails."""
    for side in session.sides:
        before = len(session.results.events)
        visit = Visit(side, -1, "preparation", session.config, session.loaded_cases)
        session.visit(visit, partial(_look, session))
        if len(session.results.events) > before:
            raise Incomparable(f"{side.name} can't be measured: {session.results.events[-1].what}")
    session.results.checks = session.checks.passed()
    session.save()


def _look(session: Session, target: Target, server: Server | None) -> None:
    session.checks.look(target)
    for case in session.loaded_cases:
        _capacity(session, capacity(session, case, -1, _LEAST_S), target, server)


def _capacity(session: Session, load: Load, target: Target, server: Server | None) -> None:
    """A machine that stalls for as long as the loop lasts leaves nothing in it: then once more."""
    for _ in range(_TRIES):
        if session.run(load, target, server).achieved:
            return
        session.results.runs.pop()
    text = f"{load.case.title}: no request was sent and answered in {load.seconds:g} s"
    session.event(target.name, load.round, load.part, text)
    raise SideDied


def capacity(session: Session, case: Case, number: int, least: float = 0) -> Load:
    """A closed loop, of so many seconds at least."""
    options = session.options
    return Load(
        "capacity", case, number, max(options.seconds, least), connections=CLOSED,
        warm_up=options.warm_up, processes=options.processes,
    )  # fmt: skip


def expected(session: Session) -> float:
    """Seconds."""
    runs = sum(cost(capacity(session, case, -1, _LEAST_S)) for case in session.loaded_cases)
    return len(session.sides) * runs + session.start_cost
