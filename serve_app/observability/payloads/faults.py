"""How sending fails. Any error that isn't one of these, nor `is_broken`: try again later."""

from collections.abc import Set

TRIES = 10  # half a minute: of an event that the sink fails at, by its answer
# Ten minutes: of one at which it answers that it is busy or away, or doesn't answer.
TRIES_AWAY = 120


class Refused(Exception):
    """The sink has it, and won't take it."""


class Later(ConnectionError):
    """The sink is there, and hasn't taken it; after so many `tries` it is refused."""

    def __init__(self, text: str, tries: int) -> None:
        super().__init__(text)
        self.tries = tries


class Cut(Later):
    """It closed the connection, or didn't answer in time: which may be this event's fault alone."""


class Partly(ConnectionError):
    """Of several events, by their places: these are `refused`, and these are `left` to be sent again."""

    def __init__(self, text: str, refused: Set[int], left: Set[int]) -> None:
        super().__init__(text)
        self.refused, self.left = refused, left


def is_broken(error: Exception) -> bool:
    """Whether an event can't be written down. Errors of certificates are ValueErrors, and OSErrors."""
    kinds = (TypeError, ValueError, ArithmeticError, RecursionError)
    return isinstance(error, kinds) and not isinstance(error, OSError)
