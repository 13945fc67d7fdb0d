"""Which requests take the fast path beside Serve's, and how each is counted."""

import asyncio

import pytest

from serve_app.ingress import grpc_http1
from serve_app.protocol.inference_pb2 import ModelInferResponse
from tests.unit.ingress.connections import Client, Server
from tests.unit.ingress.grpc_bodies import frame, post
from tests.unit.ingress.serve_stand_ins import (
    GRPC,
    HTTP,
    NO_ROUTER,
    around,
    call,
    counted,
    get,
    infer,
    message,
    serves,
)
from tests.unit.waiting import until


async def test_where_no_router_is_everything_is_serves(replica):
    async with Server(around(replica)) as server:
        client = Client(server.address)
        for path in ("/v2/health/live", "/v1/models", "/", "/-/healthz"):
            assert await serves(client, path)
        assert await client.ask(call()) == NO_ROUTER
        client.close()
    assert replica.protocols == []


async def test_v2_and_v1_go_to_the_router_and_the_rest_to_serve(client, replica):
    assert (await client.ask(get("/v2/health/live"))).endswith(b'{"live":true}')
    assert (await client.ask(get("/v1/models"))).startswith(b"HTTP/1.1 200 OK")
    assert (await client.ask(infer())).endswith(b'"data":[1.0,2.0]}]}')
    assert replica.protocols == [HTTP] * 3
    for path in ("/", "/docs", "/-/healthz", "/-/routes", "/v3", "/inference.GRPCInferenceService/X"):
        assert await serves(client, path)
    assert (len(replica.protocols), replica.ongoing) == (3, 0)


async def test_inference_over_grpc(client, replica):
    answer = await client.ask(call())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"chunked" in head
    assert body.endswith(b"\r\n0\r\ngrpc-status: 0\r\n\r\n")
    data = body.partition(b"\r\n")[2].removesuffix(b"\r\n0\r\ngrpc-status: 0\r\n\r\n")[5:]
    outputs = ModelInferResponse.FromString(data).outputs
    assert [list(out.contents.fp32_contents) for out in outputs] == [[12, 22], [1, 2]]
    assert (replica.protocols, replica.ongoing) == ([GRPC], 0)


@pytest.mark.parametrize("name", ["outer", "", "a b"])
async def test_the_callers_name_is_among_grpcs_trailers(client, replica, name):
    for model, most, code in (("m", 9, 0), ("none", 9, 5), ("m", 0, 8)):
        replica.max_ongoing_requests = most
        answer = await client.ask(post(frame(message(model)), f"x-request-id: {name}"))
        assert b"grpc-status: %d\r\n" % code in answer
        assert (b"x-request-id: outer\r\n" in answer) == (name == "outer")
        assert (b"x-request-id" in answer) == (name == "outer")


async def test_requests_in_flight_are_counted_until_they_are_answered(server, client, replica, held):
    other = Client(server.address)
    await client.send(infer("held"))
    await other.send(call("held"))
    await until(lambda: replica.ongoing == 2)
    held.go.set()
    for each in (client, other):
        assert b" 200 OK" in await each.receive()
    assert replica.ongoing == 0
    assert sorted(replica.protocols) == sorted([HTTP, GRPC])
    other.close()


async def test_answers_are_counted_by_status(client, replica):
    http = (get("/v2"), get("/v2"), infer("none"), infer("buggy"), get("/v2/models/new/ready"))
    for data in (*http, call(), call("none"), post(b"")):
        assert await client.ask(data)
    assert replica.ongoing == 0
    about = [("application", "tandem"), ("method", "GET"), ("route", "/"), ("status_code", "200")]
    metrics = replica._ingress_metrics[HTTP]
    by_status = await counted(metrics.request_counter)
    assert by_status.pop(tuple(about)) == 2
    assert {dict(key)["status_code"]: count for key, count in by_status.items()} == {
        "404": 1, "500": 1, "503": 1,
    }  # fmt: skip
    assert sorted(dict(key)["error_code"] for key in metrics.request_error_counter.counted) == [
        "404",
        "500",
        "503",
    ]
    metrics = replica._ingress_metrics[GRPC]
    by_status = await counted(metrics.request_counter)
    assert {dict(key)["method"] for key in by_status} == {grpc_http1.PATH}
    assert {dict(key)["status_code"]: count for key, count in by_status.items()} == {
        "OK": 1, "NOT_FOUND": 1, "INVALID_ARGUMENT": 1,
    }  # fmt: skip
    assert sum(metrics.request_error_counter.counted.values()) == 2
    assert replica._request_counter.counted == {(("route", "/"),): 8}


@pytest.mark.parametrize("kind", [HTTP, GRPC])
async def test_who_leaves_is_counted_out(client, replica, held, kind):
    await client.send(infer("held") if kind is HTTP else call("held"))
    await until(lambda: replica.ongoing == 1)
    client.close()
    await until(lambda: replica.ongoing == 0)
    errors = await counted(replica._ingress_metrics[kind].request_error_counter)
    assert [dict(key)["error_code"] for key in errors] == ["499" if kind is HTTP else "CANCELLED"]


async def test_without_ingress_metrics_the_replica_still_counts(client, replica):
    replica._ingress_metrics.clear()
    for data in (get("/v2"), call()):
        assert await client.ask(data)
    assert (await counted(replica._request_counter))[("route", "/"),] >= 1


@pytest.mark.parametrize("kind", [RuntimeError, asyncio.CancelledError])
async def test_whatever_the_application_raises_is_counted_out(router, replica, monkeypatch, kind):
    async def broken(scope, receive, send):
        assert replica.ongoing == 1
        raise kind

    monkeypatch.setattr(router.rest, "answer", broken)
    with pytest.raises(kind):
        await around(replica)({"type": "http", "path": "/v2", "method": "GET"}, None, None)
    assert replica.ongoing == 0
    (error,) = await counted(replica._ingress_metrics[HTTP].request_error_counter)
    assert dict(error)["error_code"] == "499"
