"""Where the fast path is closed or full, and Serve does it: no request goes unanswered."""

import asyncio
import logging
from types import SimpleNamespace

import pytest

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
    infer,
    serves,
)
from tests.unit.waiting import until


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
