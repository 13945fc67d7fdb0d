"""The fast path of Serve's own gRPC server."""

import asyncio
from types import SimpleNamespace

import grpc
import pytest

from serve_app.ingress import fast_path, grpc_http1
from serve_app.ingress.grpc import SERVICE, add_inference_service
from serve_app.protocol import health_pb2
from serve_app.protocol import inference_pb2 as pb
from serve_app.protocol.inference_pb2 import ModelInferResponse
from tests.unit.ingress.grpc_bodies import Context
from tests.unit.ingress.serve_stand_ins import GRPC, call, counted, get, infer, message
from tests.unit.waiting import until


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


async def test_what_the_caller_calls_its_request_comes_back(handler, replica):
    for method, data in (
        ("ModelInfer", message()), ("ModelInfer", message("none")), ("ServerMetadata", b""),
        ("ModelReady", b"\xff"),
    ):  # fmt: skip
        context = Context()
        context.metadata = (("x-request-id", "outer"),)
        await handler(method)(data, context)
        assert dict(context.trailing) == {"x-request-id": "outer"}
    replica.ongoing = 2
    await handler("ServerMetadata")(b"", context)
    assert dict(context.trailing)["x-request-id"] == "outer"
    assert dict(context.trailing)["retry-after"] == "1"


async def test_grpcs_own_server_refuses_beyond_the_limit(handler, replica):
    replica.ongoing, context = 2, Context()
    assert await handler("ServerMetadata")(b"", context) == b""
    assert (context.code, context.details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, fast_path.FULL)
    assert dict(context.trailing)["retry-after"] == "1"
    assert (replica.protocols, replica.ongoing) == ([], 2)


async def test_health_is_no_load(router, replica):
    passed: list[str] = []
    server = SimpleNamespace(
        service_handler_factory=replica.handlers, add_passthrough_service=passed.append
    )
    made = fast_path.fast_servicer(server, SERVICE.full_name, "grpc.health.v1.Health")
    assert passed == [SERVICE.full_name, "grpc.health.v1.Health"]
    replica.max_ongoing_requests = 0  # full
    assert await made.uncounted("Check", False)(b"", Context()) == b"\x08\1"  # SERVING
    watched = made.uncounted("Watch", True)(b"", Context())
    assert await anext(watched) == b"\x08\1"
    assert replica.ongoing == 0
    await watched.aclose()


async def test_requests_of_streams_are_counted_and_not_the_streams(handler, replica, held):
    async def requests():
        for model in ("m", "held", "none"):
            yield message(model)
        await until(lambda: replica.ongoing == 2)  # the answer of the last one has to wait
        held.go.set()
        await until(lambda: replica.ongoing == 0)

    answers = [data async for data in handler("ModelStreamInfer", streaming=True)(requests(), Context())]
    assert (len(answers), replica.protocols, replica.ongoing) == (3, [GRPC] * 3, 0)


async def test_health_takes_no_place(router, replica):
    """However the methods are registered: those that probes ask are never refused."""
    kinds: dict[str, dict] = {}
    server = SimpleNamespace(
        service_handler_factory=replica.handlers,
        add_passthrough_service=lambda name: None,
        add_generic_rpc_handlers=lambda handlers: None,
        add_registered_method_handlers=lambda name, handlers: kinds.update({name: handlers}),
    )
    most = router.servicer.idle.most
    add_inference_service(router.servicer, server)
    assert router.servicer.idle.most == 4 * most  # idle streams, which take none either
    replica.max_ongoing_requests = 0
    asked = {
        "ServerLive": (SERVICE.full_name, pb.ServerLiveResponse(live=True)),
        "ServerReady": (SERVICE.full_name, pb.ServerReadyResponse(ready=True)),
        "Check": ("grpc.health.v1.Health", health_pb2.HealthCheckResponse(status=1)),
    }
    for method, (service, answer) in asked.items():
        context = Context()
        found = await kinds[service][method].unary_unary(b"", context)
        assert found == answer.SerializeToString(), context.details


async def test_those_who_watch_are_bounded(router, replica, monkeypatch):
    monkeypatch.setattr(fast_path, "WATCHED", 2)
    server = SimpleNamespace(
        service_handler_factory=replica.handlers, add_passthrough_service=lambda name: None
    )
    watch = fast_path.fast_servicer(server).uncounted("Watch", True)
    first, second = watch(b"", Context()), watch(b"", Context())
    assert await anext(first) == await anext(second) == b"\x08\1"
    context = Context()
    assert [answer async for answer in watch(b"", context)] == []
    assert context.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    await first.aclose()
    third = watch(b"", Context())
    assert await anext(third) == b"\x08\1"
    await second.aclose()
    await third.aclose()
