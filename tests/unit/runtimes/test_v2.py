"""A model of another V2 server: what goes there, what comes back, and what is said when it can't."""

import asyncio
import socket

import grpc
import numpy as np
import pytest

from serve_app.config import V2Options
from serve_app.core.deadlines import Deadlines
from serve_app.errors import (
    ConfigError,
    DeadlineExceeded,
    InvalidArgument,
    ModelFailed,
    Overloaded,
    Unavailable,
)
from serve_app.protocol import client
from serve_app.runtimes import v2_http
from serve_app.runtimes.v2_peer import Asked, Lost
from tests.unit.runtimes.tabular import Served, column, matrix
from tests.unit.runtimes.v2_server import GrpcPeerServer, HttpPeerServer

X = matrix([[1, 2]], "x", "FP32")


def model(address: str, **options) -> dict:
    return {"options": {"address": address, "model": "there", "interval": 0.02, "wait": 0, **options}}


class Proxy(Served):
    def __init__(self, address: str, **options) -> None:
        super().__init__("", "v2", **model(address, **options))


@pytest.fixture(params=[HttpPeerServer, GrpcPeerServer])
def peer(request):
    with request.param() as server:
        yield server


@pytest.fixture
def http():
    with HttpPeerServer() as server:
        yield server


@pytest.fixture
def over_grpc():
    with GrpcPeerServer() as server:
        yield server


@pytest.fixture
async def proxied():
    """Makes proxies; what they had open is closed on their loop."""
    made: list[Proxy] = []

    def proxy(address: str, **options) -> Proxy:
        made.append(Proxy(address, **options))
        return made[-1]

    yield proxy
    for one in made:
        one.close()
    await asyncio.sleep(0)  # until their closing has begun
    while left := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(left)
    await asyncio.sleep(0.02)  # and their sockets are closed


@pytest.fixture
async def proxy(peer, proxied):
    return proxied(peer.address)


async def test_requests_go_there_and_answers_come_back(peer, proxy):
    answer = await proxy.v2([X], parameters={"more": 3, "timeout": 60_000_000})
    assert answer == {"y": {"datatype": "FP32", "shape": [1, 2], "data": [10.0, 20.0]}}
    assert await proxy.v1({"instances": [[3, 4]]}) == [[30.0, 40.0]]
    found = await proxy.grpc("x", np.array([[5, 6]], "f4"))
    assert list(found.outputs[0].contents.fp32_contents) == [50.0, 60.0]
    first = peer.requests[0]
    assert (first.model, first.outputs, first.parameters) == ("there", None, {"more": 3})


async def test_metadata_comes_from_there(proxy):
    assert proxy.about()["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
    assert proxy.about()["platform"] == "v2"


async def test_the_other_server_judges_what_it_takes(peer, proxy):
    """Other names, types and shapes than its metadata has: Tandem's own models take some of them."""
    text = column("any", "BYTES", ["a", "é"])
    assert (await proxy.v2([text]))["y"]["data"] == ["a", "é"]
    answer = await proxy.v2([matrix([1], "z", "INT64")], ("y",))
    assert answer["y"]["datatype"] == "INT64"
    assert [one.name for one in peer.requests[-1].outputs] == ["y"]
    with pytest.raises(InvalidArgument, match="'q' is not an output"):
        await proxy.v2([X], ("q",))
    with pytest.raises(InvalidArgument, match="given twice"):
        await proxy.v2([X, X])


@pytest.mark.parametrize("binary", [False, True])
async def test_tensors_go_binary_where_the_server_knows_that(http, binary, proxied):
    http.extensions = ["binary_tensor_data"] if binary else []
    proxy = proxied(http.address)
    await proxy.v2([X])
    assert ("Inference-Header-Content-Length" in http.headers[0]) is binary


async def test_a_version_and_a_path(http, proxied):
    proxy = proxied(http.address + "/serving/ns/", version="3")
    await proxy.v2([X])
    assert http.headers[0]["path"] == "/serving/ns/v2/models/there/versions/3/infer"


async def test_a_token_goes_along_and_into_no_log(peer, monkeypatch, caplog, proxied):
    monkeypatch.setenv("PEER_TOKEN", "hush")
    proxy = proxied(peer.address, tokenVariable="PEER_TOKEN")
    await proxy.v2([X])
    assert {key.lower(): value for key, value in peer.headers[0].items()}[
        "authorization"
    ] == "Bearer hush"
    assert "hush" not in caplog.text + repr(proxy.config)


@pytest.mark.parametrize(
    ("status", "text", "kind", "said"),
    [
        (400, '{"error": "tensor x: wrong"}', InvalidArgument, "tensor x: wrong"),
        (422, '{"detail": [{"loc": ["a"]}]}', InvalidArgument, "loc"),
        (413, "too much", InvalidArgument, "too much"),
        (404, '{"error": "no model"}', ModelFailed, "HTTP 404"),
        (401, "", ModelFailed, "HTTP 401"),
        (500, '{"error": "at https://u:p@host/x"}', ModelFailed, "HTTP 500"),
        (504, "late", DeadlineExceeded, "too late: late"),
        (429, "busy", Overloaded, "is busy: busy"),
        (302, "", ModelFailed, "HTTP 302"),
        (200, "no JSON", ModelFailed, "answered no V2"),
        (200, '{"outputs": []}', ModelFailed, "without outputs"),
    ],
)
async def test_errors_over_http(http, status, text, kind, said, proxied):
    proxy = proxied(http.address)
    http.fail = [(status, text, ("Location", "http://127.0.0.1:1/"))]
    with pytest.raises(kind, match=said) as error:
        await proxy.v2([X])
    assert "u:p@" not in str(error.value) + str(getattr(error.value, "said", ""))
    assert len(http.headers) == 1


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidArgument, "because"),
        (grpc.StatusCode.NOT_FOUND, ModelFailed, "gRPC NOT_FOUND"),
        (grpc.StatusCode.INTERNAL, ModelFailed, "gRPC INTERNAL"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded, "because"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Overloaded, "because"),
    ],
)
async def test_errors_over_grpc(over_grpc, code, kind, said, proxied):
    proxy = proxied(over_grpc.address)
    over_grpc.fail = [(code, "because")]
    with pytest.raises(kind, match=said):
        await proxy.v2([X])


async def test_what_may_be_asked_again_is(http, over_grpc, proxied):
    for server, failure in ((http, (503, "starting")), (http, ("close", "")),
                            (over_grpc, (grpc.StatusCode.UNAVAILABLE, "starting"))):  # fmt: skip
        proxy = proxied(server.address)
        server.fail = [failure]
        assert (await proxy.v2([X]))["y"]["data"] == [10.0, 20.0]
        server.fail = [failure, failure]
        with pytest.raises(Unavailable, match="the server of model 'm' "):
            await proxy.v2([X])
        assert server.fail == []
    never = proxied(http.address, retries=0)
    http.fail = [(503, "x")]
    with pytest.raises(Unavailable, match="HTTP 503"):
        await never.v2([X])


async def test_deadlines_go_along_over_grpc(over_grpc, proxied):
    proxy = proxied(over_grpc.address)
    with Deadlines().within(30):
        await proxy.v2([X])
    (left,) = over_grpc.left
    assert left is not None
    assert 20 < left < 31  # gRPC rounds up what it sends


async def test_nobody_waits_any_more(http, proxied):
    proxy = proxied(http.address)
    http.release.clear()
    with pytest.raises(DeadlineExceeded):
        await proxy.v2([X], parameters={"timeout": 50_000})
    assert await asyncio.to_thread(http.cancelled.wait, 10)


async def test_readiness_is_the_other_server_s(peer, proxied):
    proxy = proxied(peer.address)
    peer.ready = False
    assert "its model 'there' is not ready" in await proxy.troubles.get()
    assert proxy.host.trouble
    peer.ready = True
    assert await proxy.troubles.get() == proxy.host.trouble == ""


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100_000,
    ],
)
async def test_one_that_answers_nonsense_is_looked_at_again(http, proxied, nonsense):
    proxy = proxied(http.address)
    http.nonsense = nonsense
    assert "it can't be asked" in await proxy.troubles.get()
    http.nonsense = b""
    assert await proxy.troubles.get() == ""


async def test_waiting_for_a_connection_is_no_failure_to_connect(http, proxied, monkeypatch):
    monkeypatch.setattr(v2_http, "LOOK_S", 0.05)
    proxy = proxied(http.address, connections=1)
    http.release.clear()
    asked = [asyncio.create_task(proxy.v2([X])) for _ in range(3)]
    done, _ = await asyncio.wait(asked, timeout=0.3, return_when=asyncio.FIRST_COMPLETED)
    assert not done
    http.release.set()
    assert [one["y"]["data"] for one in await asyncio.gather(*asked)] == [[10.0, 20.0]] * 3


async def test_nobody_who_takes_the_connection_may_be_asked_again(monkeypatch):
    monkeypatch.setattr(v2_http, "LOOK_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # no TLS comes back
        options = V2Options(address=f"https://127.0.0.1:{silent.getsockname()[1]}")
        peer = v2_http.HttpPeer(options, Asked("m", ""))
        with pytest.raises(Lost, match="can't be reached: ConnectionTimeoutError"):
            await peer.infer(client.request("m", {"x": np.zeros(1)}), 60)
        await peer._connected().close()


# Triton's and MLServer's, which are the other server's to read.
THEIRS = {"content_type": "np", "sequence_id": 7, "sequence_start": True, "priority": 2, "more": "x",
          "triton_enable_empty_final_response": True}  # fmt: skip


async def test_parameters_of_the_protocol_go_along(peer, proxy):
    ours = {"timeout": 60_000_000, "binary_data_output": False, "_outputs": "y"}
    await proxy.v2([X], parameters=THEIRS | ours)
    (asked,) = peer.requests
    assert asked.parameters == THEIRS
    assert asked.outputs is None


async def test_parameters_that_a_protocol_cannot_carry(http, over_grpc, proxied):
    over_http, proxy = proxied(http.address), proxied(over_grpc.address)
    await over_http.v2([X], parameters={"headers": {"a": "b"}})
    assert http.requests[0].parameters == {"headers": {"a": "b"}}
    with pytest.raises(InvalidArgument, match="headers: a string, number or boolean"):
        await proxy.v2([X], parameters={"headers": {"a": "b"}})
    await proxy.v2([X], parameters={"large": 2**63})
    assert over_grpc.requests[0].parameters == {"large": 2**63}


async def test_a_request_of_a_sequence_is_sent_once(http, proxied):
    proxy = proxied(http.address)
    http.fail = [(503, "starting"), (503, "starting")]
    with pytest.raises(Unavailable, match="HTTP 503"):
        await proxy.v2([X], parameters={"sequence_id": "a"})
    assert len(http.fail) == 1
    http.fail.clear()
    http.fail = [(503, "starting")]
    assert await proxy.v2([X], parameters={"sequence_id": 0})  # 0: of none


async def test_one_that_never_is_ready(peer):
    peer.ready = False
    with pytest.raises(ConfigError, match="its model 'there' is not ready"):
        await asyncio.to_thread(Proxy, peer.address)


async def test_nobody_at_the_address():
    for scheme in ("http", "grpc"):
        with pytest.raises(ConfigError, match="it can't be asked"):
            await asyncio.to_thread(Proxy, f"{scheme}://127.0.0.1:1")
