"""From the start of a process to the first right answer."""

from loadtests.compare.session import Session, Visit


def measure(session: Session, number: int) -> None:
    """Start every side once more, for nothing else."""
    for side in session.in_turn(number):
        if side.kind:
            visit = Visit(side, number, "start", session.config, session.loaded_cases)
            session.visit(visit, lambda target, server: None)
