"""Bodies that come slowly: waited for before their requests take a place among those that are served."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from serve_app.config import Limits
from serve_app.errors import Overloaded, TooSlow
from serve_app.http.asgi import Disconnected, Message, Receive

_SLOWEST = 8 * 2**10  # bytes per second, beyond the first pause that is allowed
_TOGETHER = 16  # bodies of the largest size that one process holds while they come


class Arrivals:
    """Of one process. While they come they cost memory alone, and that is bounded."""

    def __init__(self, limits: Callable[[], Limits]) -> None:
        self._limits = limits
        self._bytes = 0

    async def whole(self, receive: Receive) -> Receive:
        """A `receive` that has the body, or so much of it that it is too large.

        Raises TooSlow for a client that pauses too long, or sends next to nothing for longer;
        Overloaded when there is no memory for more; Disconnected.
        """
        limits = self._limits()
        most, pause = limits.max_body_bytes, limits.body_timeout
        began, messages, size = time.monotonic(), deque[Message](), 0
        try:
            while size <= most:
                left = min(pause, began + pause + size / _SLOWEST - time.monotonic())
                try:
                    async with asyncio.timeout(left):
                        message = await receive()
                except TimeoutError:
                    raise TooSlow(
                        f"{size} bytes of the body came in {time.monotonic() - began:.1f} s; a client "
                        f"may pause for {pause:g} s (bodyTimeout) and has to send {_SLOWEST} bytes/s"
                    ) from None
                if message["type"] == "http.disconnect":
                    raise Disconnected
                messages.append(message)
                came = len(message.get("body", b""))
                size, self._bytes = size + came, self._bytes + came
                if not message.get("more_body"):
                    break
                if self._bytes > _TOGETHER * most:
                    raise Overloaded("too many large bodies come at once; try again later")
        finally:
            self._bytes -= size

        async def replayed() -> Message:
            return messages.popleft() if messages else await receive()

        return replayed
