"""Streams with no request under way: how long one may be so, and how many."""

import asyncio
import time
from collections.abc import Callable

from serve_app.errors import Unavailable

_LOOKS = 10  # at them, in the time that one may be idle


class IdleStreams:
    """Of one process. Where there are more than `most`, the client that has most of them loses the one
    that is idle longest, so that nobody is kept from a stream by others' idle ones.

    `seconds`: how long one may be idle.
    """

    def __init__(self, most: int = 1024, seconds: Callable[[], float] = lambda: 300) -> None:
        self.most, self._seconds = most, seconds
        # By client, and there by when they became idle.
        self._idle: dict[str, dict[IdleStream, float]] = {}
        self._count = 0
        self._looking = False

    def of(self, client: str, end: Callable[[Unavailable], None]) -> "IdleStream":
        """One that is busy. `end` is told why it has to."""
        return IdleStream(self, client, end)

    def add(self, stream: "IdleStream") -> None:
        """It is idle from now on."""
        self._idle.setdefault(stream.client, {})[stream] = time.monotonic()
        self._count += 1
        if self._count > self.most:
            client = max(self._idle, key=lambda one: len(self._idle[one]))
            oldest = next(iter(self._idle[client]))
            self.remove(oldest)
            oldest.end(Unavailable(f"{self.most} streams are idle, and others come; open another one"))
        if not self._looking:
            self._looking = True
            self._look_later()

    def remove(self, stream: "IdleStream") -> None:
        """It isn't any more."""
        others = self._idle.get(stream.client, {})
        if others.pop(stream, None) is not None:
            self._count -= 1
            if not others:
                del self._idle[stream.client]

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(self._seconds() / _LOOKS, self._look)

    def _look(self) -> None:
        seconds = self._seconds()
        since = time.monotonic() - seconds
        for streams in [*self._idle.values()]:
            for stream in [one for one, began in streams.items() if began <= since]:
                self.remove(stream)
                stream.end(
                    Unavailable(f"no request for {seconds:g} s (streamTimeout); open another stream")
                )
        self._looking = bool(self._idle)
        if self._looking:
            self._look_later()


class IdleStream:
    """One stream, which says when it is idle."""

    __slots__ = ("_over", "_streams", "client", "end")

    def __init__(self, streams: IdleStreams, client: str, end: Callable[[Unavailable], None]) -> None:
        self._streams, self.client, self.end = streams, client, end
        self._over = False

    def idle(self) -> None:
        if not self._over:
            self._streams.add(self)

    def busy(self) -> None:
        self._streams.remove(self)

    def over(self) -> None:
        """Whatever follows."""
        self._over = True
        self.busy()
