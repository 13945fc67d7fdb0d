"""Where the fast path is closed or full, and Serve does it: no request goes unanswered."""

import asyncio
import logging
from types import SimpleNamespace

import pytest

from serve_app.config import Limits
from serve_app.ingress import fast_path
from serve_app.ingress.grpc import SERVICE
from serve_app.internals import serve_replica
from tests.unit.ingress.connections import Client, Server
from tests.unit.ingress.serve_stand_ins import (
    FULL,
    HTTP,
    NO_ROUTER,
    Replica,
    around,
    call,
    get,
    infer,
    serves,
)
from tests.unit.waiting import until


async def test_health_is_answered_beyond_the_limit(server, client, replica):
    replica.max_ongoing_requests = 0
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/m/ready"):
        assert b" 200 OK" in await client.ask(get(path))
    assert await serves(client, "/v2")


@pytest.mark.parametrize("request_of", [infer, call])
async def test_a_body_that_is_on_its_way_takes_no_place(server, client, replica, request_of):
    whole = request_of()
    slow = [Client(server.address) for _ in range(5)]  # two may be in flight
    for each in slow:
        await each.send(whole[:-3])
    await client.ask(get("/v2"))
    assert len(replica.protocols) == 1
    for each in slow:
        answer = await each.ask(whole[-3:])
        assert b" 200 OK" in answer
        each.close()
    assert len(replica.protocols) == 6
    assert replica.ongoing == 0


async def test_serve_gets_whole_bodies(replica):
    """In proxies, where a request takes one of a Router's places as soon as Serve has its head."""
    async with Server(around(replica)) as server:
        slow, other = Client(server.address), Client(server.address)
        await slow.send(infer()[:-3])
        assert await slow.silent()
        assert await serves(other)
        assert b"Serve's: /v2/models/m/infer" in await slow.ask(infer()[-3:])
        await slow.send(infer()[:-3].replace(b"/v2/", b"/other/"))
        assert b"Serve's: /other/" in await slow.receive()  # perhaps a stream
        slow.close()
        other.close()


async def test_a_body_that_does_not_come_is_refused(router, server, client, replica, monkeypatch):
    slow = Limits(bodyTimeout=0.05)
    monkeypatch.setattr(router.servicer, "limits", lambda: slow)
    async with Server(around(replica)) as server:
        http, grpc_call = Client(server.address), Client(server.address)
        answer = await http.ask(infer()[:-3])
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in answer.lower()
        assert b"bodyTimeout" in answer
        answer = await grpc_call.ask(call()[:-3])
        assert b"grpc-status: 4" in answer
        assert await http.receive() == b""
        http.close()
        grpc_call.close()
    assert replica.protocols == []


async def test_beyond_the_limit_serve_decides(server, client, replica, held):
    others = [Client(server.address), Client(server.address)]
    for each in others:
        await each.send(infer("held"))
    await until(lambda: replica.ongoing == 2)
    assert await serves(client)
    assert await client.ask(call()) == FULL
    assert replica.protocols == [HTTP, HTTP]
    held.go.set()
    for each in others:
        assert await each.receive()
        each.close()
    assert not await serves(client)
    assert (await client.ask(call())) != FULL


async def test_a_limit_that_serve_changes_in_place_counts(client, replica):
    replica.max_ongoing_requests = 0
    assert await client.ask(call()) == FULL
    assert await serves(client)


def trace(replica, monkeypatch):
    monkeypatch.setattr(serve_replica, "is_tracing_enabled", lambda: True)


def elsewhere(replica, monkeypatch):
    replica._route_prefix = "/models"


def another_ray(replica, monkeypatch):
    del replica._metrics_manager


hindrances = pytest.mark.parametrize("hinder", [trace, elsewhere, another_ray])


@hindrances
async def test_what_the_fast_path_cannot_do_serve_does(router, replica, monkeypatch, caplog, hinder):
    hinder(replica, monkeypatch)
    with caplog.at_level(logging.WARNING, "tandem"):
        async with Server(around(replica)) as server:
            client = Client(server.address)
            assert await serves(client, "/v2/health/live")
            client.close()
    assert "take Serve's way" in caplog.text
    assert replica.protocols == []


@hindrances
async def test_calls_are_answered_where_the_fast_path_is_closed(router, replica, monkeypatch, hinder):
    hinder(replica, monkeypatch)
    async with Server(around(replica)) as server:
        client = Client(server.address)
        assert (await client.ask(call())).endswith(b"grpc-status: 0\r\n\r\n")
        client.close()


async def test_a_router_of_another_loop_is_not_ours(router, replica):
    replica.loop = asyncio.new_event_loop()
    async with Server(around(replica)) as server:
        client = Client(server.address)
        assert await serves(client)
        assert await client.ask(call()) == NO_ROUTER
        other = SimpleNamespace(service_handler_factory=replica.handlers)
        assert fast_path.fast_servicer(other, SERVICE.full_name) is None
        client.close()
    replica.loop.close()


async def test_where_serves_server_is_another_serve_routes(replica, router, caplog):
    server = SimpleNamespace(service_handler_factory=replica.handlers)  # nothing passes there
    with caplog.at_level(logging.WARNING, "tandem"):
        assert fast_path.fast_servicer(server, SERVICE.full_name) is None
        assert fast_path.fast_servicer(SimpleNamespace(), SERVICE.full_name) is None  # a proxy's
    assert "gRPC requests take Serve's way" in caplog.text


class Renamed:
    """A replica of a Serve that keeps its parts under other names."""

    async def asgi(self, scope, receive, send):
        await Replica().asgi(scope, receive, send)


@pytest.fixture
def inside(router, monkeypatch):
    """In a replica, by Serve's public word."""
    monkeypatch.setattr(fast_path, "deployment", lambda: router)
    monkeypatch.setattr(fast_path, "in_replica", lambda: True)


async def test_in_a_serve_that_renamed_its_parts_calls_are_answered(router, inside, caplog):
    with caplog.at_level(logging.WARNING, "tandem"):
        async with Server(around(Renamed())) as server:
            client = Client(server.address)
            assert await serves(client, "/v2/health/live")
            assert (await client.ask(call())).endswith(b"grpc-status: 0\r\n\r\n")
            client.close()
    assert "take Serve's way" in caplog.text


async def test_nor_are_they_answered_in_another_event_loop(router, inside):
    router.loop = object()
    async with Server(around(Renamed())) as server:
        client = Client(server.address)
        assert await client.ask(call()) == NO_ROUTER
        client.close()
