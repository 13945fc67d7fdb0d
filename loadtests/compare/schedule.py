"""All parts in their order, and how long they will take."""

from functools import partial

from loadtests.client.target import Target
from loadtests.compare.parts import burst, load, models, prepare, start, switch
from loadtests.compare.session import Session, Visit
from loadtests.compare.sides import Side
from loadtests.servers import Server

_VISITED = {"load", "burst", "switch"}  # what takes place in one visit of a round


def everything(session: Session) -> None:
    """Measure; Incomparable when the sides differ. What is measured is in the session's results."""
    options, parts = session.options, set(session.options.parts)
    prepare.measure(session)
    try:
        for number in range(options.rounds if parts & _VISITED else 0):
            for side in session.in_turn(number):
                visit = Visit(side, number, "start", session.config, session.loaded_cases,
                              timed=not session.kept, kept=session.kept)  # fmt: skip
                session.visit(visit, partial(_round, session, side, number))
    finally:
        session.end()
    for number in range(_counted(session), options.starts if "start" in parts else 0):
        start.measure(session, number)
    for number in range(models.rounds(session) if "models" in parts else 0):
        models.measure(session, number)
    session.results.finished = True
    session.save()


def _round(session: Session, side: Side, number: int, target: Target, server: Server | None) -> None:
    """What takes place on one side in one round; the switch at last, for its version stays."""
    parts = session.options.parts
    if "load" in parts:
        load.measure(session, target, server, number)
    if "burst" in parts:
        burst.measure(session, target, server, number)
    if "switch" in parts:
        switch.measure(session, side, target, server, number)


def expected(session: Session) -> float:
    """Seconds that all of it takes, before anything is known of the sides."""
    options, parts = session.options, set(session.options.parts)
    total = prepare.expected(session)
    if parts & _VISITED:
        total += (1 if session.kept else options.rounds) * session.start_cost
    if "start" in parts:
        total += max(0, options.starts - _counted(session)) * session.start_cost
    for name, part in (("load", load), ("burst", burst), ("switch", switch), ("models", models)):
        if name in parts:
            total += part.expected(session)
    return total


def _counted(session: Session) -> int:
    """Starts that other parts bring along."""
    visited = _VISITED & set(session.options.parts) and not session.kept
    return 1 + (session.options.rounds if visited else 0)
