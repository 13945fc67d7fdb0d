"""The short way's other end in an LLM's replica: requests straight to vLLM's own application.

Counted and limited where Serve counts and limits, as in `serve_app.ingress.predict`. What comes out
of the engine's application goes to the Router as it is, and from there to the client.
"""

import logging
from typing import Any, Protocol

from serve_app.deployments.direct import FULL, credentials
from serve_app.deployments.streams import PREFIX
from serve_app.ingress.asgi import Message, Receive, Scope, Send, respond
from serve_app.ingress.counter import Counter
from serve_app.ingress.predict import known

log = logging.getLogger("tandem")


class Engine(Protocol):
    """A deployment with an engine's ASGI application."""

    app: Any

    def alive(self) -> bool:
        """Whether the engine can answer."""
        ...


class EngineApp:
    """Around Serve's ASGI application in an LLM's replica; takes the paths below PREFIX, no other."""

    def __init__(self, app: Any, engine: Engine) -> None:
        self._serve, self._engine = app, engine
        self._counter: Counter | None = None  # without it, Serve answers: that it knows no such path
        try:
            self._credentials = credentials()
            replica = app._app.__self__  # Serve's own middleware is around a method of the replica
            self._slots = replica._semaphore
            self._counter = Counter(replica, "engine")
        except Exception as error:
            log.warning("requests to the engine take Serve's way: %s", error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        counter = self._counter
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX) or counter is None:
            await self._serve(scope, receive, send)
        elif not known(scope["headers"], self._credentials):
            await respond(send, 401, [b"only for this cluster's own processes"], [])
        elif self._slots.locked() or not self._engine.alive():
            await respond(send, FULL, [], [])
        else:
            await self._answer(counter, scope, receive, send)

    async def _answer(self, counter: Counter, scope: Scope, receive: Receive, send: Send) -> None:
        await self._slots.acquire()  # at once: it isn't locked
        counter.enter()
        status = 499

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        path = scope["path"].removeprefix(PREFIX)
        try:
            await self._engine.app({**scope, "path": path, "raw_path": path.encode()}, receive, noted)
        finally:
            counter.leave("POST", str(status), status >= 400)
            self._slots.release()
