"""HAProxy as Serve configures it and our wrapper leaves it, between backends and clients of a test."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator

import grpc

from serve_app.internals.haproxy import haproxy_wrapper
from serve_app.ports import free_port
from tests.contracts.rendered import GRPC, HTTP, group, rendered
from tests.contracts.test_grpc_haproxy import listening

SERVICE = "inference.GRPCInferenceService"
ARRIVES, SILENT = 1, 1  # seconds


class Backend:
    """A Router's HTTP port; a path that ends with a number of seconds takes them."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split()[1].decode()
                length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
                if path != "/-/healthz":
                    self.asked.append(path)
                await reader.readexactly(int(length or 0))
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
                await writer.drain()
                if path[-1].isdigit():
                    await asyncio.sleep(float(path.rpartition("/")[2]))
                writer.write(b"4\r\nlast\r\n0\r\n\r\n")
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _answered(request: bytes, context: object) -> bytes:
    return b"\n\x07success"  # as Serve's servers answer HAProxy's checks


async def _slowly(requests: AsyncIterator[bytes], context: object) -> AsyncIterator[bytes]:
    async for data in requests:
        await asyncio.sleep(float(data))
        yield data


class Service:
    """HAProxy, before a backend of each kind. `http` and `grpc` are its ports."""

    def __init__(self) -> None:
        self.http, self.grpc = free_port(), free_port()
        self.backend = Backend()
        self._connections: list[Connection] = []

    @contextlib.asynccontextmanager
    async def running(self, folder, **environment: str) -> AsyncIterator["Service"]:
        behind = await asyncio.start_server(self.backend, "127.0.0.1", 0)
        port, server = free_port(), grpc.aio.server()
        unary = grpc.unary_unary_rpc_method_handler(_answered)
        stream = grpc.stream_stream_rpc_method_handler(_slowly)
        for name, handlers in {
            SERVICE: {"ModelStreamInfer": stream, "ServerLive": unary, "ServerMetadata": unary},
            "ray.serve.RayServeAPIService": {"Healthz": unary},
        }.items():
            handler = grpc.method_handlers_generic_handler(name, handlers)
            server.add_generic_rpc_handlers((handler,))
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        groups = (
            group("tandem", HTTP, behind.sockets[0].getsockname()[1]),
            group("tandem", GRPC, port),
        )
        ports = {"http_port": self.http, "grpc_port": self.grpc, "other": (free_port(), free_port())}
        given = {"TANDEM_CLIENT_ARRIVES_S": str(ARRIVES), "TANDEM_CLIENT_SILENT_S": str(SILENT)}
        file = rendered(folder, *groups, **ports)
        haproxy = await asyncio.create_subprocess_exec(
            haproxy_wrapper(folder), "-db", "-q", "-f", file, env=os.environ | given | environment
        )
        try:
            await listening(self.grpc)
            yield self
        finally:
            for one in self._connections:
                await one.close()
            haproxy.terminate()
            await haproxy.wait()
            await server.stop(None)
            behind.close()
            await behind.wait_closed()

    async def connect(self, address: str = "127.0.0.1", port: int = 0) -> "Connection":
        where = ("127.0.0.1", port or self.http)
        made = Connection(*await asyncio.open_connection(*where, local_addr=(address, 0)))
        self._connections.append(made)
        return made

    async def refuses(self, address: str, port: int = 0) -> bool:
        """Whether a connection is closed as soon as it is there."""
        try:
            one = await self.connect(address, port)
        except ConnectionError:
            return True
        return await one.closed() < 10

    async def until(self, address: str, asked: bytes, said: bytes) -> None:
        """It is answered so. HAProxy counts what comes and goes a moment later than the kernel."""
        for _ in range(200):
            found = b""
            with contextlib.suppress(ConnectionError):
                one = await self.connect(address)
                found = await one.ask(asked)
                await one.close()
            if found[: len(said) or None] == said:
                return
            await asyncio.sleep(0.05)
        raise TimeoutError(found)

    def channel(self) -> grpc.aio.Channel:
        options = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.grpc}", options)


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, data: bytes) -> bytes:
        """What comes until a body ends, or the connection does."""
        self.writer.write(data)
        said = b""
        while b"\r\n0\r\n\r\n" not in said and not said.endswith(b"}"):
            part = await asyncio.wait_for(self.reader.read(2**16), 20)
            if not part:
                break
            said += part
        return said

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def closed(self) -> float:
        """How long it stays open."""
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(self.reader.read(), 20)
        return time.monotonic() - began
