"""Turns of requests that run one by one: in the order of their coming, so many at a time."""

import asyncio
from collections import deque

from serve_app.core.waiting import Waiting
from serve_app.errors import Gone

_REMOVED = "the model is being removed"


class Turns:
    """At most `most` have their turn, of whom `computing` compute: the others are on the way there."""

    __slots__ = ("_closed", "_inside", "_most", "_queue", "_running", "computing", "waiting")

    def __init__(self, computing: int, most: float) -> None:
        self.waiting = Waiting()
        self.computing, self._most = computing, most
        self._running = self._inside = 0
        self._closed = False
        self._queue: deque[asyncio.Future[None]] = deque()

    def resize(self, computing: int, most: float) -> None:
        """Others from now on."""
        self.computing, self._most = computing, most
        self.waiting.ahead = self._inside - computing
        self._call()

    def enter(self) -> bool:
        """One more is here; whether it has its turn at once. Otherwise `await its_turn()`.

        Gone for all that have to wait, once it is closed.
        """
        if self._closed:
            raise Gone(_REMOVED)
        self._inside += 1
        self.waiting.ahead = self._inside - self.computing
        if self._running >= self._most:
            return False
        self._running += 1
        return True

    async def its_turn(self) -> None:
        """Wait for it. Who is cancelled meanwhile is out."""
        future = asyncio.get_running_loop().create_future()
        self._queue.append(future)
        try:
            await future
        except Gone:
            self._out()
            raise
        except asyncio.CancelledError:
            if future.cancelled():  # else it has just got its turn
                self._out()
            else:
                self.leave(None)
            raise

    def leave(self, now: float | None) -> None:
        """One is done, at `now`; None for one that only gave up."""
        self._running -= 1
        self._inside = inside = self._inside - 1
        waiting = self.waiting
        waiting.ahead = inside - self.computing
        if waiting.busy:
            if now is not None:
                waiting.took(1, now)
            if inside < self.computing:
                waiting.free()
        else:  # written out: each request of a model with room comes by
            if now is not None:
                waiting.last = now
            waiting.busy = inside >= self.computing
        if self._queue:
            self._call()

    def close(self) -> None:
        """Refuse what waits and what comes; what runs may finish."""
        self._closed = True
        for future in self._queue:
            if not future.done():
                future.set_exception(Gone(_REMOVED))
        self._queue.clear()

    def _out(self) -> None:
        self._inside -= 1
        self.waiting.ahead = self._inside - self.computing

    def _call(self) -> None:
        while self._queue and self._running < self._most:
            future = self._queue.popleft()
            if not future.done():
                self._running += 1
                future.set_result(None)
