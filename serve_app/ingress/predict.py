"""The short way's other end: a remote model's replica answers batches in its own HTTP server.

As `serve_app.ingress.direct` does for the Router: before Serve wraps the request, but counted and
limited where Serve counts and limits, so that scaling, draining and `max_ongoing_requests` hold.
"""

import hmac
import logging
from typing import Any, Protocol

from serve_app.deadlines import Departures
from serve_app.deployments.direct import ANSWERED, FAILED, FULL, PATH, credentials
from serve_app.errors import TandemError
from serve_app.ingress.asgi import Disconnected, Receive, Scope, Send, collect, respond, watched
from serve_app.ingress.counter import Counter
from serve_app.protocol import batches
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.protocol.wire import Buffer

log = logging.getLogger("tandem")

_MOST_BYTES = 2**31 - 1  # as of Serve's gRPC messages (RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH)


class Model(Protocol):
    """A deployment that takes batches."""

    async def predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One batch."""
        ...


def known(headers: list[tuple[bytes, bytes]], credentials: bytes) -> bool:
    """Whether a request comes from one of the cluster's own processes."""
    if not credentials:
        return True
    given = next((value for name, value in headers if name == b"authorization"), b"")
    return hmac.compare_digest(given, credentials)


class PredictApp:
    """Around Serve's ASGI application in a model's replica; takes one path, and no other."""

    def __init__(self, app: Any, model: Model) -> None:
        self._serve, self._model = app, model
        self._counter: Counter | None = None  # without it, Serve answers: that it knows no such path
        try:
            self._credentials = credentials()
            self._predict = watched(self._run, Departures())
            replica = app._app.__self__  # Serve's own middleware is around a method of the replica
            self._slots = replica._semaphore
            self._counter = Counter(replica, "predict")
        except Exception as error:
            log.warning("batches take Serve's way: %s", error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] != "http" or scope["path"] != PATH or self._counter is None:
            await self._serve(scope, receive, send)
        elif not known(scope["headers"], self._credentials):
            await respond(send, 401, [b"only for this cluster's own processes"], [])
        elif self._slots.locked():
            await respond(send, FULL, [], [])
        else:
            await self._answer(self._counter, receive, send)

    async def _answer(self, counter: Counter, receive: Receive, send: Send) -> None:
        await self._slots.acquire()  # at once: it isn't locked
        counter.enter()
        status = 499
        try:
            try:
                body = await collect(receive, _MOST_BYTES)
                status, parts = ANSWERED, await self._predict(body, receive)
            except TandemError as error:
                status, parts = FAILED, batches.pack_error(error)
            await respond(send, status, parts, [])
        except Disconnected:
            pass
        finally:
            counter.leave("POST", str(status), status != ANSWERED)
            self._slots.release()

    async def _run(self, body: bytes) -> list[Buffer]:
        about, inputs = batches.unpack(body)
        outputs = await self._model.predict(about["version"], inputs, about["parameters"])
        return batches.pack({}, outputs)
