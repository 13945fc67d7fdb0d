"""Who asks: the ids of the requests that a piece of work is for, for what is logged about it."""

from collections.abc import Sequence
from contextvars import ContextVar

# Set by the bracket for one request, by the batcher for a batch, in a replica for what came to it.
ASKING: ContextVar[Sequence[str]] = ContextVar("asking", default=())

_LONGEST = 128
_MOST = 8


def asked_by(ids: Sequence[str] | None = None, most: int = _MOST) -> str:
    """The ids as a log line has them; '' where nobody asks. Default: those of this context.

    Clients choose them: none ends a line, or is longer than 128 characters.
    """
    found = ASKING.get() if ids is None else ids
    text = ", ".join(map(_shown, found[:most]))
    return f"{text} and {len(found) - most} more" if len(found) > most else text


def _shown(id: str) -> str:
    cut = id if len(id) <= _LONGEST else f"{id[:_LONGEST]}…"
    return cut if cut.isprintable() else "".join(one if one.isprintable() else "?" for one in cut)


def on_requests(ids: Sequence[str] | None = None) -> str:
    """The same as the end of a sentence: all of a batch's requests are named."""
    found = ASKING.get() if ids is None else ids
    if len(found) < 2:
        return f"request {asked_by(found) or 'without an id'}"
    return f"a batch of {len(found)} requests ({asked_by(found, len(found))})"
