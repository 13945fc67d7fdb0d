"""The fast path to an engine, both ends: Serve's parts are stood in for, the rest is real."""

import asyncio
from typing import Any

import numpy as np
import pytest

from serve_app.core.paths import Paths
from serve_app.errors import DeadlineExceeded, ModelFailed, Unavailable
from serve_app.hop import calls as client
from serve_app.hop import served
from serve_app.hop.relay_app import RelayApp
from serve_app.hop.streams import StreamConnection
from serve_app.llm.target import EngineTarget
from tests.unit import engines
from tests.unit.engines import ENGINE, OPEN, Talker
from tests.unit.hop.serve_stand_ins import Handle as ServeHandle
from tests.unit.hop.serve_stand_ins import Replica
from tests.unit.ingress.connections import Server
from tests.unit.ingress.serve_stand_ins import around
from tests.unit.waiting import until

TEXT = {"text_input": np.array([b"a"], dtype=object)}
BODY = b'{"prompt":"a","stream":true}'


class Engine:
    """A deployment with an application."""

    def __init__(self) -> None:
        self.app, self.lives = Talker(), True

    def alive(self) -> bool:
        return self.lives

    def fast_path(self, serve: Any, replica: Any) -> RelayApp:
        return RelayApp(serve, replica, self)


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (client, served):
        monkeypatch.setattr(module, "credentials", lambda: b"Bearer s")


@pytest.fixture
def deployment() -> Engine:
    return Engine()


@pytest.fixture
def replica() -> Replica:
    return Replica()


@pytest.fixture
async def server(deployment: Engine, replica: Replica) -> Any:
    replica.deployment = deployment
    async with Server(around(replica)) as started:
        yield started


@pytest.fixture
async def handle(server: Server) -> engines.Handle:
    """Serve's own way leads to another application."""
    other = ServeHandle(one=server.address)
    found = engines.Handle(Talker(), other._router)
    found.metrics = other.metrics  # type: ignore[attr-defined]
    return found


@pytest.fixture
async def backend(handle: engines.Handle) -> EngineTarget:
    return EngineTarget("m", handle, ENGINE, Paths())  # type: ignore[arg-type]


async def texts(backend: EngineTarget, most: int) -> list[bytes]:
    pieces = backend.stream(TEXT, {"max_tokens": most})
    return [piece["text_output"][0] async for piece, _ in pieces]


async def test_streams_go_straight_to_the_replica(
    backend: Any, handle: Any, replica: Replica, deployment: Engine, server: Server
) -> None:
    for _ in range(2):
        assert await texts(backend, 3) == [b"a0 ", b"1 ", b"2 "]
    assert (handle.responses, handle.metrics.running, handle.metrics.total) == ([], 0, 2)
    assert [path for path, _ in deployment.app.asked] == ["/v1/completions"] * 2
    await until(lambda: replica.ongoing == 0)
    assert len(server.state.connections) == 1  # the same one again
    await until(lambda: replica._request_counter.counted)
    assert replica._request_counter.counted == {(("route", "engine"),): 2}


async def test_whole_answers_too(backend: Any) -> None:
    found = await backend.predict({"text_input": np.array([b"a", b"b"], dtype=object)}, {})
    assert found["text_output"].tolist() == [b"aa!", b"bb!"]


async def test_pieces_come_one_by_one(backend: Any, deployment: Engine) -> None:
    deployment.app.go.clear()
    pieces = backend.stream(TEXT, {"max_tokens": 2})
    first = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0.05)
    assert not first.done()
    deployment.app.go.set()
    assert (await first)[0]["text_output"][0] == b"a0 "
    assert (await anext(pieces))[1] is True


async def test_who_leaves_stops_the_engine(backend: Any, deployment: Engine, replica: Replica) -> None:
    pieces = backend.stream(TEXT, {"max_tokens": 100})
    await anext(pieces)
    deployment.app.go.clear()
    await pieces.aclose()
    await until(lambda: deployment.app.left == 1)
    await until(lambda: replica.ongoing == 0)
    deployment.app.go.set()
    assert await texts(backend, 1) == [b"a0 "]


async def test_adapters_out_of_a_bucket_are_named_to_the_replica(
    handle: Any, deployment: Engine, replica: Replica
) -> None:
    backend = EngineTarget("m", handle, OPEN, Paths())
    for adapter in ("m-other", "rhyme", "m:rhyme", "m-other"):
        await backend.predict(TEXT, {"lora_name": adapter})
    named = [body["model"] for _, body in deployment.app.asked]
    assert named == ["m-other", "m:rhyme", "m:rhyme", "m-other"]
    assert deployment.app.adapters == ["", "m:rhyme", "m:rhyme", ""]  # on one connection
    replica.max_ongoing_requests = 0  # Serve's own way
    await backend.predict(TEXT, {"lora_name": "rhyme"})
    await backend.predict(TEXT, {})
    assert handle.adapters == ["m:rhyme"]


async def test_who_has_the_adapter_is_asked_unless_it_is_full() -> None:
    """As Serve does with multiplexed models."""
    handle = ServeHandle(a=("h", 1), b=("h", 2))
    calls = client.Calls(handle)  # type: ignore[arg-type]
    handle._router._asyncio_router.request_router.curr_replicas["b"].multiplexed_model_ids = {"m:x"}

    def chosen(adapter: str) -> str:
        replica = calls.choose(adapter)
        assert replica is not None
        replica.busy += 1
        return str(replica.running.replica_id.unique_id)

    assert [chosen(one) for one in ("m:x", "m:x", "m:x", "")] == ["b", "b", "a", "a"]


@pytest.mark.parametrize("why", ["full", "dead", "gone"])
async def test_serves_own_way_where_the_fast_path_is_closed(
    backend: Any, handle: Any, replica: Replica, deployment: Engine, server: Server, why: str
) -> None:
    if why == "full":
        replica.max_ongoing_requests = 0
    elif why == "dead":
        deployment.lives = False
    else:
        await server.__aexit__()
    assert await texts(backend, 2) == [b"a0 ", b"1 "]
    assert (len(handle.responses), deployment.app.asked) == (1, [])
    assert vars(handle.asked[0]) == {"prompt": "a"}  # for request routers
    assert backend._calls.waiting == 0


async def test_a_replica_that_dies_ends_its_streams_with_an_error(
    backend: Any, handle: Any, server: Server, deployment: Engine
) -> None:
    pieces = backend.stream(TEXT, {"max_tokens": 100})
    await anext(pieces)
    deployment.app.go.clear()
    for connection in list(server.state.connections):
        connection.transport.abort()
    with pytest.raises(Unavailable, match="the engine of model 'm' died while it answered"):
        async for _ in pieces:
            pass
    assert handle.responses == []  # what has begun is not begun anew


async def test_an_answer_without_its_end_is_an_error(backend: Any, deployment: Engine) -> None:
    class Short(Talker):
        async def _events(self, body: Any) -> Any:
            yield engines.event({"choices": [engines.choice("a", None)]})

    deployment.app = Short()
    with pytest.raises(Unavailable, match="ended its answer too early"):
        await texts(backend, 5)


async def test_an_engine_that_says_nothing(backend: Any, deployment: Engine) -> None:
    deployment.app.go.clear()
    with pytest.raises(DeadlineExceeded, match=r"model 'm' gave no answer within 0\.1 s"):
        async with backend.relay("/v1/completions", BODY, {}, 0.1):
            pass
    await until(lambda: deployment.app.left == 1)


async def test_an_engine_that_fails(backend: Any, deployment: Engine) -> None:
    deployment.app.status = 500
    with pytest.raises(ModelFailed, match="no such thing"):
        await texts(backend, 5)
    with pytest.raises(ModelFailed, match="no such thing"):
        await backend.predict(TEXT, {})


async def test_a_slow_reader_holds_the_replica_up(
    backend: Any, deployment: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    original = StreamConnection.connection_made

    def connection_made(self: StreamConnection, transport: Any) -> None:
        made.append(transport)
        original(self, transport)

    monkeypatch.setattr(StreamConnection, "connection_made", connection_made)

    class Long(Talker):
        sent = 0

        async def _events(self, body: Any) -> Any:
            for _ in range(100):
                Long.sent += 1
                yield b"data: " + b" " * 2**20 + b"\n\n"
            yield b"data: [DONE]\n\n"

    deployment.app = Long()
    async with backend.relay("/v1/completions", BODY, {}) as answer:
        await until(lambda: not made[0].is_reading())
        assert Long.sent < 100
        assert len(await answer.read()) > 100 * 2**20
    assert Long.sent == 100


async def test_only_the_cluster_may_call(server: Server) -> None:
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(b"POST /-/engine/v1/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}")
    assert b"401" in await reader.readline()
    writer.close()
