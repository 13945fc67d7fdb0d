"""A connection to a replica's HTTP server: one request at a time over HTTP/1.1, kept alive."""

import asyncio
import os
import socket
from typing import Any

import httptools

from serve_app.protocol.wire import Buffer

# Silent for 10 s: asked every 5 s, given up after 3; unacknowledged data as long, in milliseconds.
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}


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
        return not self._transport.is_closing()

    def close(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        notice_dead_peers(transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        body, self._body = self._body, []
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), b"".join(body)))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the replica closed the connection"))
