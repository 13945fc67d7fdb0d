"""What becomes of a batch on the fast path, and who may send one."""

import asyncio

import numpy as np
import pytest

from serve_app.core.asking import ASKING
from serve_app.core.paths import Paths
from serve_app.errors import InvalidArgument, ModelFailed, TooLarge
from serve_app.hop import calls as client
from serve_app.hop import frames
from serve_app.hop.remote import RemoteApplication
from tests.unit.hop.batches.model import X, around
from tests.unit.hop.serve_stand_ins import Handle
from tests.unit.ingress.connections import Client, Server
from tests.unit.planes import Raises
from tests.unit.waiting import until


async def test_a_batch_goes_straight_to_the_replica(backend, handle, replica):
    for version in ("1", "2"):
        outputs = await backend.predict(version, X, {"p": 7})
        assert outputs["y"].tolist() == [[10, 20]]
        assert outputs["p"].tolist() == [7]
    assert (handle.taken, handle.metrics.total, handle.metrics.running) == (0, 2, 0)
    assert replica.ongoing == 0
    await until(lambda: replica._request_counter.counted)
    assert replica._request_counter.counted == {(("route", "predict"),): 2}


async def test_large_tensors_too(backend):
    x = np.arange(3_000_000, dtype=np.float32)
    outputs = await backend.predict("1", {"x": x}, {})
    assert np.array_equal(outputs["y"], x * 10)
    assert not outputs["y"].flags.writeable


@pytest.mark.parametrize("error", [InvalidArgument("tensor 'x': no"), ModelFailed("it broke")])
async def test_errors_come_back_as_they_were(replica, monkeypatch, error):
    async with Server(around(replica, Raises(error))) as server:
        backend = RemoteApplication("m", Handle(one=server.address), Paths())
        with pytest.raises(type(error), match=str(error)):
            await backend.predict("1", X, {})
    assert replica.ongoing == 0


async def test_a_caller_that_gives_up_stops_the_model(backend, replica, model, caplog):
    model.go.clear()
    task = asyncio.create_task(backend.predict("1", X, {}))
    await until(lambda: replica.ongoing)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: model.ended == ["cancelled"])
    await until(lambda: not replica.ongoing)
    assert not replica._semaphore.locked()
    assert not caplog.records
    model.go.set()
    assert (await backend.predict("1", X, {}))["y"].tolist() == [[10, 20]]


async def test_a_replica_that_dies_with_a_batch_costs_one_more_try(
    backend, handle, connections, replica, model
):
    model.go.clear()
    task = asyncio.create_task(backend.predict("1", X, {}))
    await until(lambda: replica.ongoing)
    connections()[0].abort()
    assert (await task)["y"].tolist() == [-1]
    assert handle.taken == 1


async def test_a_connection_closed_meanwhile_is_not_used(backend, handle, connections):
    await backend.predict("1", X, {})
    connections()[0].abort()
    (replica,) = backend._calls._replicas.values()
    await until(lambda: not replica.idle[0].open)
    assert (await backend.predict("1", X, {}))["y"].tolist() == [[10, 20]]
    assert handle.taken == 0


@pytest.mark.parametrize("header", ["", "Authorization: Bearer x\r\n", "Authorization: s\r\n"])
async def test_only_the_clusters_own_processes_are_answered(server, model, header):
    caller = Client(server.address)
    request = f"POST {client.PATH} HTTP/1.1\r\n{header}Content-Length: 0\r\n\r\n"
    assert b" 401 " in await caller.ask(request.encode())
    caller.close()
    assert model.ended == []


async def test_what_is_no_batch_is_answered(server, replica):
    caller = Client(server.address)
    request = f"POST {client.PATH} HTTP/1.1\r\nAuthorization: Bearer s\r\nContent-Length: 3\r\n\r\nabc"
    assert b" 422 " in await caller.ask(request.encode())
    caller.close()
    assert replica.ongoing == 0


async def test_everything_else_is_serves(server):
    caller = Client(server.address)
    assert b" 404 " in await caller.ask(b"GET /-/healthz HTTP/1.1\r\n\r\n")
    caller.close()


def test_ray_without_tokens_has_no_credentials(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert client.credentials() == b""


async def test_a_batch_beyond_all_limits_is_refused(backend, replica, monkeypatch):
    monkeypatch.setattr(frames, "MOST_BYTES", 10)
    with pytest.raises(TooLarge):
        await backend.predict("1", X, {})
    assert replica.ongoing == 0


async def test_the_replica_refuses_such_a_batch_too(server, replica, monkeypatch):
    monkeypatch.setattr(frames, "MOST_BYTES", 2)
    caller = Client(server.address)
    request = f"POST {client.PATH} HTTP/1.1\r\nAuthorization: Bearer s\r\nContent-Length: 3\r\n\r\nabc"
    answer = await caller.ask(request.encode())
    assert b" 422 " in answer
    assert b"TooLarge" in answer
    caller.close()
    assert replica.ongoing == 0


async def test_the_replica_knows_whose_requests_a_batch_has(backend, handle, model, monkeypatch):
    asked = []

    async def predict(version, inputs, parameters):
        asked.append(list(ASKING.get()))
        return {"y": inputs["x"]}

    monkeypatch.setattr(model, "predict", predict)
    ASKING.set(["r1", "r2"])
    await backend.predict("1", X, {})
    handle.now()  # no replica: by the handle
    await backend.predict("1", X, {})
    assert asked == [["r1", "r2"]]
    assert handle.arguments[-1] == ["r1", "r2"]


async def test_what_is_around_a_model_fails_as_a_model_does(replica, monkeypatch, caplog):
    """A tokenizer, say: it is logged there, and the replica goes on being asked."""
    async with Server(around(replica, Raises(OverflowError("too long")))) as server:
        handle = Handle(one=server.address)
        backend = RemoteApplication("m", handle, Paths())
        ASKING.set(["r1"])
        for _ in range(2):
            with pytest.raises(ModelFailed, match=r"a replica failed: OverflowError$"):
                await backend.predict("1", X, {})
    assert handle.taken == 0
    assert "the replica of version 1 failed on request r1" in caplog.text
    assert "Traceback" in caplog.text
