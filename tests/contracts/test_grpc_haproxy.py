"""gRPC's own client, HAProxy as Serve configures it and our wrapper leaves it, and behind it our answers
over HTTP/1.1 and a gRPC server's."""

import asyncio
import os

import grpc
import pytest

from serve_app.core.call import Headers
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
        self.clients: list[str] = []

    async def __call__(self, scope, receive, send):
        if scope["path"] != grpc_http1.PATH:  # HAProxy asks whether we are healthy
            await respond(send, 200, [b"success"], [])
            return
        self.clients.append(Headers(scope["headers"]).get("x-client-address"))
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


async def _echoed(requests, context):
    async for data in requests:
        yield data


async def _healthy(request, context):
    return b"\n\x07success"  # as Serve's servers answer HAProxy's checks


@pytest.fixture
async def streams():
    """The port of a gRPC server that answers each message of a stream with itself."""
    port, server = free_port(), grpc.aio.server()
    for service, handlers in {
        "inference.GRPCInferenceService": {
            "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(_echoed)
        },
        "ray.serve.RayServeAPIService": {"Healthz": grpc.unary_unary_rpc_method_handler(_healthy)},
    }.items():
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    yield port
    await server.stop(None)


@pytest.fixture
async def address(backend, streams, tmp_path):
    """HAProxy's, before them both."""
    port = free_port()
    async with Server(backend) as server:
        _, behind = server.address
        groups = group("tandem", HTTP, behind), group("tandem", GRPC, streams)
        ports = {"http_port": free_port(), "grpc_port": port, "other": (free_port(), free_port())}
        haproxy = await asyncio.create_subprocess_exec(
            haproxy_wrapper(tmp_path), "-db", "-q", "-f", rendered(tmp_path, *groups, **ports),
            env=os.environ | ASKED,
        )  # fmt: skip
        try:
            await listening(port)
            yield f"127.0.0.1:{port}"
        finally:
            haproxy.terminate()
            await haproxy.wait()


@pytest.fixture
async def infer(address):
    """`ModelInfer` on one channel, bytes to bytes."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield channel.unary_unary(grpc_http1.PATH)


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
    hints = {("retry-after", "1"), ("grpc-retry-pushback-ms", "1000")}
    assert hints <= {(name, value) for name, value in full.trailing_metadata()}
    assert await infer(b"again") == b"again!"
    seen = [await backend.ended() for _ in range(5)]
    assert seen == ["OK", "OK", "NOT_FOUND", "RESOURCE_EXHAUSTED", "OK"]


async def test_nobody_says_that_they_are_another(infer, backend):
    await infer(b"x", metadata=[("x-client-address", "10.0.0.7")])
    assert backend.clients == ["127.0.0.1"]


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


def client(address: str) -> grpc.aio.Channel:
    """A channel with a connection of its own, as another process has one."""
    return grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])


def stream(channel: grpc.aio.Channel) -> grpc.aio.StreamStreamCall:
    return channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")()


async def write_until_full(call: grpc.aio.StreamStreamCall) -> None:
    """A TimeoutError says that nothing on the way has room for more."""
    while True:
        await asyncio.wait_for(call.write(bytes(400_000)), 2)


async def test_a_client_that_does_not_read_stops_nobody_else(address):
    async with client(address) as full, client(address) as other:
        unread = stream(full)
        await unread.write(b"first")
        assert await asyncio.wait_for(unread.read(), 20) == b"first"
        with pytest.raises(TimeoutError):
            await write_until_full(unread)
        call = stream(other)
        await call.write(b"hello")
        assert await asyncio.wait_for(call.read(), 20) == b"hello"
        unread.cancel()
