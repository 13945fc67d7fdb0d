"""gRPC's own client, HAProxy as Serve configures it and our wrapper leaves it, and our answers over
HTTP/1.1 behind it."""

import asyncio
import os

import grpc
import pytest

from serve_app.core.deadlines import Departures
from serve_app.errors import NotFound, Overloaded
from serve_app.http.asgi import respond, watched
from serve_app.ingress import grpc_http1
from serve_app.internals.haproxy import haproxy_wrapper
from serve_app.ports import free_port
from tests.contracts.rendered import GRPC, HTTP, group, rendered
from tests.unit.ingress.connections import Server

ASKED = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.ingress.fast_path:middlewares"}
LOST = "no model 'ö', 100 %\n" + "and more " * 100 + "\n"


class Backend:
    """Answers a message as it says itself, and notes what became of it."""

    def __init__(self) -> None:
        self.infer = watched(self._infer, Departures())
        self.began, self.statuses = asyncio.Event(), asyncio.Queue()

    async def __call__(self, scope, receive, send):
        if scope["path"] != grpc_http1.PATH:  # HAProxy asks whether we are healthy
            await respond(send, 200, [b"success"], [])
            return
        status = await grpc_http1.answer(scope, receive, send, self.infer, 2**22)
        self.statuses.put_nowait(status)

    async def _infer(self, message):
        data = bytes(message[0])
        if data == b"lost":
            raise NotFound(LOST)
        if data == b"full":
            raise Overloaded("later")
        if data == b"slow":
            self.began.set()
            await asyncio.sleep(30)
        await asyncio.sleep(0.001 * (len(data) % 7))  # not in the order of their coming
        return [data[: len(data) // 2], data[len(data) // 2 :], b"!"]

    async def ended(self) -> str:
        return await asyncio.wait_for(self.statuses.get(), 10)


async def listening(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise TimeoutError


@pytest.fixture
async def backend():
    return Backend()


@pytest.fixture
async def infer(backend, tmp_path):
    """`ModelInfer` on one channel, bytes to bytes."""
    port, unused = free_port(), free_port()
    async with Server(backend) as server:
        _, behind = server.address
        groups = group("tandem", HTTP, behind), group("tandem", GRPC, unused)
        ports = {"http_port": free_port(), "grpc_port": port, "other": (free_port(), free_port())}
        haproxy = await asyncio.create_subprocess_exec(
            haproxy_wrapper(tmp_path), "-db", "-q", "-f", rendered(tmp_path, *groups, **ports),
            env=os.environ | ASKED,
        )  # fmt: skip
        try:
            await listening(port)
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield channel.unary_unary(grpc_http1.PATH)
        finally:
            haproxy.terminate()
            await haproxy.wait()


async def failure(call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await asyncio.wait_for(call, 20)
    return failed.value


async def test_an_answer_and_an_error_and_an_answer(infer, backend):
    for data in (b"", b"hello"):
        assert await infer(data) == data + b"!"
    lost = await failure(infer(b"lost"))
    assert (lost.code(), lost.details()) == (grpc.StatusCode.NOT_FOUND, LOST)
    full = await failure(infer(b"full"))
    assert (full.code(), full.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "later")
    assert await infer(b"again") == b"again!"
    seen = [await backend.ended() for _ in range(5)]
    assert seen == ["OK", "OK", "NOT_FOUND", "RESOURCE_EXHAUSTED", "OK"]


@pytest.mark.parametrize("compression", list(grpc.Compression), ids=str)
async def test_large_messages(infer, compression):
    data = bytes(range(251)) * (3_000_000 // 251)
    assert await infer(data, compression=compression) == data + b"!"


async def test_beyond_the_limit(infer):
    refused = await failure(infer(bytes(2**22 + 1)))
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "limit (maxBodyBytes)" in refused.details()
    assert await infer(b"x") == b"x!"


async def test_calls_at_the_same_time_get_their_own_answers(infer):
    sent = [bytes([65 + number]) * (1 + number * 5000) for number in range(20)]
    assert await asyncio.gather(*map(infer, sent)) == [data + b"!" for data in sent]


async def test_a_deadline_cancels_the_inference(infer, backend):
    late = await failure(infer(b"slow", timeout=0.3))
    assert late.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await backend.ended() == "CANCELLED"
    assert await infer(b"x") == b"x!"


async def test_a_client_that_cancels(infer, backend):
    call = infer(b"slow")
    others = [asyncio.ensure_future(infer(b"x" * size)) for size in range(10)]
    await asyncio.wait_for(backend.began.wait(), 10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.gather(*others) == [b"x" * size + b"!" for size in range(10)]
    assert sorted([await backend.ended() for _ in range(11)]) == ["CANCELLED"] + ["OK"] * 10
