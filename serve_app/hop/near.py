"""A replica on this very node: batches over a Unix socket, without HTTP.

One process asks, the other answers: parsing and writing HTTP takes both of them longer than a small
batch does. What goes over is a *message*: sixteen bytes, its kind and its length, and then what
`serve_app.hop.frames` makes. A connection has one batch at a time. Its first message is the cluster's
token, as it stands in the head of each request over HTTP.

The socket has a name and no file (Linux's abstract names), so that a process which ends leaves nothing
behind; it is that of the replica, which no other has. Who can't reach it takes HTTP.
"""

import asyncio
import hashlib
import hmac
import os
import socket
import struct
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from serve_app.hop.frames import MOST_BYTES
from serve_app.protocol.wire import Buffer

_HEAD = struct.Struct("<QQ")
_PEER = struct.Struct("3i")  # pid, uid, gid
_BACKLOG = 1024
ASKS = 0  # the kind of what is asked; an answer's is its status
_LONGEST_TOKEN = 4096

SendNear = Callable[[int, list[Buffer]], None]


class Messages(asyncio.Protocol, ABC):
    """Takes messages apart as they come, at both ends."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._parts: list[bytes] = []
        self._have, self._need = 0, _HEAD.size
        self._most = MOST_BYTES

    @abstractmethod
    def received(self, kind: int, body: Buffer) -> None:
        """A whole message; `body` is nobody else's."""

    @property
    def open(self) -> bool:
        return not self._transport.is_closing()

    def close(self) -> None:
        self._transport.abort()

    def send(self, kind: int, parts: list[Buffer]) -> None:
        """One message, in one write."""
        self._transport.writelines([_HEAD.pack(kind, sum(map(len, parts))), *parts])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._parts and len(data) >= _HEAD.size:
            kind, size = _HEAD.unpack_from(data)
            if len(data) == _HEAD.size + size:  # as nearly all are
                self.received(kind, memoryview(data)[_HEAD.size :])
                return
        self._parts.append(data)
        self._have += len(data)
        while self._have >= self._need and self.open:
            whole = b"".join(self._parts)
            kind, size = _HEAD.unpack_from(whole)
            if size > self._most:
                self.close()
                return
            end = _HEAD.size + size
            if len(whole) < end:
                self._parts, self._need = [whole], end
                return
            rest = whole[end:]
            self._parts, self._have, self._need = [rest] if rest else [], len(rest), _HEAD.size
            self.received(kind, memoryview(whole)[_HEAD.size : end])


class NearConnection(Messages):
    """The end that asks; as `serve_app.hop.connection.Connection`."""

    def __init__(self, token: bytes) -> None:
        super().__init__()
        self._token = token
        self._answer: asyncio.Future[tuple[int, Buffer]] | None = None

    async def ask(self, parts: list[Buffer]) -> tuple[int, Buffer]:
        """The status and body of the answer to a batch, or ConnectionError."""
        if not self.open:
            raise ConnectionError("the replica closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self.send(ASKS, parts)
        try:
            return await self._answer
        except asyncio.CancelledError:
            self.close()  # the replica then stops as well
            raise

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.send(ASKS, [self._token])

    def received(self, kind: int, body: Buffer) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((kind, body))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the replica closed the connection"))


class Answers(Protocol):
    """A replica that answers batches."""

    def near(self, body: Buffer, send: SendNear) -> Coroutine[Any, Any, None]:
        """Answer one, by `send(status, parts)`."""
        ...


class _Answering(Messages):
    """The other end."""

    def __init__(self, app: Answers, token: bytes) -> None:
        super().__init__()
        self._app, self._token = app, token
        self._known, self._most = False, _LONGEST_TOKEN
        self._task: asyncio.Task[None] | None = None

    def received(self, kind: int, body: Buffer) -> None:
        if not self._known:
            self._known = hmac.compare_digest(body, self._token)
            self._most = MOST_BYTES
            if not self._known:
                self.close()
        elif self._task is not None and not self._task.done():
            self.close()  # one at a time
        else:
            self._task = asyncio.get_running_loop().create_task(self._app.near(body, self.send))

    def connection_lost(self, error: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()  # nobody waits for it


async def listen(name: str, app: Answers, token: bytes) -> asyncio.Server | None:
    """Answer on this node under a replica's name; None where there are no such sockets."""
    if sys.platform != "linux":
        return None
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(_address(name))
        listening.listen(_BACKLOG)
        loop = asyncio.get_running_loop()
        return await loop.create_unix_server(lambda: _Answering(app, token), sock=listening)
    except OSError:
        listening.close()
        return None


async def connect(name: str, token: bytes) -> NearConnection | None:
    """To a replica of that name on this node; None where none answers."""
    if sys.platform != "linux":
        return None
    connecting = socket.socket(socket.AF_UNIX)
    try:
        connecting.setblocking(False)
        connecting.connect(_address(name))  # at once, or not at all
        if not _ours(connecting):
            raise PermissionError("somebody else's")
        loop = asyncio.get_running_loop()
        return (await loop.create_unix_connection(lambda: NearConnection(token), sock=connecting))[1]
    except OSError:
        connecting.close()
        return None


def _address(name: str) -> str:
    # Of any length, while a socket's has room for 107 characters.
    return f"\0tandem-{hashlib.blake2b(name.encode(), digest_size=20).hexdigest()}"


def _ours(connected: socket.socket) -> bool:
    """Whether its other end is a process of this user's: names are there for all to take."""
    found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return bool(_PEER.unpack(found)[1] == os.getuid())
