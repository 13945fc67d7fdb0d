"""The other end of the Router's short way: what stands around Serve's ASGI application in a replica.

Requests there are counted and limited where Serve counts and limits, and come from the cluster's own
processes alone. What each kind of replica does with one is its subclass's.
"""

import hmac
import logging
from abc import ABC, abstractmethod
from typing import Any

from serve_app.hop.calls import FULL, credentials
from serve_app.http.asgi import Receive, Scope, Send, respond
from serve_app.internals.serve_replica import Counter

log = logging.getLogger("tandem")

LEFT = 499  # the status of who didn't wait for an answer


class ShortWay(ABC):
    """Takes what `takes` says; the rest is Serve's, and all is where Ray lacks what is used here."""

    name = ""  # among Serve's routes

    def __init__(self, app: Any) -> None:
        self._serve = app
        self._counter: Counter | None = None
        try:
            self._credentials = credentials()
            replica = app._app.__self__  # Serve's own middleware is around a method of the replica
            self._slots = replica._semaphore
            self._counter = Counter(replica, self.name)
        except Exception as error:
            log.warning("requests to %s take Serve's way: %s", self.name, error)

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
        """ASGI entry."""
        counter = self._counter
        if counter is None or scope["type"] != "http" or not self.takes(scope["path"]):
            await self._serve(scope, receive, send)
        elif not self._known(scope["headers"]):
            await respond(send, 401, [b"only for this cluster's own processes"], [])
        elif self._slots.locked() or not self.ready():
            await respond(send, FULL, [], [])
        else:
            await self._slots.acquire()  # at once: it isn't locked
            counter.enter()
            status = LEFT
            try:
                status = await self.answer(scope, receive, send)
            finally:
                counter.leave("POST", str(status), status >= 400)
                self._slots.release()

    def _known(self, headers: list[tuple[bytes, bytes]]) -> bool:
        if not self._credentials:
            return True
        given = next((value for name, value in headers if name == b"authorization"), b"")
        return hmac.compare_digest(given, self._credentials)
