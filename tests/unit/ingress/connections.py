"""uvicorn as Serve runs it, and clients that see every byte."""

import asyncio
import socket
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState


class Counted:
    """A transport that notes how much each write holds."""

    def __init__(self, transport: Any, writes: list[int]) -> None:
        self._transport, self._writes = transport, writes

    def write(self, data: bytes) -> None:
        self._writes.append(len(data))
        self._transport.write(data)

    def writelines(self, parts: tuple[bytes, ...]) -> None:
        self._writes.append(sum(map(len, parts)))
        self._transport.writelines(parts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Server:
    """uvicorn around the app; `writes` are those of all its connections, `state` knows them."""

    def __init__(self, app: Any) -> None:
        writes: list[int] = []
        self.writes = writes

        class Protocol(HttpToolsProtocol):
            def connection_made(self, transport: Any) -> None:
                super().connection_made(Counted(transport, writes))

        async def asgi(scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, send)

        config = uvicorn.Config(asgi, log_config=None, access_log=False, proxy_headers=False)
        self.state = ServerState()
        self._protocol = partial(Protocol, config, self.state, {})

    async def __aenter__(self) -> "Server":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", 0)
        self.address = self._server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in list(self.state.connections):
            connection.transport.abort()
        for _ in range(5):  # until both ends know
            await asyncio.sleep(0)


class Client:
    """One connection, byte by byte."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address)
        self._socket.setblocking(False)
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await asyncio.wait_for(self._loop.sock_sendall(self._socket, data), 10)

    async def receive(self, most: int = 2**16) -> bytes:
        return await asyncio.wait_for(self._loop.sock_recv(self._socket, most), 10)

    async def exactly(self, count: int) -> bytes:
        got = bytearray()
        while len(got) < count and (part := await self.receive(count - len(got))):
            got += part
        return bytes(got)

    async def whole(self) -> tuple[bytes, bytes]:
        """Head and body of the next answer."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await self.exactly(1)
        return head, await self.exactly(stated(head))

    async def ask(self, data: bytes) -> bytes:
        """The first thing that comes back."""
        await self.send(data)
        return await self.receive()

    async def silent(self) -> bool:
        """Whether nothing more comes."""
        try:
            await asyncio.wait_for(self._loop.sock_recv(self._socket, 1), 0.05)
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


def stated(head: bytes) -> int:
    """The length of the body behind this head."""
    return int(head.partition(b"\r\ncontent-length: ")[2].split(b"\r\n")[0])
