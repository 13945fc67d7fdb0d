"""How much of each kind one request may hold, however few bytes it takes; docs/protocol.md says so.

Every one of these costs a step of Python and some hundred bytes of memory, and two bytes on the wire.
"""

from collections.abc import Sized
from typing import Any

from serve_app.errors import InvalidArgument, shown

MOST_TENSORS = 4096  # inputs, and as many outputs asked for
MOST_PARAMETERS = 1024  # in one place: of the request, of a tensor
MOST_IN_NAME = 1024  # characters of a tensor's, a parameter's or a model's name
MOST_DIMENSIONS = 32
MOST_NESTED = 200  # lists and objects inside each other, where a body is passed on as JSON
MOST_FIELDS = 2**14  # of a protobuf message: what the first two allow, and some


def check_count(things: Sized, most: int, what: str) -> None:
    """InvalidArgument for more than `most`."""
    if len(things) > most:
        raise InvalidArgument(f"{what}: at most {most} are allowed, got {len(things)}")


def check_name(name: str, what: str) -> None:
    """InvalidArgument for one that is too long to be repeated in an error."""
    if len(name) > MOST_IN_NAME:
        raise InvalidArgument(
            f"{what} must have at most {MOST_IN_NAME} characters, got {len(name)}: {shown(name)}"
        )


def check_nesting(value: Any) -> None:
    """InvalidArgument for JSON that is nested so deeply that it can't be written again."""
    level: list[Any] = [[value]]
    depth = 0
    while level := [
        inner
        for outer in level
        for inner in (outer.values() if isinstance(outer, dict) else outer)
        if isinstance(inner, dict | list)
    ]:
        depth += 1
        if depth > MOST_NESTED:
            raise InvalidArgument(f"the body must be nested at most {MOST_NESTED} deep")
