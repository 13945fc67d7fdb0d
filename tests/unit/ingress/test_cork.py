"""Answers as they leave uvicorn: every byte, and how many writes it took."""

import asyncio
import gc
import json
import logging
from typing import Any

import pytest

from serve_app.config import Limits
from serve_app.ingress.rest import RestApp
from serve_app.internals.uvicorn_cork import corked
from tests.unit.ingress.connections import Client, Server, stated
from tests.unit.ingress.rest_bodies import BODY, INFER
from tests.unit.loops import LOOPS  # noqa: F401
from tests.unit.planes import UNDECLARED, heard, served

LIMIT = 20_000_000
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: t\r\nX-Request-Id: r\r\n\r\n"
ALIVE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n"
    b'x-request-id: r\r\n\r\n{"live":true}'
)
ANSWER = (
    b'{"model_name":"m","model_version":"2","id":"abc","outputs":['
    b'{"name":"y","shape":[1,2],"datatype":"FP32","data":[12.0,22.0]},'
    b'{"name":"z","shape":[1,2],"datatype":"FP32","data":[1.0,2.0]}]}'
)
SLOW = "/v2/models/slow/infer"


class Slow:
    """Answers after `seconds`; says when it began and whether it was cancelled."""

    def __init__(self) -> None:
        self.seconds = 9.0
        self.began, self.cancelled = asyncio.Event(), asyncio.Event()

    async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
        self.began.set()
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return {"y": inputs["x"]}


@pytest.fixture
def slow(the_plane):
    backend = Slow()
    served(the_plane, "slow", backend=backend, about=UNDECLARED, versions=("1",))
    return backend


@pytest.fixture
async def server(the_plane, slow):
    limits = Limits(maxBodyBytes=LIMIT, minCompressBytes=2**30)
    async with Server(RestApp(the_plane, lambda: limits)) as started:
        yield started


def post(path: str, body: object, *headers: str) -> bytes:
    """A request as it goes over the wire."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: t", "X-Request-Id: r", f"Content-Length: {len(data)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + data


def answered(body: bytes, status: str = "200 OK", *more: str) -> bytes:
    """An answer as it comes over the wire."""
    lines = [
        f"HTTP/1.1 {status}",
        "content-type: application/json",
        *more,
        f"content-length: {len(body)}",
        "x-request-id: r",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def binary(size: int) -> tuple[bytes, bytes]:
    """A request to echo `size` bytes, with its headers, and these bytes."""
    raw = bytes(range(256)) * (size // 256)
    tensor = {"name": "x", "datatype": "UINT8", "shape": [len(raw)]}
    tensor["parameters"] = {"binary_data_size": len(raw)}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    length = f"Inference-Header-Content-Length: {len(head)}"
    return post("/v2/models/echo/infer", head + raw, length), raw


async def test_get(server, client):
    assert await client.ask(LIVE) == ALIVE
    assert server.writes == [len(ALIVE)]


async def test_infer(server, client):
    assert await client.ask(post(INFER, BODY)) == answered(ANSWER)
    assert len(server.writes) == 1


async def test_head_has_no_body(server, client):
    head = ALIVE.removesuffix(b'{"live":true}')
    assert await client.ask(LIVE.replace(b"GET", b"HEAD")) == head
    assert await client.silent()
    assert await client.ask(LIVE) == ALIVE
    assert server.writes == [len(head), len(ALIVE)]


async def test_one_connection_many_requests(server, client):
    for _ in range(3):
        assert await client.ask(LIVE) == ALIVE
        assert await client.ask(post(INFER, BODY)) == answered(ANSWER)
    assert len(server.writes) == 6


async def test_pipelined_requests_are_answered_in_order(server, client):
    lost = LIVE.replace(b"/v2/health/live", b"/nowhere")
    await client.send(LIVE + post(INFER, BODY) + lost + LIVE)
    expected = ALIVE + answered(ANSWER)
    expected += answered(b'{"error":"no route /nowhere"}', "404 Not Found") + ALIVE
    assert await client.exactly(len(expected)) == expected
    assert await client.silent()
    assert len(server.writes) == 4


async def test_pipelined_behind_a_slow_one(client, slow):
    """Longer than until the next look for clients that left."""
    slow.seconds = 0.15
    inputs = [{"name": "x", "datatype": "INT8", "shape": [1], "data": [1]}]
    await client.send(post(SLOW, {"id": "a", "inputs": inputs}) + LIVE)
    _, body = await client.whole()
    assert json.loads(body)["outputs"] == [{**inputs[0], "name": "y"}]
    assert await client.exactly(len(ALIVE)) == ALIVE


@pytest.mark.parametrize(
    ("request_bytes", "status", "body", "more"),
    [
        (LIVE.replace(b"/v2/health/live", b"/x"), "404 Not Found", "no route /x", ()),
        (post(INFER, b"{"), "400 Bad Request", None, ()),
        (post("/v2/models/full/infer", BODY), "503 Service Unavailable", "the replicas are full",
         ("retry-after: 1",)),
        (post("/v2/models/buggy/infer", BODY), "500 Internal Server Error",
         "internal error; the server log has it", ()),
        (post("/v2/health/live", b""), "405 Method Not Allowed", "POST is not allowed here, GET is",
         ("allow: GET, HEAD",)),
    ],
    ids=["no route", "bad JSON", "overloaded", "a bug", "wrong method"],
)  # fmt: skip
async def test_errors(server, client, request_bytes, status, body, more):
    got = await client.ask(request_bytes)
    if body is None:
        body = json.loads(got.partition(b"\r\n\r\n")[2])["error"]
    assert got == answered(json.dumps({"error": body}, separators=(",", ":")).encode(), status, *more)
    assert await client.ask(LIVE) == ALIVE
    assert len(server.writes) == 2


async def test_a_client_that_waits_for_100_continue(server, client):
    request, raw = binary(1_000_000)
    head, _, body = request.partition(b"\r\n\r\n")
    assert (
        await client.ask(head + b"\r\nExpect: 100-continue\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    )
    await client.send(body)
    _, got = await client.whole()
    assert got.endswith(raw)
    assert len(server.writes) == 2
    assert await client.ask(LIVE) == ALIVE


async def test_what_is_too_large_is_refused_without_100_continue(client):
    lines = [f"POST {INFER} HTTP/1.1", "Host: t", f"Content-Length: {LIMIT + 1}", "Expect: 100-continue"]
    got = await client.ask("\r\n".join([*lines, "", ""]).encode())
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b"maxBodyBytes" in got


@pytest.mark.parametrize(
    "request_bytes",
    [
        LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        LIVE.replace(b"HTTP/1.1", b"HTTP/1.0"),
        LIVE.replace(b"GET", b"HEAD").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        post(INFER, b"{", "Connection: close"),
    ],
    ids=["get", "http 1.0", "head", "error"],
)
async def test_the_last_answer_of_a_connection(server, client, request_bytes):
    got = await client.ask(request_bytes)
    head, _, body = got.partition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head
    assert len(body) == (0 if request_bytes.startswith(b"HEAD") else stated(head))
    assert await client.receive() == b""
    assert len(server.writes) == 1


async def test_a_large_answer_to_a_slow_reader(client):
    """More than the kernel's and the transport's buffers hold."""
    request, raw = binary(12_000_000)
    await client.send(request + LIVE)
    await asyncio.sleep(0.1)
    _, body = await client.whole()
    assert body.endswith(raw)
    assert await client.exactly(len(ALIVE)) == ALIVE


async def test_answers_that_others_write_are_left_alone(client):
    """The docs are Starlette's, and come in several messages."""
    for path in ("/docs", "/docs/static/swagger-ui-bundle.js", "/docs"):
        await client.send(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        head, body = await client.whole()
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert body
    assert await client.ask(LIVE) == ALIVE


def slow_request() -> bytes:
    return post(SLOW, {"inputs": [{"name": "x", "datatype": "INT8", "shape": [1], "data": [1]}]})


async def ended(plane: Any) -> list[tuple[str, str, str]]:
    """What the plane counts, once it has counted something."""
    for _ in range(200):
        if heard(plane).requests:
            break
        await asyncio.sleep(0.005)
    return heard(plane).requests


@pytest.mark.parametrize("path", [SLOW, "/v1/models/slowly:predict"])
async def test_a_client_that_leaves_cancels_its_prediction(
    server, client, the_plane, slow, path, caplog
):
    served(the_plane, "slowly", backend=slow)
    await client.send(slow_request() if path == SLOW else post(path, {"instances": [[1, 2]]}))
    await asyncio.wait_for(slow.began.wait(), 5)
    client.close()
    await asyncio.wait_for(slow.cancelled.wait(), 0.3)
    ((name, _, error),) = await ended(the_plane)
    assert path.split("/")[3].startswith(name)
    assert error == "Cancelled"
    await asyncio.sleep(0.02)
    assert server.writes == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_others_stay_when_one_leaves(server, client, the_plane, slow):
    slow.seconds = 0.4
    stays = Client(server.address)
    for each in (client, stays):
        await each.send(slow_request())
    await asyncio.wait_for(slow.began.wait(), 5)
    await asyncio.sleep(0.05)
    client.close()
    head, _ = await stays.whole()
    stays.close()
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert sorted(error for *_, error in heard(the_plane).requests) == ["", "Cancelled"]


async def test_leaving_just_before_a_quick_answer(server, client, the_plane, slow, caplog):
    """The answer is ready before anyone has looked for clients that left."""
    slow.seconds = 0.02
    await client.send(slow_request())
    await asyncio.wait_for(slow.began.wait(), 5)
    client.close()
    ((name, _, _),) = await ended(the_plane)
    assert name == "slow"
    await asyncio.sleep(0.02)
    assert server.writes == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    other = Client(server.address)
    assert await other.ask(LIVE) == ALIVE
    other.close()


async def test_an_answer_leaves_nothing_to_the_garbage_collector(server):
    client = Client(server.address)
    gc.disable()
    try:
        found = []
        for _ in range(3):  # what comes first, and other tests' leftovers, are among the first
            for _ in range(20):
                await client.ask(post(INFER, BODY))
            found.append(gc.collect())
        assert min(found) < 20  # objects that hold each other: not one for each answer
    finally:
        gc.enable()
        client.close()


def test_only_uvicorns_own_send_is_corked():
    async def send(message: Any) -> None:
        raise AssertionError

    assert corked(send) is None
    assert corked([].append) is None
