"""The other end of the hop: what stands around Serve's ASGI application in a model's replica.

Requests there are counted and limited where Serve counts and limits, and come from the cluster's own
processes alone. What each kind of replica does with one is its subclass's.
"""

import hmac
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Any

from serve_app.hop.calls import FULL
from serve_app.http.asgi import Receive, Scope, Send, respond
from serve_app.internals.ray_auth import credentials
from serve_app.internals.serve_replica import ServeReplica

LEFT = 499  # the status of who didn't wait for an answer


class Served(ABC):
    """Takes what `takes` says, counted under `route`; the rest is the application's of Serve."""

    def __init__(self, serve: Any, replica: ServeReplica, route: str) -> None:
        self._serve = serve
        self._credentials = credentials()
        self._slots = replica.slots()
        self._counter = replica.counter(route)

    @abstractmethod
    def takes(self, path: str) -> bool:
        """Whether it is a request of ours."""

    def ready(self) -> bool:
        """Whether one can be answered now; else the Router asks elsewhere."""
        return True

    @abstractmethod
    async def answer(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer; the status."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self.takes(scope["path"]):
            await self._serve(scope, receive, send)
        elif not self._known(scope["headers"]):
            await respond(send, 401, [b"only for this cluster's own processes"], [])
        elif self.full:
            await respond(send, FULL, [], [])
        else:
            await self.counted(self.answer(scope, receive, send))

    @property
    def full(self) -> bool:
        """Whether the next one has to be asked elsewhere."""
        return self._slots.locked() or not self.ready()

    async def counted(self, answer: Awaitable[int]) -> None:
        """Count it while it lasts, by the status that it returns; not where it is `full`."""
        await self._slots.acquire()  # at once: it isn't locked
        self._counter.enter()
        status = LEFT
        try:
            status = await answer
        finally:
            self._counter.leave("POST", str(status), status >= 400)
            self._slots.release()

    def _known(self, headers: list[tuple[bytes, bytes]]) -> bool:
        if not self._credentials:
            return True
        given = next((value for name, value in headers if name == b"authorization"), b"")
        return hmac.compare_digest(given, self._credentials)
