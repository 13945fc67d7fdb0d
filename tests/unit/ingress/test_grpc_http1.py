"""gRPC calls as HAProxy hands them on: HTTP/1.1, byte by byte."""

import asyncio
import gzip
import logging
import zlib
from urllib.parse import unquote_to_bytes

import pytest
from grpc import StatusCode

from serve_app.core.deadlines import Departures
from serve_app.errors import NotFound, Overloaded
from serve_app.http.asgi import watched
from serve_app.ingress import grpc_http1
from serve_app.ingress.status import GRPC
from tests.unit.ingress.connections import Client, Server
from tests.unit.ingress.grpc_bodies import HEAD, HINTS, frame, post, refused
from tests.unit.loops import LOOPS  # noqa: F401

LIMIT = 1_000_000
UNREADABLE = "the call's {} bytes are not one gRPC message"


class Calls:
    """Answers every call with `infer`, and keeps the statuses."""

    def __init__(self) -> None:
        self.infer = surround
        self.statuses: list[str] = []
        self.ended = asyncio.Event()

    async def __call__(self, scope, receive, send):
        self.statuses.append(await grpc_http1.answer(scope, receive, send, self.infer, LIMIT))
        self.ended.set()


class Slow:
    """Says when it began, and whether it was cancelled."""

    def __init__(self) -> None:
        self.began, self.cancelled = asyncio.Event(), asyncio.Event()
        self.infer = watched(self._infer, Departures())

    async def _infer(self, message):
        self.began.set()
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


async def surround(call, receive):
    message, headers = call
    assert headers.get("content-type") == "application/grpc"
    return [b"<", message, memoryview(b">")]


def raises(error: BaseException):
    async def infer(message, receive):
        raise error

    return infer


@pytest.fixture
async def calls():
    return Calls()


@pytest.fixture
async def server(calls):
    async with Server(calls) as started:
        yield started


def chunked(*chunks: bytes) -> bytes:
    head = post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def answered(message: bytes) -> bytes:
    data = frame(b"<" + message + b">")
    head = HEAD + b"transfer-encoding: chunked\r\ntrailer: grpc-status\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\ngrpc-status: 0\r\n\r\n" % (len(data), data)


@pytest.mark.parametrize("size", [0, 1, 300_000])
async def test_an_answer_ends_with_its_status(client, server, calls, size):
    message = bytes(range(256)) * (size // 256) + bytes(size % 256)
    await client.send(post(frame(message)))
    expected = answered(message)
    assert await client.exactly(len(expected)) == expected
    assert await client.silent()
    assert (len(server.writes), calls.statuses) == (1, ["OK"])


async def test_one_connection_many_calls(client, calls):
    for message in (b"one", b"two"):
        assert await client.ask(post(frame(message))) == answered(message)
    wrong = refused(StatusCode.INVALID_ARGUMENT, UNREADABLE.format(3))
    assert await client.ask(post(b"one")) == wrong
    await client.send(post(frame(b"three")) + post(b"one") + post(frame(b"four")))
    expected = answered(b"three") + wrong + answered(b"four")
    assert await client.exactly(len(expected)) == expected
    assert calls.statuses == ["OK", "OK", "INVALID_ARGUMENT", "OK", "INVALID_ARGUMENT", "OK"]


async def test_a_call_that_comes_in_pieces(client):
    data = frame(b"message")
    assert await client.ask(chunked(*(data[i : i + 1] for i in range(len(data))))) == answered(
        b"message"
    )
    for byte in post(data):
        await client.send(bytes([byte]))
    assert await client.receive() == answered(b"message")


@pytest.mark.parametrize("kind", GRPC)
async def test_every_kind_of_error_has_its_status(client, calls, kind):
    calls.infer = raises(kind("no: 'ö', 100 % of\nit"))
    said = "no: '%C3%B6', 100 %25 of%0Ait"
    hints = HINTS if kind is Overloaded else b""
    assert await client.ask(post(frame(b"x"))) == refused(GRPC[kind], said, hints)
    assert calls.statuses == [GRPC[kind].name]


async def test_messages_survive_whatever_they_hold(client, calls):
    for text in ("".join(map(chr, range(0x180))), "\r\nx: y\r\n", "日本 %41", "", "long" * 500):
        calls.infer = raises(NotFound(text))
        head = await client.ask(post(frame(b"x")))
        said = head.partition(b"\r\ngrpc-message: ")[2].split(b"\r\n")[0]
        assert unquote_to_bytes(said) == text.encode()
        assert head == refused(StatusCode.NOT_FOUND, said.decode("ascii"))
    calls.infer = raises(NotFound("half \ud800"))
    assert await client.ask(post(frame(b"x"))) == refused(StatusCode.NOT_FOUND, "half ?")


@pytest.mark.parametrize(
    "text",
    ["a" * 9000, "é" * 9000, "%" * 9000],
)
async def test_no_message_is_longer_than_clients_take(client, calls, text):
    """gRPC's own clients refuse at random what has more than 8 KiB of headers."""
    calls.infer = raises(NotFound(text))
    assert len(await client.ask(post(frame(b"x")))) < 8000


async def test_a_bug_is_logged_and_not_shown(client, calls, caplog):
    calls.infer = raises(RuntimeError("a secret"))
    expected = refused(StatusCode.INTERNAL, "internal error; the server log has it")
    assert await client.ask(post(frame(b"x"))) == expected
    assert calls.statuses == ["INTERNAL"]
    assert "a secret" in caplog.text


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


PACKS = [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)]
packed = pytest.mark.parametrize(("coding", "pack"), PACKS, ids=["gzip", "zlib", "raw deflate"])


@packed
@pytest.mark.parametrize("size", [0, 5, LIMIT])
async def test_compressed_messages(client, coding, pack, size):
    message = b"ab" * (size // 2) + b"c" * (size % 2)
    await client.send(post(frame(pack(message), 1), f"grpc-encoding: {coding}"))
    expected = answered(message)
    assert await client.exactly(len(expected)) == expected


async def test_a_call_that_announces_a_coding_may_leave_a_message_as_it_is(client):
    for coding in ("gzip", "identity", "br"):
        assert await client.ask(post(frame(b"x"), f"grpc-encoding: {coding}")) == answered(b"x")


@packed
async def test_what_unpacks_to_too_much(client, calls, coding, pack):
    got = await client.ask(post(frame(pack(bytes(5 * LIMIT)), 1), f"grpc-encoding: {coding}"))
    assert f"the {coding} body unpacks to more than the limit".encode() in got
    assert calls.statuses == ["RESOURCE_EXHAUSTED"]


@pytest.mark.parametrize(
    ("body", "headers", "says"),
    [
        (b"", (), UNREADABLE.format(0)), (b"\0\0\0\0", (), UNREADABLE.format(4)),
        (frame(b"abc")[:-1], (), UNREADABLE.format(7)), (frame(b"abc") + b"d", (), UNREADABLE.format(9)),
        (frame(b"a") + frame(b"b"), (), UNREADABLE.format(12)),
        (frame(b"\xff" * 9, 1), ("grpc-encoding: gzip",), "the body is not valid gzip"),
        (frame(gzip.compress(b"a")[:-1], 1), ("grpc-encoding: gzip",), "the gzip body is cut short"),
        (frame(gzip.compress(b"a") + b"b", 1), ("grpc-encoding: gzip",),
         "the gzip body goes on after its end"),
    ],
    ids=["nothing", "no length", "too short", "too long", "two messages", "not gzip", "gzip cut",
         "behind gzip"],
)  # fmt: skip
async def test_what_is_not_one_message(client, calls, body, headers, says):
    assert await client.ask(post(body, *headers)) == refused(StatusCode.INVALID_ARGUMENT, says)
    assert await client.ask(post(frame(b"x"))) == answered(b"x")
    assert calls.statuses == ["INVALID_ARGUMENT", "OK"]


@pytest.mark.parametrize("headers", [(), ("grpc-encoding: br",), ("grpc-encoding: identity",)])
async def test_a_coding_that_nobody_understands(client, headers):
    coding = headers[0].partition(": ")[2] if headers else "identity"
    got = await client.ask(post(frame(b"x", 1), *headers))
    assert f"grpc-message: grpc-encoding must be gzip or deflate, got '{coding}'".encode() in got
    assert b"grpc-status: 12\r\n" in got  # UNIMPLEMENTED, as gRPC wants it


async def test_limits_are_inclusive(client, calls):
    for send in (post, chunked):
        await client.send(send(frame(bytes(LIMIT))))
        expected = answered(bytes(LIMIT))
        assert await client.exactly(len(expected)) == expected
        got = await client.ask(send(frame(bytes(LIMIT + 1))))
        assert got.startswith(HEAD + b"grpc-status: 8\r\n")
        assert b"limit (maxBodyBytes)" in got
    assert calls.statuses == ["OK", "RESOURCE_EXHAUSTED"] * 2
    assert await client.ask(post(frame(b"x"))) == answered(b"x")


async def test_a_client_that_leaves_cancels_its_call(server, client, calls, caplog):
    slow = Slow()
    calls.infer = slow.infer
    await client.send(post(frame(b"x")))
    await asyncio.wait_for(slow.began.wait(), 5)
    client.close()
    await asyncio.wait_for(slow.cancelled.wait(), 5)
    await asyncio.wait_for(calls.ended.wait(), 5)
    assert (server.writes, calls.statuses) == ([], ["CANCELLED"])
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_client_that_leaves_before_it_has_said_all(server, client, calls):
    await client.send(post(frame(b"x" * 100))[:-1])
    client.close()
    await asyncio.wait_for(calls.ended.wait(), 5)
    assert (server.writes, calls.statuses) == ([], ["CANCELLED"])


async def test_leaving_just_before_the_answer(server, client, calls, caplog):
    leaves = asyncio.Event()

    async def infer(message, receive):
        leaves.set()
        await asyncio.sleep(0.02)
        return [b"late"]

    calls.infer = infer
    await client.send(post(frame(b"x")))
    await asyncio.wait_for(leaves.wait(), 5)
    client.close()
    await asyncio.wait_for(calls.ended.wait(), 5)
    assert (server.writes, calls.statuses) == ([], ["OK"])
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def messages(*bodies: bytes):
    left = [{"type": "http.request", "body": body, "more_body": True} for body in bodies]
    left[-1]["more_body"] = False

    async def receive():
        return left.pop(0)

    return receive


async def test_without_uvicorns_own_send_there_is_no_answer():
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "headers": [(b"Content-Type", b"application/grpc")]}
    status = await grpc_http1.answer(scope, messages(frame(b"x")), send, surround, LIMIT)
    assert status == "UNAVAILABLE"
    headers = dict(sent[0]["headers"])
    assert (sent[0]["status"], headers[b"grpc-status"]) == (200, b"14")
    assert sent[1:] == [{"type": "http.response.body"}]
    status = await grpc_http1.answer(scope, messages(b"x"), send, raises(NotFound("never asked")), LIMIT)
    assert status == "INVALID_ARGUMENT"


async def test_refuse_is_a_whole_answer():
    async def app(scope, receive, send):
        await grpc_http1.refuse(send, StatusCode.UNAVAILABLE, "no Router is ready; try again")

    async with Server(app) as server:
        client = Client(server.address)
        for _ in range(2):
            expected = refused(StatusCode.UNAVAILABLE, "no Router is ready; try again")
            assert await client.ask(post(frame(bytes(100_000)))) == expected
        client.close()
