"""Which requests of a model are let in: those that have room and can be answered in time."""

import time
from collections import Counter
from typing import NoReturn, Protocol

from serve_app.core.version import State, Version
from serve_app.errors import Overloaded, Unavailable

_LONGEST_RETRY_S = 60.0
WHY = ("limit", "time", "room")  # no request more is let in


class HasTime(Protocol):
    """A request, as far as admission asks (serve_app.core.call)."""

    def time_left(self, now: float) -> float:
        """Seconds until it is of no use any more."""
        ...


class Room:
    """`most` requests in all, `taken` now.

    One model may have as many as are free besides: alone it has half of them, beside another that asks
    for too much a third, and so on. So whoever comes anew finds room, without anything set aside.
    """

    __slots__ = ("most", "taken")

    def __init__(self, most: int = 4096) -> None:
        self.most, self.taken = most, 0

    def full(self, own: int) -> bool:
        """Whether a model that has `own` may have no more."""
        return own >= self.most - self.taken


class Places:
    """Of one model.

    `max_queued` says how many there are. Where it says nothing there are as many as the room has and
    can be answered in time, as far as the version's own queue shows (serve_app.core.waiting). LLMs have
    none here: their engines schedule by themselves.
    """

    def __init__(self, name: str, room: Room | None = None) -> None:
        self.name = name
        self.max_queued: int | None = None
        self.pending = 0  # requests that are here
        self.turned_away: Counter[str] = Counter()  # by why there was no place for them
        self._room = room or Room()

    def admit(self, version: Version, call: HasTime) -> None:
        """Take one request more, until `leave`. Unavailable or Overloaded when that can't be."""
        self.check(version, call)
        self.pending += 1
        self._room.taken += 1
        version.enter()

    def check(self, version: Version, call: HasTime) -> None:
        """What `admit` raises, if it would."""
        if version.state is not State.READY:
            raise Unavailable(f"model '{self.name}' is not ready: {version.reason}")
        if self.max_queued is not None:
            if self.pending >= self.max_queued:
                self._turn_away("limit", "the limit (maxQueuedRequests)")
        elif self._room.full(self.pending):
            self._turn_away("room", "which is its share of the room that there is")
        elif (waiting := version.waiting) is not None and waiting.ahead > 0:
            now = time.monotonic()
            if expected := waiting.too_long(call.time_left(now), now):
                text = f"one more would wait for about {expected:.3g} s, too long to be answered in time"
                self._turn_away("time", text, expected)

    def _turn_away(self, reason: str, why: str, seconds: float = 1.0) -> NoReturn:
        self.turned_away[reason] += 1
        error = Overloaded(
            f"model '{self.name}' has {self.pending} requests waiting, {why}; try again later"
        )
        error.retry_after = min(max(seconds, 1.0), _LONGEST_RETRY_S)
        raise error

    def leave(self, version: Version) -> None:
        """One request fewer."""
        self.pending -= 1
        self._room.taken -= 1
        version.leave()
