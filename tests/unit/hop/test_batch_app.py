"""The fast path to a model's replica, both ends: Serve's parts are stood in for, the rest is real."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ray.serve._private.utils import Semaphore

from serve_app.core.paths import Paths
from serve_app.errors import InvalidArgument, ModelFailed, TooLarge
from serve_app.hop import batch_app, served
from serve_app.hop import calls as client
from serve_app.hop.remote import RemoteApplication
from tests.unit.ingress.connections import Client, Server
from tests.unit.ingress.test_fast_path import Replica as RouterReplica
from tests.unit.ingress.test_fast_path import around as put_around
from tests.unit.ingress.test_fast_path import until
from tests.unit.planes import Raises

X = {"x": np.array([[1, 2]], np.float32)}


class Model:
    """Answers when it is let go; notes what became of each batch."""

    def __init__(self) -> None:
        self.go, self.ended = asyncio.Event(), []
        self.go.set()

    async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append(version)
        return {"y": inputs["x"] * 10, **{name: np.array([value]) for name, value in parameters.items()}}


class Replica(RouterReplica):
    """What `PredictApp` uses of Serve's replica."""

    def __init__(self) -> None:
        super().__init__()
        self._semaphore = Semaphore(lambda: self.max_ongoing_requests)

    def inc_num_ongoing_requests(self, metadata: Any) -> None:
        assert not metadata.is_direct_ingress  # no request from outside
        self.ongoing += 1

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"Serve's"})


class PowerOfTwoChoicesRequestRouter:
    """Serve's, by name: where the replicas are."""

    def __init__(self, **replicas: tuple[str, int] | None) -> None:
        self.curr_replicas = {name: running(name, where) for name, where in replicas.items()}


def running(name: str, where: tuple[str, int] | None, most: int = 2) -> SimpleNamespace:
    return SimpleNamespace(
        replica_id=name,
        backend_http_endpoint=where,
        max_ongoing_requests=most,
        multiplexed_model_ids=set(),
    )


class Metrics:
    """Serve's counts behind a handle."""

    def __init__(self) -> None:
        self.running, self.total = 0, 0

    def inc_num_running_requests_for_replica(self, replica: str) -> None:
        self.running += 1

    def dec_num_running_requests_for_replica(self, replica: str) -> None:
        self.running -= 1

    def inc_num_total_requests(self, route: str) -> None:
        self.total += 1


class Handle:
    """A Serve handle whose own way answers with -1, when it may."""

    def __init__(self, **replicas: tuple[str, int] | None) -> None:
        self.metrics, self.taken, self.go = Metrics(), 0, asyncio.Event()
        self.go.set()
        self._router = SimpleNamespace(
            _asyncio_router=SimpleNamespace(
                _event_loop=asyncio.get_running_loop(),
                _metrics_manager=self.metrics,
                request_router=PowerOfTwoChoicesRequestRouter(**replicas),
            )
        )
        self.predict = SimpleNamespace(remote=self._remote)

    def now(self, **replicas: tuple[str, int] | None) -> None:
        router = self._router._asyncio_router
        router.request_router = PowerOfTwoChoicesRequestRouter(**replicas)

    def _remote(self, *args: Any) -> asyncio.Task:
        self.taken += 1
        return asyncio.ensure_future(self._answer())

    async def _answer(self) -> dict:
        await self.go.wait()
        return {"y": np.array([-1])}


@pytest.fixture(autouse=True)
def token(monkeypatch):
    """The cluster's secret, at both ends."""
    for module in (client, served):
        monkeypatch.setattr(module, "credentials", lambda: b"Bearer s")


@pytest.fixture
def replica():
    return Replica()


@pytest.fixture
def model():
    return Model()


class Deployment:
    """A model's, with its fast path."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fast_path(self, serve: Any, replica: Any) -> batch_app.BatchApp:
        return batch_app.BatchApp(serve, replica, self.model)


def around(replica: Replica, model: Any) -> Any:
    replica.deployment = Deployment(model)
    return put_around(replica)


@pytest.fixture
async def server(replica, model, monkeypatch):
    async with Server(around(replica, model)) as started:
        yield started


@pytest.fixture
async def handle(server):
    return Handle(one=server.address)


@pytest.fixture
async def backend(handle):
    return RemoteApplication("m", handle, Paths())


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
    backend, handle, server, replica, model
):
    model.go.clear()
    task = asyncio.create_task(backend.predict("1", X, {}))
    await until(lambda: replica.ongoing)
    connection = next(iter(server.state.connections))
    connection.transport.abort()
    assert (await task)["y"].tolist() == [-1]
    assert handle.taken == 1


async def test_a_connection_closed_meanwhile_is_not_used(backend, handle, server):
    await backend.predict("1", X, {})
    next(iter(server.state.connections)).transport.abort()
    (replica,) = backend._calls._replicas.values()
    await until(lambda: not replica.idle[0].open)
    assert (await backend.predict("1", X, {}))["y"].tolist() == [[10, 20]]
    assert handle.taken == 0


async def test_a_replica_that_cannot_be_reached_is_left_to_the_handle(caplog):
    handle = Handle(one=("127.0.0.1", 1))
    backend = RemoteApplication("m", handle, Paths())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert (await backend.predict("1", X, {}))["y"].tolist() == [-1]
    assert caplog.text.count("take Serve's way") == 1  # one try in a while
    assert handle.metrics.running == 0


async def test_replicas_without_an_http_server_and_none_at_all(handle):
    for replicas in ({"one": None}, {}):
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


async def test_where_serve_is_another_the_path_is_not_there(model, monkeypatch, caplog):
    replica = Replica()
    del replica._semaphore
    async with Server(around(replica, model)) as server:
        handle = Handle(one=server.address)
        backend = RemoteApplication("m", handle, Paths())
        assert (await backend.predict("1", X, {}))["y"].tolist() == [-1]
    assert "batches take Serve's way" in caplog.text


def test_ray_without_tokens_has_no_credentials(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert client.credentials() == b""


async def test_a_batch_beyond_all_limits_is_refused(backend, replica, monkeypatch):
    monkeypatch.setattr(batch_app, "_MOST_BYTES", 10)
    with pytest.raises(TooLarge):
        await backend.predict("1", X, {})
    assert replica.ongoing == 0
