"""Idle, slow and many clients of HAProxy as Serve configures it and our wrapper leaves it."""

import asyncio
import os

import grpc
import pytest

from serve_app.internals.haproxy import haproxy_wrapper
from serve_app.ports import free_port
from tests.contracts.clients import ARRIVES, SERVICE, SILENT, Connection, Service
from tests.contracts.rendered import GRPC, HTTP, group, rendered
from tests.contracts.test_grpc_haproxy import listening

HEALTH = b"GET /v2/health/live HTTP/1.1\r\nHost: t\r\n\r\n"
PLAIN = b"GET /v2/models/m HTTP/1.1\r\nHost: t\r\n\r\n"
POST = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture
async def service(tmp_path):
    async with Service().running(tmp_path) as running:
        yield running


@pytest.mark.parametrize("sent", [b"", b"POST / HTTP/1.1\r\nHo"], ids=["nothing", "half a head"])
async def test_who_sends_no_request_is_let_go(service, sent):
    one = await service.connect()
    one.writer.write(sent)
    assert ARRIVES - 0.5 < await one.closed() < ARRIVES + 10


@pytest.mark.parametrize("port", ["http", "grpc"])
async def test_who_may_take_longer_to_ask_than_to_be_silent(tmp_path, port):
    async with Service().running(tmp_path, TANDEM_CLIENT_ARRIVES_S="4") as service:
        one = await service.connect(port=getattr(service, port))
        assert 4 - 0.5 < await one.closed() < 4 + 10


@pytest.mark.parametrize(
    "sent", [b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"], ids=["nothing", "settings"]
)
async def test_who_makes_no_call_is_let_go(service, sent):
    one = await service.connect(port=service.grpc)
    one.writer.write(sent)
    assert ARRIVES - 0.5 < await one.closed() < ARRIVES + 10


async def test_the_port_for_grpc_speaks_nothing_else(service):
    one = await service.connect(port=service.grpc)
    assert await one.ask(PLAIN) == b""


async def test_a_body_that_does_not_come_reaches_no_router(service):
    one = await service.connect()
    answer = await one.ask(POST % 10 + b"half")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'{"error":"the request did not come within the time' in answer
    assert service.backend.asked == []
    long = await service.connect()  # longer than a buffer: on its way already
    assert (await long.ask(POST % 10**6 + bytes(10**5))).startswith(b"HTTP/1.1 4")


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"


def begun(stream: int, method: str) -> bytes:
    """A call in HTTP/2, without its message."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": f"/{SERVICE}/{method}",
        ":authority": "t",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    block = b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )
    return len(block).to_bytes(3, "big") + b"\1\4" + stream.to_bytes(4, "big") + block


async def test_a_call_whose_message_does_not_come(service):
    one = await service.connect(port=service.grpc)
    one.writer.write(PREFACE + begun(1, "ServerMetadata"))
    said = b""
    while b"did not come" not in said:
        part = await asyncio.wait_for(one.reader.read(2**16), 20)
        assert part, said
        said += part


@pytest.mark.parametrize("port", ["http", "grpc"])
async def test_calls_that_are_reset_at_once_reach_no_router(service, port):
    one = await service.connect(port=getattr(service, port))
    one.writer.write(PREFACE)
    for stream in range(1, 20_001, 2):
        reset = b"\0\0\4\3\0" + stream.to_bytes(4, "big") + b"\0\0\0\x08"
        one.writer.write(begun(stream, "ModelInfer") + reset)
        if stream % 200 == 1:
            await asyncio.wait_for(one.writer.drain(), 20)
    async with service.channel() as channel:
        assert await channel.unary_unary(f"/{SERVICE}/ServerMetadata")(b"", timeout=20)
    assert b" 200 OK" in await (await service.connect()).ask(PLAIN)
    assert service.backend.asked == ["/v2/models/m"]


async def test_answers_and_streams_take_as_long_as_they_take(service):
    """Twice as long as a client may be silent that has to say something."""
    long = str(2 * SILENT).encode()

    async def answered(asked: bytes) -> None:
        answer = await (await service.connect()).ask(asked)
        assert b" 200 OK" in answer
        assert answer.endswith(b"last\r\n0\r\n\r\n")

    async def streamed() -> None:
        async with service.channel() as channel:
            call = channel.stream_stream(f"/{SERVICE}/ModelStreamInfer")()
            await call.write(long)  # silent while it is computed, and for a pause of its own
            assert await asyncio.wait_for(call.read(), 20) == long
            await asyncio.sleep(2 * SILENT)
            await call.write(b"0")
            assert await asyncio.wait_for(call.read(), 20) == b"0"

    body = POST.replace(b"/infer", b"/infer/" + long) % 2 + b"{}"
    await asyncio.gather(answered(body), answered(PLAIN.replace(b"/m ", b"/m/%b " % long)), streamed())


async def test_an_address_has_so_many_connections(tmp_path):
    async with Service().running(
        tmp_path, TANDEM_CONNECTIONS_PER_ADDRESS="5", TANDEM_CLIENT_ARRIVES_S="60"
    ) as service:
        mine = [await service.connect("127.0.0.1") for _ in range(5)]
        await service.until("127.0.0.1", PLAIN, b"")
        assert await service.refuses("127.0.0.1", service.grpc)
        other = await service.connect("127.0.0.2")
        assert b" 200 OK" in await other.ask(PLAIN)
        assert b" 200 OK" in await mine[0].ask(PLAIN)
        mine[1].writer.close()
        await service.until("127.0.0.1", PLAIN, b"HTTP/1.1 200 OK")


async def test_a_gateway_may_have_all_of_them(tmp_path):
    async with Service().running(
        tmp_path, TANDEM_CONNECTIONS_PER_ADDRESS="0", TANDEM_CLIENT_ARRIVES_S="60"
    ) as service:
        mine = [await service.connect() for _ in range(860)]  # of 875, of 1,000
        assert b" 200 OK" in await mine[-1].ask(PLAIN)


async def test_when_there_are_too_many_health_is_answered_and_others_are_told(tmp_path):
    async with Service().running(tmp_path, TANDEM_CLIENT_ARRIVES_S="60") as service:
        early = await service.connect("127.0.0.9")
        idle = []
        for address in ("127.0.0.1", "127.0.0.2"):
            idle += [await service.connect(address) for _ in range(437)]  # 875 of 1,000 are for all
        await service.until("127.0.0.1", PLAIN, b"")
        late = await service.connect("127.0.0.3")
        assert b" 200 OK" in await late.ask(HEALTH)
        answer = await late.ask(PLAIN)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in answer.lower()
        assert b'{"error":"too many connections at once; try again later"}' in answer
        assert await late.closed() < 10
        assert b" 200 OK" in await early.ask(PLAIN)  # was there before
        async with service.channel() as channel:  # of 127.0.0.1, which has too many
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary(f"/{SERVICE}/ServerLive")(b"")
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        for one in idle[:400]:
            await one.close()
        await service.until("127.0.0.1", PLAIN, b"HTTP/1.1 200 OK")
        async with service.channel() as channel:
            assert await channel.unary_unary(f"/{SERVICE}/ServerMetadata")(b"")


async def test_a_call_among_too_many_connections(tmp_path):
    async with Service().running(tmp_path, TANDEM_CLIENT_ARRIVES_S="60") as service:
        idle = []
        for address, count in (("127.0.0.2", 437), ("127.0.0.3", 438)):
            idle += [await service.connect(address) for _ in range(count)]
        await service.until("127.0.0.3", PLAIN, b"")
        async with service.channel() as channel:
            assert await channel.unary_unary(f"/{SERVICE}/ServerLive")(b"")
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary(f"/{SERVICE}/ServerMetadata")(b"")
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            assert refused.value.details() == "too many connections at once; try again later"


async def test_without_a_router_clients_are_told_to_come_again(tmp_path):
    ports = {"http_port": free_port(), "grpc_port": free_port(), "other": (free_port(), free_port())}
    groups = group("tandem", HTTP, free_port()), group("tandem", GRPC, free_port())
    file = rendered(tmp_path, *groups, **ports)
    haproxy = await asyncio.create_subprocess_exec(
        haproxy_wrapper(tmp_path), "-db", "-q", "-f", file, env=os.environ
    )
    try:
        await listening(ports["http_port"])
        one = Connection(*await asyncio.open_connection("127.0.0.1", ports["http_port"]))
        answer = await one.ask(PLAIN)
        await one.close()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'{"error":"no Router is ready; try again later"}' in answer
        async with grpc.aio.insecure_channel(f"127.0.0.1:{ports['grpc_port']}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary(f"/{SERVICE}/ServerMetadata")(b"")
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert refused.value.details() == "no Router is ready; try again later"
    finally:
        haproxy.terminate()
        await haproxy.wait()


async def test_no_more_connections_than_there_may_be_files(tmp_path):
    """HAProxy refuses to start with more."""
    port = free_port()
    other = free_port(), free_port()
    file = rendered(tmp_path, http_port=port, grpc_port=free_port(), other=other)
    file.write_text(file.read_text().replace("maxconn 1000", "maxconn 16384"))
    limited = f'ulimit -n 3000; exec "{haproxy_wrapper(tmp_path)}" -db -q -f "{file}"'
    haproxy = await asyncio.create_subprocess_exec("sh", "-c", limited)
    try:
        await listening(port)
    finally:
        haproxy.terminate()
        await haproxy.wait()
    (line,) = [line for line in file.read_text().splitlines() if line.startswith("    maxconn")]
    assert int(line.split()[1]) == 1040
