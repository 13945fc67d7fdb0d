"""Batches to a replica of this node over a Unix socket: who may ask, and what no HTTP server does."""

import asyncio
import os
import socket
import struct
from types import SimpleNamespace

import numpy as np
import pytest
import ray

from serve_app.core.paths import Paths
from serve_app.hop import batch_app, frames, near
from serve_app.hop.remote import RemoteApplication
from tests.unit.hop.batches.model import X, around, listening
from tests.unit.hop.serve_stand_ins import Handle, Replica, replica_id, running
from tests.unit.ingress.connections import Server
from tests.unit.loops import LOOPS  # noqa: F401
from tests.unit.waiting import until

NAME = running("one", None).replica_id.to_full_id_str()
TOKEN = b"Bearer s"


@pytest.fixture
async def server(replica, model):
    async with Server(around(replica, model)) as started, listening(replica):
        yield started


@pytest.fixture
async def asking(server):
    """A socket of somebody who knows the name, and no more."""
    with socket.socket(socket.AF_UNIX) as found:
        found.connect(near._address(NAME))
        found.setblocking(False)
        yield found


def message(kind, body):
    return struct.pack("<QQ", kind, len(body)) + body


async def said(asking, most=2**16):
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(asking, most), 10)


async def closed(asking):
    try:
        return await said(asking) == b""
    except ConnectionResetError:
        return True


BATCH = message(0, b"".join(frames.pack({"version": "1", "parameters": {}, "asking": []}, X)))


async def test_no_http_is_spoken(backend, server, handle):
    assert (await backend.predict("1", X, {}))["y"].tolist() == [[10, 20]]
    assert not server.state.connections
    assert handle.taken == 0


async def test_a_replica_without_an_http_server_is_asked(server, handle):
    """Of a deployment behind another: a Tokenizer's network."""
    backend = RemoteApplication("m", Handle(one=None), Paths())
    assert (await backend.predict("1", X, {}))["y"].tolist() == [[10, 20]]


async def test_a_process_finds_out_which_replica_it_is(model, monkeypatch):
    replica = Replica("found")
    replica.loop = asyncio.get_running_loop()
    actors = {1: object(), 2: SimpleNamespace(_replica_impl=replica)}
    monkeypatch.setattr(ray._private.worker.global_worker, "actors", actors)
    heard = await batch_app.near(model)
    connection = await near.connect(replica_id("found").to_full_id_str(), TOKEN)
    status, _ = await connection.ask([BATCH[16:]])
    connection.close()
    heard.close()
    for _ in range(5):  # until both ends know
        await asyncio.sleep(0)
    assert status == 200


@pytest.mark.parametrize(
    "actors", [{}, {1: object()}, {1: SimpleNamespace(_replica_impl=object())}, None]
)
async def test_where_there_is_no_replica_nobody_listens(model, monkeypatch, actors):
    """Or where Serve is another."""
    monkeypatch.setattr(ray._private.worker.global_worker, "actors", actors)
    assert await batch_app.near(model) is None


async def test_arrays_lie_where_they_are_read_fastest(backend):
    x = np.arange(3, dtype=np.float64)
    assert (await backend.predict("1", {"x": x}, {}))["y"].flags.aligned


async def test_a_message_may_come_in_any_pieces(asking):
    both = message(0, TOKEN) + BATCH
    for at in range(0, len(both), 7):
        asking.send(both[at : at + 7])
        await asyncio.sleep(0)
    status, size = struct.unpack_from("<QQ", answer := await said(asking))
    assert (status, size) == (200, len(answer) - 16)
    assert frames.unpack(answer[16:])[1]["y"].tolist() == [[10, 20]]


@pytest.mark.parametrize("given", [b"", b"Bearer x", b"Bearer s "])
async def test_only_the_clusters_own_processes_are_answered(asking, model, given):
    asking.send(message(0, given) + BATCH)
    assert await closed(asking)
    assert model.ended == []


async def test_who_is_not_known_makes_nothing_be_kept(asking):
    asking.send(struct.pack("<QQ", 0, 2**30))
    assert await closed(asking)


async def test_a_message_beyond_all_limits_ends_the_connection(asking):
    asking.send(message(0, TOKEN) + struct.pack("<QQ", 0, 2**40))
    assert await closed(asking)


async def test_one_batch_at_a_time(asking, model):
    model.go.clear()
    asking.send(message(0, TOKEN) + BATCH + BATCH)
    assert await closed(asking)
    await until(lambda: model.ended == ["cancelled"])


async def test_another_users_socket_of_that_name_is_not_asked(backend, server, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    assert (await backend.predict("1", X, {}))["y"].tolist() == [[10, 20]]
    assert server.state.connections  # by HTTP


@pytest.mark.parametrize("platform", ["darwin", "linux"])
async def test_where_there_is_no_such_socket_http_is_spoken(model, monkeypatch, platform):
    """On other systems, and between nodes."""
    monkeypatch.setattr("sys.platform", platform)
    replica = Replica()
    async with Server(around(replica, model)) as server:
        if platform != "linux":
            assert await replica.deployment.app.listen() is None
        backend = RemoteApplication("m", Handle(one=server.address), Paths())
        assert (await backend.predict("1", X, {}))["y"].tolist() == [[10, 20]]
        assert server.state.connections


async def test_a_name_that_is_taken_is_left_to_who_has_it(server, model):
    twin = Replica()
    async with Server(around(twin, model)):
        assert await twin.deployment.app.listen() is None
