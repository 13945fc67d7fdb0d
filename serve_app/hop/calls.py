"""The short way to a remote model: batches to the HTTP servers that Serve runs in its replicas.

A call through a Serve handle costs several times what the rest of a small request does. In
high-throughput mode the ingress replica of every application, also of one without a route, has an
HTTP server. Serve's handle knows those replicas and follows them as they come and go; from it we
take where they are and how much each may have in hand. The other end is `serve_app.hop.batch_app`.

What isn't plain goes through the handle: no replica yet (that wakes a model at zero), all of them
full (Serve queues), a request router of the user's own, a replica that can't be reached.
"""

import asyncio
import logging
import os
import socket
from typing import Any

import httptools
from ray.serve._private.request_router import PowerOfTwoChoicesRequestRouter
from ray.serve.handle import DeploymentHandle

from serve_app.protocol.wire import Buffer

log = logging.getLogger("tandem")

PATH = "/-/predict"
ANSWERED, FAILED, FULL = 200, 422, 503  # with outputs; with a TandemError; with nothing
_CONNECT_S = 2.0
# Silent for 10 s: asked every 5 s, given up after 3; unacknowledged data as long, in milliseconds.
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}
_AVOID_S = 10.0  # so long a replica that can't be reached is left to the handle


def credentials() -> bytes:
    """The Authorization header by which Ray's own processes know each other; b'' where they don't."""
    from ray._private.authentication.authentication_utils import is_token_auth_enabled
    from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]

    if not is_token_auth_enabled():
        return b""
    (value,) = AuthenticationTokenLoader.instance().get_token_for_http_header().values()
    return value.encode() if isinstance(value, str) else bytes(value)


def notice_dead_peers(transport: asyncio.BaseTransport) -> None:
    """End the connection within half a minute of its peer's machine going away without a word.

    Else a batch that waits for an answer waits for the kernel's two hours, or what is sent for its
    quarter of an hour.
    """
    # uvloop's stand-in for a socket sets nothing; a copy of the descriptor is the same connection.
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE.items():
            if number := getattr(socket, option, None):  # Linux has them all
                same.setsockopt(socket.IPPROTO_TCP, number, value)


class Connection(asyncio.Protocol):
    """One request at a time over HTTP/1.1, kept alive."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: Any = None

    async def ask(self, parts: list[Buffer]) -> tuple[int, bytes]:
        """Send a request, head and body; its answer's status and body, or ConnectionError."""
        if not self.open:
            raise ConnectionError("the replica closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.writelines(parts)
        try:
            return await self._answer
        except asyncio.CancelledError:
            self.close()  # the replica then stops as well
            raise

    @property
    def open(self) -> bool:
        """Whether it can be asked."""
        return not self._transport.is_closing()

    def close(self) -> None:
        """At once."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's."""
        self._transport = transport
        notice_dead_peers(transport)

    def data_received(self, data: bytes) -> None:
        """asyncio's."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_body(self, data: bytes) -> None:
        """The parser's."""
        self._body.append(data)

    def on_message_complete(self) -> None:
        """The parser's."""
        body, self._body = self._body, []
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), b"".join(body)))

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio's."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the replica closed the connection"))


class Replica:
    """One replica, its unused connections, and how many others wait for an answer."""

    def __init__(self, kind: type[Connection] = Connection) -> None:
        self._kind = kind
        self.running: Any = None  # Serve's own, which it replaces now and then
        self.busy = 0
        self.avoided_until = 0.0
        self.idle: list[Connection] = []

    @property
    def free(self) -> bool:
        """Whether a batch can be sent to it."""
        return (
            self.running.backend_http_endpoint is not None
            and self.busy < self.running.max_ongoing_requests
            and self.avoided_until < asyncio.get_running_loop().time()
        )

    async def connected(self) -> Connection | None:
        """A connection that nobody uses; None when the replica can't be reached."""
        while self.idle:
            if (connection := self.idle.pop()).open:
                return connection
        host, port = self.running.backend_http_endpoint
        try:
            async with asyncio.timeout(_CONNECT_S):
                loop = asyncio.get_running_loop()
                return (await loop.create_connection(self._kind, host, port))[1]
        except (OSError, TimeoutError) as error:
            self.avoid(f"{host}:{port}: {error}")
            return None

    def avoid(self, reason: str) -> None:
        """Leave it to the handle for a while."""
        log.warning("batches take Serve's way for %.0f s: %s", _AVOID_S, reason)
        self.avoided_until = asyncio.get_running_loop().time() + _AVOID_S

    def close(self) -> None:
        """It is gone; what it still answers is waited for."""
        for connection in self.idle:
            connection.close()


class DirectCalls:
    """Batches to the least busy replica behind a handle."""

    def __init__(self, handle: DeploymentHandle[Any], kind: type[Connection] = Connection) -> None:
        self._handle: Any = handle
        self._kind = kind
        self._credentials = credentials()
        self._known: object = None  # Serve's dict of replicas as last looked at
        self._replicas: dict[Any, Replica] = {}
        self._router: Any = None

    def choose(self, adapter: str = "") -> Replica | None:
        """The replica to ask, one that has the `adapter` if possible; None: take the handle."""
        self._router = self._look()
        if self._router is None:
            return None
        free = [one for one in self._replicas.values() if one.free]
        if adapter:
            free = [one for one in free if adapter in one.running.multiplexed_model_ids] or free
        return min(free, key=lambda one: one.busy) if free else None

    async def ask(self, replica: Replica, parts: list[Buffer]) -> tuple[int, bytes] | None:
        """Its answer, ANSWERED or FAILED; None when the handle has to be taken after all.

        ConnectionError when the replica went away with the batch in hand.
        """
        name, metrics = replica.running.replica_id, self._router._metrics_manager
        metrics.inc_num_running_requests_for_replica(name)
        replica.busy += 1
        try:
            if (connection := await replica.connected()) is None:
                return None
            status, body = await connection.ask([self._head(PATH, parts), *parts])
            replica.idle.append(connection)
        finally:
            replica.busy -= 1
            metrics.dec_num_running_requests_for_replica(name)
        if status in (ANSWERED, FAILED):
            metrics.inc_num_total_requests("")
            return status, body
        if status != FULL:
            replica.avoid(f"status {status} from {name}")
        return None

    def _head(self, path: str, parts: list[Buffer]) -> bytes:
        key = b"authorization: %b\r\n" % self._credentials if self._credentials else b""
        size = sum(map(len, parts))
        return b"POST %b HTTP/1.1\r\n%bcontent-length: %d\r\n\r\n" % (path.encode(), key, size)

    def _look(self) -> Any:
        """Serve's router behind the handle, its replicas taken over; None where it isn't the usual."""
        try:
            router = self._handle._router._asyncio_router
            if router._event_loop is not asyncio.get_running_loop():
                return None
            requests = router.request_router
        except AttributeError:  # the handle was not called yet, or this is another Ray
            return None
        # By name: Serve sends the class pickled, which makes another one of it.
        if type(requests).__qualname__ != PowerOfTwoChoicesRequestRouter.__qualname__:
            return None
        if (found := requests.curr_replicas) is not self._known:
            self._known = found
            old, self._replicas = self._replicas, {}
            for key, running in found.items():
                replica = self._replicas[key] = old.pop(key) if key in old else Replica(self._kind)
                replica.running = running
            for gone in old.values():
                gone.close()
        return router
