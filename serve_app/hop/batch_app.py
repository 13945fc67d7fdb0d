"""A remote model's replica answers batches in its own HTTP server, before Serve wraps the request."""

import asyncio
import logging
from typing import Any, Protocol

from serve_app.core.asking import ASKING, on_requests
from serve_app.core.deadlines import Departures
from serve_app.errors import TandemError, raised
from serve_app.hop import frames
from serve_app.hop.calls import ANSWERED, FAILED, FULL, PATH
from serve_app.hop.near import SendNear, listen
from serve_app.hop.served import LEFT, Served
from serve_app.http.asgi import Disconnected, Receive, Scope, Send, collect, respond, watched
from serve_app.internals.serve_replica import ServeReplica
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.protocol.wire import Buffer

log = logging.getLogger("tandem")


class Model(Protocol):
    """A deployment that takes batches."""

    async def predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays: ...


class BatchApp(Served):
    """Takes one path, and no other."""

    def __init__(self, serve: Any, replica: ServeReplica, model: Model) -> None:
        super().__init__(serve, replica, "predict")
        self._name, self._model = replica.name, model
        self._predict = watched(self._run, Departures())

    def takes(self, path: str) -> bool:
        return path == PATH

    async def listen(self) -> asyncio.Server | None:
        """To processes of this node, for as long as the server lives."""
        return await listen(self._name, self, self._credentials)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> int:
        """The outputs, or the error."""
        try:
            body = await collect(receive, frames.MOST_BYTES)
            status, parts = ANSWERED, await self._predict(body, receive)
        except TandemError as error:
            status, parts = FAILED, frames.pack_error(error)
        except Disconnected:
            return LEFT
        await respond(send, status, parts, [])
        return status

    async def near(self, body: Buffer, send: SendNear) -> None:
        """The same where there is no HTTP; a Router that leaves cancels it."""
        if self.full:
            send(FULL, [])
        else:
            await self.counted(self._answer_near(body, send))

    async def _answer_near(self, body: Buffer, send: SendNear) -> int:
        try:
            status, parts = ANSWERED, await self._run(body)
        except TandemError as error:
            status, parts = FAILED, frames.pack_error(error)
        send(status, parts)
        return status

    async def _run(self, body: Buffer) -> list[Buffer]:
        about, inputs = frames.unpack(body)
        ASKING.set(about["asking"])
        version = about["version"]
        try:
            outputs = await self._model.predict(version, inputs, about["parameters"])
        except TandemError:
            raise
        except Exception as error:  # not the model, which has its own words: what is around it
            log.exception("the replica of version %s failed on %s", version, on_requests())
            raise raised("a replica failed:", error) from None
        return frames.pack({}, outputs)


async def near(model: Model) -> asyncio.Server | None:
    """Let this replica answer processes of its node without HTTP, for as long as the server lives."""
    try:
        replica = ServeReplica.here()
        return None if replica is None else await BatchApp(None, replica, model).listen()
    except Exception as error:
        log.warning("batches of this node come by Serve's servers: %s", error)
        return None
