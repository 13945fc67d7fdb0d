"""Requests straight to the HTTP servers that Serve runs in the replicas of a deployment.

A call through a Serve handle costs several times what the rest of a small request does. In
high-throughput mode the ingress replica of every application, also of one without a route, has an
HTTP server. Serve's handle knows those replicas and follows them as they come and go; from it we
take where they are and how much each may have in hand. The other end is `serve_app.hop.served`. A
replica of this very node is asked without HTTP (`serve_app.hop.near`).

What isn't plain goes through the handle: no replica yet (that wakes a model at zero), all of them
full (Serve queues), a request router of the user's own, a replica that can't be reached.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.serve.handle import DeploymentHandle

from serve_app.errors import TooLarge, VersionGone
from serve_app.hop import frames
from serve_app.hop.connection import Connection
from serve_app.hop.near import NearConnection, connect
from serve_app.internals.ray_auth import credentials
from serve_app.internals.serve_router import HandleRouter, name_of
from serve_app.protocol.wire import Buffer

log = logging.getLogger("tandem")

PATH = "/-/predict"
ANSWERED, FAILED, FULL = 200, 422, 503  # with outputs; with a TandemError; with nothing
_CONNECT_S = 2.0
_AVOID_S = 10.0  # so long a replica that can't be reached is left to the handle


class Replica:
    """One replica, its unused connections, and how many others wait for an answer."""

    def __init__(self, kind: type[Connection], token: bytes) -> None:
        self._kind, self._token = kind, token
        self.running: Any = None  # Serve's own, which it replaces now and then
        self.busy = 0
        self.avoided_until = 0.0
        self.near = kind is Connection  # whether it may be of this node
        self._lacks: dict[str, float] = {}  # versions that it said it doesn't have, and until when so
        self.idle: list[Connection | NearConnection] = []

    @property
    def free(self) -> bool:
        """Whether a batch can be sent to it."""
        return (
            (self.near or self.running.backend_http_endpoint is not None)
            and self.busy < self.running.max_ongoing_requests
            and self.avoided_until < asyncio.get_running_loop().time()
        )

    def lacks(self, version: str) -> bool:
        """Whether it said a moment ago that it doesn't have it."""
        until = self._lacks.get(version)
        return until is not None and asyncio.get_running_loop().time() < until

    def may_have_all(self) -> None:
        """It is asked again for whatever it lacked."""
        self._lacks.clear()

    def has_not(self, version: str) -> None:
        """It says so. It may load it yet, so it is asked again after a while."""
        self._lacks[version] = asyncio.get_running_loop().time() + _AVOID_S

    async def connected(self) -> Connection | NearConnection | None:
        """A connection that nobody uses; None when the replica can't be reached."""
        while self.idle:
            if (connection := self.idle.pop()).open:
                return connection
        if self.near:
            if found := await connect(name_of(self.running), self._token):
                return found
            self.near = False
        if self.running.backend_http_endpoint is None:
            return None
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
        """Its unused connections: it is gone, and what it still answers is waited for."""
        for connection in self.idle:
            connection.close()


class Calls:
    """To the least busy replica behind a handle, over connections of the given `kind`."""

    def __init__(self, handle: DeploymentHandle[Any], kind: type[Connection] = Connection) -> None:
        self._kind = kind
        self._token = credentials()
        self._router = HandleRouter(handle)
        self._known: object = None  # Serve's records as last looked at
        self._replicas: dict[Any, Replica] = {}

    def choose(self, adapter: str = "", version: str = "") -> Replica | None:
        """The replica to ask, one that has the `adapter` if possible; None: take the handle.

        VersionGone when every replica has said that it lacks the `version`.
        """
        if (found := self._router.replicas()) is None:
            return None
        if found is not self._known:
            self._known = found
            old, self._replicas = self._replicas, {}
            for key, running in found.items():
                replica = old.pop(key) if key in old else Replica(self._kind, self._token)
                self._replicas[key] = replica
                replica.running = running
            for gone in old.values():
                gone.close()
        having = [one for one in self._replicas.values() if not one.lacks(version)]
        if self._replicas and not having:
            raise VersionGone(f"no replica has version '{version}' any more")
        free = [one for one in having if one.free]
        if adapter:
            free = [one for one in free if adapter in one.running.multiplexed_model_ids] or free
        return min(free, key=lambda one: one.busy) if free else None

    def renew(self) -> None:
        """Replicas may have versions by now that they lacked."""
        for replica in self._replicas.values():
            replica.may_have_all()

    async def ask(self, replica: Replica, parts: list[Buffer]) -> tuple[int, Buffer] | None:
        """Its answer, ANSWERED or FAILED; None when the handle has to be taken after all.

        ConnectionError when the replica went away with the batch in hand; TooLarge where none takes it.
        """
        if sum(map(len, parts)) > frames.MOST_BYTES:
            raise TooLarge(f"a batch is longer than {frames.MOST_BYTES} bytes, which no replica takes")
        running = self._begin(replica)
        try:
            if (connection := await replica.connected()) is None:
                return None
            if type(connection) is not NearConnection:
                parts = [self.head(PATH, parts), *parts]
            status, body = await connection.ask(parts)
            replica.idle.append(connection)
        finally:
            self._end(replica, running)
        if status in (ANSWERED, FAILED):
            self.answered()
            return status, body
        if status != FULL:
            replica.avoid(f"status {status} from {replica.running.replica_id}")
        return None

    @contextmanager
    def in_hand(self, replica: Replica) -> Iterator[None]:
        """One request more for this replica while it lasts, also by Serve's count."""
        running = self._begin(replica)
        try:
            yield
        finally:
            self._end(replica, running)

    def _begin(self, replica: Replica) -> Any:
        running = replica.running
        self._router.begun(running)
        replica.busy += 1
        return running

    def _end(self, replica: Replica, running: Any) -> None:
        replica.busy -= 1
        self._router.ended(running)

    def answered(self) -> None:
        """One more for Serve's count of requests."""
        self._router.answered()

    def head(self, path: str, parts: list[Buffer], more: bytes = b"") -> bytes:
        """A request's head for the body `parts`, with the lines `more`."""
        key = b"authorization: %b\r\n" % self._token if self._token else b""
        size = sum(map(len, parts))
        return b"POST %b HTTP/1.1\r\n%b%bcontent-length: %d\r\n\r\n" % (path.encode(), key, more, size)
