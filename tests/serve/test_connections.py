"""Slow, idle and resetting clients, by the thousand, with verified traffic and probes beside them.

Each case prints what docs/operations.md has in its table.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine

import grpc
import pytest

from tests.serve.beside import SERVICE, Beside
from tests.server import Server, Setup

pytestmark = pytest.mark.long
behind_haproxy = pytest.mark.parametrize("server", [Setup("high-throughput")], ids=str, indirect=True)
without_haproxy = pytest.mark.parametrize("server", [Setup("default")], ids=str, indirect=True)
SECONDS = 5.0
POST = b"POST /v2/models/identity/infer HTTP/1.1\r\nHost: t\r\nContent-Length: 90000\r\n\r\n{"
STREAM, WATCH = f"{SERVICE}/ModelStreamInfer", "/grpc.health.v1.Health/Watch"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"


def headers(stream: int, path: str, host: bytes = b"t") -> bytes:
    """A call that begins, in HTTP/2."""
    fields = {
        ":method": b"POST",
        ":scheme": b"http",
        ":path": path.encode(),
        ":authority": host,
        "te": b"trailers",
        "content-type": b"application/grpc",
    }
    block = b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value
        for name, value in fields.items()
    )
    return len(block).to_bytes(3, "big") + b"\1\4" + stream.to_bytes(4, "big") + block


def reset(stream: int) -> bytes:
    return b"\0\0\4\3\0" + stream.to_bytes(4, "big") + (8).to_bytes(4, "big")


class Crowd:
    """Connections that send some bytes and wait; another comes for each that is closed."""

    def __init__(self, port: int, count: int, sends: bytes, more: bytes = b"") -> None:
        self._port, self._count, self._sends, self._more = port, count, sends, more
        self.opened = 0

    async def __call__(self, over: asyncio.Event) -> None:
        ones = [asyncio.ensure_future(self._one(over)) for _ in range(self._count)]
        await over.wait()
        for one in ones:
            one.cancel()
        await asyncio.gather(*ones, return_exceptions=True)

    async def _one(self, over: asyncio.Event) -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                self.opened += 1
                try:
                    writer.write(self._sends)
                    while True:
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(1):
                                if not await reader.read(2**16):
                                    break
                        if self._more:
                            writer.write(self._more)
                finally:
                    writer.transport.abort()
            await asyncio.sleep(0.05)


Attack = Callable[[asyncio.Event], Coroutine[object, object, None]]


def held(server: Server, what: str, *attacks: Attack) -> Beside:
    """Run them beside clients that must notice nothing but the time."""

    async def attack() -> None:
        over = asyncio.Event()
        running = [asyncio.ensure_future(one(over)) for one in attacks]
        await asyncio.to_thread(ended.wait)
        over.set()
        await asyncio.gather(*running)

    ended = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(attack()))
    thread.start()
    try:
        time.sleep(2)  # all of them are there
        with Beside(server, "http", "grpc", "stream", "health") as beside:
            time.sleep(SECONDS)
    finally:
        ended.set()
        thread.join()
    print(f"\n{what}; beside: {beside.said()}")
    return beside


def unharmed(beside: Beside) -> None:
    assert beside.lost == 0, beside.errors[:5]
    assert beside.served > 100


@behind_haproxy
@pytest.mark.parametrize("count", [1100, 2300])
def test_slow_bodies(server: Server, count: int) -> None:
    crowd = Crowd(server.http_port, count, POST, b" ")
    unharmed(held(server, f"{count} slow bodies", crowd))


@behind_haproxy
def test_slow_bodies_beyond_a_buffer(server: Server) -> None:
    crowd = Crowd(server.http_port, 1100, POST + b" " * 80_000)
    unharmed(held(server, "1100 bodies that stop in the middle", crowd))


@behind_haproxy
@pytest.mark.parametrize("method", ["ModelInfer", "ModelMetadata"])
def test_calls_without_a_message(server: Server, method: str) -> None:
    calls = b"".join(headers(2 * number + 1, f"{SERVICE}/{method}") for number in range(100))
    unharmed(
        held(server, f"1,100 {method} without a message", Crowd(server.grpc_port, 11, PREFACE + calls))
    )


@behind_haproxy
def test_slow_heads(server: Server) -> None:
    unharmed(held(server, "2,300 slow heads", Crowd(server.http_port, 2300, POST[:40], b"x")))


@behind_haproxy
def test_idle_connections(server: Server) -> None:
    crowds = (Crowd(server.http_port, 2100, b""), Crowd(server.grpc_port, 2100, b""))
    unharmed(held(server, "4,200 idle connections", *crowds))


def idle_streams(server: Server, path: str) -> Attack:
    async def attack(over: asyncio.Event) -> None:
        async def nothing() -> AsyncIterator[bytes]:
            await over.wait()
            return
            yield b""

        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.aio.insecure_channel(server.grpc, options) for _ in range(14)]
        calls = []
        for channel in channels:
            for _ in range(95):
                if path == WATCH:
                    calls.append(channel.unary_stream(path)(b""))
                else:
                    calls.append(channel.stream_stream(path)(nothing()))
                await asyncio.sleep(0)
        await over.wait()
        for call in calls:
            call.cancel()
        for channel in channels:
            await channel.close()

    return attack


@behind_haproxy
@pytest.mark.parametrize("path", [STREAM, WATCH])
def test_idle_streams(server: Server, path: str) -> None:
    unharmed(held(server, f"1,330 idle {path}", idle_streams(server, path)))


@behind_haproxy
@pytest.mark.parametrize("port", ["http_port", "grpc_port"])
def test_rapid_reset(server: Server, port: str) -> None:
    sent = 0

    async def resets(over: asyncio.Event) -> None:
        nonlocal sent
        while not over.is_set():
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", getattr(server, port))
                writer.write(PREFACE)
                stream = 1
                while not over.is_set():
                    pairs = range(stream, stream + 200, 2)
                    writer.write(
                        b"".join(headers(one, f"{SERVICE}/ModelInfer") + reset(one) for one in pairs)
                    )
                    stream, sent = stream + 200, sent + 100
                    await writer.drain()
                    await asyncio.sleep(0)
                writer.transport.abort()

    beside = held(server, f"rapid reset at {port}", resets)
    print(f"{sent} resets")
    assert sent > 10_000
    unharmed(beside)


@without_haproxy
def test_slow_bodies_without_haproxy(server: Server) -> None:
    unharmed(held(server, "default mode: 1,100 slow bodies", Crowd(server.http_port, 1100, POST, b" ")))


@without_haproxy
def test_idle_streams_without_haproxy(server: Server) -> None:
    unharmed(held(server, "default mode: 1,330 idle streams", idle_streams(server, STREAM)))
