"""The short way beside Serve's: a stand-in for the replica, all else as it is in one."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from ray.serve._private.common import RequestProtocol
from ray.serve._private.http_util import RequestIdMiddleware

from serve_app.config import Limits
from serve_app.core.paths import Paths
from serve_app.ingress import fast_path, grpc_http1
from serve_app.ingress.grpc import SERVICE, Servicer
from serve_app.ingress.rest import RestApp
from serve_app.internals import serve_replica
from serve_app.protocol.inference_pb2 import ModelInferRequest, ModelInferResponse
from tests.unit.ingress.connections import Client, Server
from tests.unit.ingress.grpc_bodies import Context, frame, post, refused
from tests.unit.planes import UNDECLARED, Backend, served

HTTP, GRPC = RequestProtocol.HTTP, RequestProtocol.GRPC
NO_ROUTER = refused(grpc.StatusCode.UNAVAILABLE, "no Router is ready; try again")
FULL = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, fast_path.FULL)


class Metric:
    def __init__(self) -> None:
        self.counted: dict[tuple, int] = {}

    def inc(self, count: int, tags: dict[str, str]) -> None:
        key = tuple(sorted(tags.items()))
        self.counted[key] = self.counted.get(key, 0) + count


class Replica:
    """What the short way uses of Serve's replica, which answers with the path."""

    def __init__(self) -> None:
        self._route_prefix, self.max_ongoing_requests = "/", 2
        self._deployment_id = SimpleNamespace(app_name="tandem")
        self._metrics_manager = self
        self._request_counter = Metric()
        self._ingress_metrics = {
            protocol: SimpleNamespace(request_counter=Metric(), request_error_counter=Metric())
            for protocol in (HTTP, GRPC)
        }
        self.ongoing, self.protocols = 0, []
        self.deployment: Any = None
        self.loop: asyncio.AbstractEventLoop | None = None

    @property
    def _user_callable_wrapper(self) -> Any:
        loop = self.loop or asyncio.get_running_loop()
        return SimpleNamespace(event_loop=loop, user_callable=self.deployment)

    def inc_num_ongoing_requests(self, metadata: Any) -> None:
        assert metadata.is_direct_ingress
        self.protocols.append(metadata._request_protocol)
        self.ongoing += 1

    def dec_num_ongoing_requests(self, metadata: Any) -> None:
        self.ongoing -= 1

    def get_num_ongoing_requests(self) -> int:
        return self.ongoing

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        body = b"Serve's: " + scope["path"].encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def handlers(self) -> None:
        """In the place of its factory of gRPC handlers."""


class Deployment:
    """What the fast path uses of a Router."""

    def __init__(self, servicer: Servicer) -> None:
        self.servicer, self.paths = servicer, Paths()
        self.rest = RestApp(servicer.plane, servicer.limits, self.paths)

    def fast_path(self, serve: Any, replica: Any) -> fast_path.RouterApp:
        return fast_path.RouterApp(serve, replica, self)


class Held(Backend):
    """Answers when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
        await self.go.wait()
        return await super().predict(version, inputs, parameters)


@pytest.fixture
def replica():
    return Replica()


@pytest.fixture
def servicer(the_plane):
    return Servicer(the_plane, lambda: Limits(maxBodyBytes=5000))


@pytest.fixture
async def held(the_plane):
    backend = Held()
    served(the_plane, "held", backend=backend, about=UNDECLARED, versions=("1",), slots=99)
    return backend


@pytest.fixture
async def router(servicer, replica):
    """The deployment in the replica."""
    replica.deployment = Deployment(servicer)
    return replica.deployment


def around(replica: Any) -> Any:
    """As Serve puts it around its own application."""
    (middleware,) = fast_path.middlewares()
    return middleware.cls(RequestIdMiddleware(replica.asgi), *middleware.args, **middleware.kwargs)


@pytest.fixture
async def server(router, replica):
    async with Server(around(replica)) as started:
        yield started


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode()


def message(model: str = "m") -> bytes:
    entry = {"name": "x", "datatype": "FP32", "shape": [1, 2], "contents": {"fp32_contents": [1, 2]}}
    return ModelInferRequest(model_name=model, inputs=[entry]).SerializeToString()


def call(model: str = "m") -> bytes:
    return post(frame(message(model)))


def infer(model: str = "m") -> bytes:
    body = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}'
    path = f"/v2/models/{model}/infer"
    return f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def serves(client: Client, path: str = "/v2") -> bool:
    """Whether Serve answered this."""
    return (await client.ask(get(path))).endswith(b"Serve's: " + path.encode())


async def until(condition) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError


async def counted(metric: Metric) -> dict[tuple, int]:
    await until(lambda: metric.counted)
    return metric.counted


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
async def test_what_the_short_way_cannot_do_serve_does(router, replica, monkeypatch, caplog, hinder):
    hinder(replica, monkeypatch)
    with caplog.at_level(logging.WARNING, "tandem"):
        async with Server(around(replica)) as server:
            client = Client(server.address)
            assert await serves(client, "/v2/health/live")
            client.close()
    assert "take Serve's way" in caplog.text
    assert replica.protocols == []


@hindrances
async def test_calls_are_answered_where_the_short_way_is_closed(router, replica, monkeypatch, hinder):
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


async def test_each_request_is_counted_by_the_way_it_took(router, server, client, replica, handler):
    for data in (get("/v2"), infer(), call(), get("/docs")):
        assert await client.ask(data)
    assert await handler("ServerLive")(b"", Context())
    replica.max_ongoing_requests = 0
    assert await client.ask(get("/v2"))  # Serve's
    assert router.paths.take() == {("http", "fast"): 2, ("grpc", "fast"): 2}
    assert router.paths.take() == {}


@pytest.fixture
async def handler(router, replica):
    """Of Serve's gRPC server, which lets the service pass."""
    passed: list[str] = []
    server = SimpleNamespace(
        service_handler_factory=replica.handlers, add_passthrough_service=passed.append
    )
    made = fast_path.fast_servicer(server, SERVICE.full_name)
    assert passed == [SERVICE.full_name]
    return lambda name, streaming=False: made.handler(SERVICE.full_name, name, streaming)


async def test_grpcs_own_server_calls_the_servicer(handler, replica, held):
    context = Context()
    data = await handler("ModelInfer")(message(), context)
    assert ModelInferResponse.FromString(data).model_name == "m"
    assert await handler("ModelInfer")(message("none"), context) == b""
    assert context.code is grpc.StatusCode.NOT_FOUND
    leaves = asyncio.create_task(handler("ModelInfer")(message("held"), context))
    await until(lambda: replica.ongoing == 1)
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    assert (replica.protocols, replica.ongoing) == ([GRPC] * 3, 0)
    by_status = await counted(replica._ingress_metrics[GRPC].request_counter)
    assert sorted((dict(key)["method"], dict(key)["status_code"]) for key in by_status) == [
        (grpc_http1.PATH, status) for status in ("CANCELLED", "NOT_FOUND", "OK")
    ]


async def test_grpcs_own_server_refuses_beyond_the_limit(handler, replica):
    replica.ongoing, context = 2, Context()
    assert await handler("ServerLive")(b"", context) == b""
    assert (context.code, context.details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, fast_path.FULL)
    assert (replica.protocols, replica.ongoing) == ([], 2)


async def test_streams_are_counted_as_long_as_they_run(handler, replica):
    async def requests():
        for model in ("m", "none"):
            assert replica.ongoing == 1
            yield message(model)

    answers = [data async for data in handler("ModelStreamInfer", streaming=True)(requests(), Context())]
    assert (len(answers), replica.protocols, replica.ongoing) == (2, [GRPC], 0)


async def test_where_serves_server_is_another_serve_routes(replica, router, caplog):
    server = SimpleNamespace(service_handler_factory=replica.handlers)  # nothing passes there
    with caplog.at_level(logging.WARNING, "tandem"):
        assert fast_path.fast_servicer(server, SERVICE.full_name) is None
        assert fast_path.fast_servicer(SimpleNamespace(), SERVICE.full_name) is None  # a proxy's
    assert "gRPC requests take Serve's way" in caplog.text
