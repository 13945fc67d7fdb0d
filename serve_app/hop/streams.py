"""Requests straight to the HTTP server of an engine's replica, answered piece by piece."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from serve_app.hop.calls import FULL, Calls, Replica
from serve_app.hop.connection import Connection
from serve_app.protocol.wire import Buffer

PREFIX = "/-/engine"
ADAPTER = b"serve_multiplexed_model_id"  # Serve's own header
_MOST_WAITING = 2**20  # bytes of an answer that its reader is behind; then the replica is held up


class StreamConnection(Connection):
    """One request at a time over HTTP/1.1, kept alive; the answer is read as it comes."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._kind = b""
        self._waiting = 0
        self._ended = self._lost = False
        self._news = asyncio.Event()

    async def stream(self, parts: list[Buffer]) -> AsyncGenerator[Any, None]:
        """Send a request; its answer's (status, content type), then the body as it comes.

        ConnectionError when the replica goes away before the end. An answer that isn't read to its
        end closes the connection, and the replica stops.
        """
        if not self.open:
            raise ConnectionError("the replica closed the connection")
        self._ended, self._kind, self._pieces = False, b"", []
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.writelines(parts)
        try:
            yield await self._answer
            while True:
                if self._pieces:
                    pieces, self._pieces = self._pieces, []
                    if self._waiting > _MOST_WAITING:
                        self._transport.resume_reading()
                    self._waiting = 0
                    yield pieces[0] if len(pieces) == 1 else b"".join(pieces)
                elif self._ended:
                    return
                elif self._lost:
                    raise ConnectionError("the replica closed the connection")
                else:
                    self._news.clear()
                    await self._news.wait()
        finally:
            if not self._ended:
                self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self._kind = value

    def on_headers_complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), self._kind))

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)
        was, self._waiting = self._waiting, self._waiting + len(data)
        if was <= _MOST_WAITING < self._waiting:
            self._transport.pause_reading()
        self._news.set()

    def on_message_complete(self) -> None:
        self._ended = True
        self._news.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self._news.set()
        super().connection_lost(error)


class StreamCalls(Calls):
    """Requests to the least busy engine behind a handle."""

    def __init__(self, handle: Any) -> None:
        super().__init__(handle, StreamConnection)

    async def stream(
        self, replica: Replica, path: str, body: bytes, adapter: str = ""
    ) -> AsyncGenerator[Any, None]:
        """As StreamConnection.stream; nothing at all when the handle has to be taken."""
        with self.in_hand(replica):
            if (connection := await replica.connected()) is None:
                return
            assert isinstance(connection, StreamConnection)
            more = b"content-type: application/json\r\n"
            if adapter:
                more += b"%b: %b\r\n" % (ADAPTER, adapter.encode())
            answer = connection.stream([self.head(PREFIX + path, [body], more), body])
            try:
                first = await anext(answer)
                if first[0] == FULL:
                    return
                self.answered()
                yield first
                async for piece in answer:
                    yield piece
            finally:
                await answer.aclose()
            replica.idle.append(connection)
