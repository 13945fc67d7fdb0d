"""When a batch of a quick model leaves that many ask: once the event loop has read who is there.

Reading requests and writing answers takes the loop longer than such a model computes. A batch that left
with the first of them would hold one or two; those that the loop reads a moment later would miss it.
"""

import asyncio
import time
from collections.abc import Callable

from serve_app.core.waiting import Waiting

# Turns that bring nobody. A request is read in one and run in the next, behind this look or before it.
_QUIET = 3


class Gathering:
    """Calls `go` when turns of the loop have brought nobody more into `waiting`."""

    __slots__ = ("_go", "_handle", "_quiet", "_seen", "_until", "_waiting")

    def __init__(self, waiting: Waiting, go: Callable[[], None]) -> None:
        self._waiting, self._go = waiting, go
        self._handle: asyncio.Handle | None = None
        self._seen = self._quiet = 0
        self._until = 0.0

    def begin(self, most: float) -> None:
        """From now on, unless it has begun, for so many seconds at most."""
        if self._handle is None:
            self._seen, self._quiet = self._waiting.ahead, 0
            self._until = time.monotonic() + most
            self._handle = asyncio.get_running_loop().call_soon(self._look)

    def end(self) -> None:
        """Without `go`."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _look(self) -> None:
        ahead = self._waiting.ahead
        self._quiet = self._quiet + 1 if ahead <= self._seen else 0
        self._seen = ahead
        if self._quiet < _QUIET and time.monotonic() < self._until:
            self._handle = asyncio.get_running_loop().call_soon(self._look)
            return
        self._handle = None
        self._go()
