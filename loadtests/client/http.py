"""HTTP/1.1 as thin as it can be: encoded requests over kept connections, one in flight on each."""

import asyncio
from typing import Any

import httptools

from loadtests.client.target import Target

Answer = tuple[int, bytes]  # status and body
_SHOWN = 200  # characters of an answer that is none


class Connection(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: Any = None
        self._answer: asyncio.Future[Answer] | None = None
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    @property
    def open(self) -> bool:
        """Whether it can be asked."""
        return self._transport is not None and not self._transport.is_closing()

    async def send(self, data: bytes) -> Answer:
        """One request; ConnectionError when it ends before the answer does."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        body, self._body = self._body, []
        if not self._parser.should_keep_alive():
            self._transport.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), b"".join(body)))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(str(exc or "the server closed the connection")))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def wrong(status: int, body: bytes) -> str:
    """An answer that is none, with how it begins."""
    text = " ".join(body[:_SHOWN].decode(errors="replace").split())
    return f"status {status}: {text}" if text else f"status {status}"


class Sender:
    """Sends one after the other, over a connection that is made anew after it was lost."""

    def __init__(self, target: Target, requests: list[bytes]) -> None:
        self._target, self._requests = target, requests
        self._tls = target.context()
        self._connection: Connection | None = None

    async def connect(self) -> None:
        """OSError when nobody is there."""
        url = self._target.url
        # Where TLS ends at a gateway, its certificate is for the name that it routes by.
        name = (self._target.host or url.hostname) if self._tls else None
        _, self._connection = await asyncio.get_running_loop().create_connection(
            Connection, url.hostname or "", self._target.port, ssl=self._tls, server_hostname=name
        )

    async def __call__(self, turn: int) -> tuple[str, bytes]:
        """What went wrong ('' if nothing), and the answer's body."""
        try:
            if self._connection is None or not self._connection.open:
                await self.connect()
            assert self._connection is not None
            status, body = await self._connection.send(self._requests[turn % len(self._requests)])
        except OSError as error:
            return f"connection: {error}", b""
        return ("" if status == 200 else wrong(status, body)), body

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def encoded(target: Target, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """The bytes of a request."""
    fields = {**target.headers(), **headers, "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {target.url.path}{path} HTTP/1.1\r\n{lines}\r\n".encode() + body
