"""Whom a batch is sent to: the least busy replica, or Serve's own way."""

import asyncio
import logging
from types import SimpleNamespace

import pytest
from ray.serve._private.common import DeploymentID
from ray.serve.exceptions import DeploymentUnavailableError

from serve_app.core.paths import Paths
from serve_app.errors import Gone, VersionGone
from serve_app.hop.remote import RemoteApplication
from tests.unit.hop.batches.model import Model, X, around
from tests.unit.hop.serve_stand_ins import Handle, Replica
from tests.unit.ingress.connections import Server
from tests.unit.waiting import until


async def test_batches_run_beside_each_other_up_to_what_the_replica_takes(
    backend, handle, replica, model
):
    model.go.clear()
    tasks = [asyncio.create_task(backend.predict("1", X, {})) for _ in range(2)]
    await until(lambda: replica.ongoing == 2)
    assert handle.metrics.running == 2
    third = await backend.predict("1", X, {})  # Serve queues it
    assert third["y"].tolist() == [-1]
    model.go.set()
    assert [(await task)["y"].tolist() for task in tasks] == [[[10, 20]]] * 2
    assert replica.ongoing == 0


async def test_a_full_replica_sends_to_the_handle(backend, handle, replica, model):
    replica.max_ongoing_requests = 0  # others than we keep it busy
    assert (await backend.predict("1", X, {}))["y"].tolist() == [-1]
    assert (handle.taken, model.ended) == (1, [])
    replica.max_ongoing_requests = 1
    assert (await backend.predict("1", X, {}))["y"].tolist() == [[10, 20]]


async def test_who_waits_in_serves_queue_is_not_overtaken(backend, handle, model):
    handle.now()
    handle.go.clear()
    first = asyncio.create_task(backend.predict("1", X, {}))
    await until(lambda: handle.taken == 1)
    handle.now(one=("127.0.0.1", 1))
    second = asyncio.create_task(backend.predict("1", X, {}))
    await until(lambda: handle.taken == 2)
    handle.go.set()
    await asyncio.gather(first, second)
    assert model.ended == []


async def test_the_least_busy_replica_is_asked(server, model, monkeypatch):
    other = Model()
    async with Server(around(Replica(), other)) as second:
        backend = RemoteApplication("m", Handle(one=server.address, two=second.address), Paths())
        model.go.clear()
        other.go.clear()
        tasks = [asyncio.create_task(backend.predict(str(i), X, {})) for i in range(4)]
        await until(lambda: [one.busy for one in backend._calls._replicas.values()] == [2, 2])
        model.go.set()
        other.go.set()
        await asyncio.gather(*tasks)
    assert sorted(model.ended + other.ended) == ["0", "1", "2", "3"]
    assert len(model.ended) == 2


async def test_a_replica_that_cannot_be_reached_is_left_to_the_handle(caplog):
    handle = Handle(one=("127.0.0.1", 1))
    backend = RemoteApplication("m", handle, Paths())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert (await backend.predict("1", X, {}))["y"].tolist() == [-1]
    assert caplog.text.count("take Serve's way") == 1  # one try in a while
    assert handle.metrics.running == 0


async def test_replicas_without_an_http_server_and_none_at_all(handle):
    for replicas in ({"elsewhere": None}, {}):
        handle.now(**replicas)
        backend = RemoteApplication("m", handle, Paths())
        assert (await backend.predict("1", X, {}))["y"].tolist() == [-1]


@pytest.mark.parametrize("lacks", ["_router", "_event_loop", "loop", "router"])
async def test_another_serve_is_served_by_its_handle(handle, backend, lacks):
    inner = handle._router._asyncio_router
    if lacks == "_router":
        handle._router = None  # not called yet
    elif lacks == "_event_loop":
        del inner._event_loop
    elif lacks == "loop":
        inner._event_loop = object()  # Serve's router runs in a thread of its own
    else:
        inner.request_router = SimpleNamespace(curr_replicas=inner.request_router.curr_replicas)
    assert (await backend.predict("1", X, {}))["y"].tolist() == [-1]


async def test_replicas_come_and_go(backend, handle, server):
    await backend.predict("1", X, {})
    (first,) = backend._calls._replicas.values()
    handle.now(one=server.address, two=server.address)
    await backend.predict("1", X, {})
    assert backend._calls._replicas["one"] is first  # its connections stay
    handle.now(two=server.address)
    await backend.predict("1", X, {})
    assert list(backend._calls._replicas) == ["two"]
    assert not any(connection.open for connection in first.idle)


async def test_where_serve_is_another_the_path_is_not_there(model, monkeypatch, caplog):
    replica = Replica()
    del replica._semaphore
    async with Server(around(replica, model)) as server:
        handle = Handle(one=server.address)
        backend = RemoteApplication("m", handle, Paths())
        assert (await backend.predict("1", X, {}))["y"].tolist() == [-1]
    assert "batches take Serve's way" in caplog.text


async def test_while_replicas_change_those_that_have_the_version_are_asked(server, model):
    other = Model()
    model.lacks, other.lacks = {"1"}, {"2"}
    async with Server(around(Replica(), other)) as second:
        handle = Handle(one=server.address, two=second.address)
        backend = RemoteApplication("m", handle, Paths())
        for version in ("1", "2", "1", "2"):
            assert (await backend.predict(version, X, {}))["y"].tolist() == [[10, 20]]
        assert (model.ended, other.ended) == (["2", "2"], ["1", "1"])
        handle.now(one=server.address)
        with pytest.raises(VersionGone):
            await backend.predict("1", X, {})
        handle.now(one=server.address, three=second.address)  # by its name another one
        assert (await backend.predict("1", X, {}))["y"].tolist() == [[10, 20]]
    assert handle.taken == 0
    assert handle.metrics.running == 0


async def test_who_hadnt_a_version_is_asked_again_after_a_while(server, handle, model, monkeypatch):
    """A Tokenizer's replicas load a new version in place, one after the other."""
    backend = RemoteApplication("m", handle, Paths())
    model.lacks = {"2"}
    for _ in range(2):
        with pytest.raises(VersionGone):
            await backend.predict("2", X, {})
    model.lacks.clear()
    with pytest.raises(VersionGone):
        await backend.predict("2", X, {})
    (replica,) = backend._calls._replicas.values()
    replica._lacks["2"] = asyncio.get_running_loop().time() - 1
    assert (await backend.predict("2", X, {}))["y"].tolist() == [[10, 20]]


async def test_by_the_handle_others_are_asked_before_a_version_is_gone():
    handle = Handle()
    backend = RemoteApplication("m", handle, Paths())
    handle.raises = [VersionGone("no version '1'")] * 2
    assert (await backend.predict("1", X, {}))["y"].tolist() == [-1]
    handle.raises = [VersionGone("no version '1'")] * 20
    with pytest.raises(VersionGone):
        await backend.predict("1", X, {})


async def test_a_deleted_application_is_gone():
    handle = Handle()
    handle.raises = [DeploymentUnavailableError(DeploymentID("ModelReplica", "m"))]
    with pytest.raises(Gone, match="no replica that can answer"):
        await RemoteApplication("m", handle, Paths()).predict("1", X, {})


async def test_who_waits_for_replicas_of_a_deleted_application_is_told():
    handle = Handle()
    handle.go.clear()
    backend = RemoteApplication("m", handle, Paths())
    waiting, leaving = (asyncio.create_task(backend.predict("1", X, {})) for _ in range(2))
    await until(lambda: handle.taken == 2)
    leaving.cancel()
    backend.targets(["1"])["1"].abandon()
    with pytest.raises(Gone, match="deleted"):
        await waiting
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert not backend._responses


async def test_what_an_application_says_again_is_what_it_was(backend, handle):
    """So that versions of which nothing changed may stay as they are (Model.serve)."""
    first, again = backend.targets(["1", "2"]), backend.targets(["1", "2", "3"])
    assert {number: again[number] == first[number] for number in "12"} == {"1": True, "2": True}
    assert first["1"] != first["2"]
    assert RemoteApplication("m", handle, Paths()).targets(["1"])["1"] != first["1"]


async def test_a_version_that_a_replica_lacked_may_have_come(backend, model):
    model.lacks = {"3"}
    with pytest.raises(VersionGone):
        await backend.predict("3", X, {})
    model.lacks = set()
    with pytest.raises(VersionGone):  # until somebody has asked the application
        await backend.predict("3", X, {})
    backend.targets(["3"])
    assert (await backend.predict("3", X, {}))["y"].tolist() == [[10, 20]]
