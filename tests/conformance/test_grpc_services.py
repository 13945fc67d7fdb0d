"""gRPC's own services, as their official stubs ask them, and what its clients take of an error."""

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2 as rpb
from tritonclient.grpc import service_pb2 as pb

from tests.conformance.test_grpc import Q, raw
from tests.conformance.verbs import VERSIONS
from tests.server import Server

SERVING = health_pb2.HealthCheckResponse.SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
V2 = "inference.GRPCInferenceService"


@pytest.fixture
def health(channel: grpc.Channel) -> health_pb2_grpc.HealthStub:
    return health_pb2_grpc.HealthStub(channel)


@pytest.mark.parametrize("service", ["", V2, *VERSIONS])
def test_health_of_the_server_and_of_each_model(
    health: health_pb2_grpc.HealthStub, service: str
) -> None:
    asked = health_pb2.HealthCheckRequest(service=service)
    assert health.Check(asked, timeout=30).status == SERVING
    watching = health.Watch(asked, timeout=30)
    assert next(watching).status == SERVING
    watching.cancel()


def test_health_of_what_is_not_there(health: health_pb2_grpc.HealthStub) -> None:
    asked = health_pb2.HealthCheckRequest(service="nobody")
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(asked, timeout=30)
    assert caught.value.code() is StatusCode.NOT_FOUND
    watching = health.Watch(asked, timeout=3)
    assert next(watching).status == UNKNOWN
    with pytest.raises(grpc.RpcError) as caught:  # nothing follows, and it doesn't end by itself
        next(watching)
    assert caught.value.code() is StatusCode.DEADLINE_EXCEEDED


def test_the_list_of_healths(channel: grpc.Channel) -> None:
    data = channel.unary_unary("/grpc.health.v1.Health/List")(b"", timeout=30)
    for name in (V2, *VERSIONS):
        assert name.encode() in data


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_both_reflections(channel: grpc.Channel, version: str) -> None:
    stream = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        rpb.ServerReflectionRequest.SerializeToString,
        rpb.ServerReflectionResponse.FromString,
    )
    (answer,) = stream(iter([rpb.ServerReflectionRequest(list_services="")]), timeout=30)
    listed = {one.name for one in answer.list_services_response.service}
    assert {V2, "grpc.health.v1.Health", f"grpc.reflection.{version}.ServerReflection"} <= listed


@pytest.mark.parametrize(
    ("method", "model"), [("ModelInfer", "identity"), ("ModelInfer", "none"), ("ModelMetadata", "none"),
                          ("ModelMetadata", "identity"), ("ServerLive", "")],
)  # fmt: skip
def test_a_requests_name(channel: grpc.Channel, method: str, model: str) -> None:
    """As over HTTP, on both of gRPC's ways; ModelInfer takes one of its own behind HAProxy."""
    sent = raw(model, "x", Q) if method == "ModelInfer" else pb.ModelMetadataRequest(name=model)
    ask = channel.unary_unary(f"/{V2}/{method}").with_call
    try:
        data = sent.SerializeToString() if model else b""
        answer, call = ask(data, timeout=60, metadata=[("x-request-id", "named-8")])
    except grpc.RpcError as error:
        call = error
    else:
        if method == "ModelInfer":
            assert pb.ModelInferResponse.FromString(answer).id == "named-8"
    found = [value for key, value in call.trailing_metadata() if key == "x-request-id"]
    assert found == ["named-8"]


def test_a_requests_name_is_logged(channel: grpc.Channel, server: Server) -> None:
    sent = raw("identity", "x", Q)
    sent.id = "inner"
    for name, method in (("outer-9", "unary_unary"), ("outer-10", "stream_stream")):
        path, data = (
            f"/{V2}/{'ModelInfer' if method == 'unary_unary' else 'ModelStreamInfer'}",
            sent.SerializeToString(),
        )
        ask = getattr(channel, method)(path)
        answer = ask(
            iter([data]) if "stream" in method else data, metadata=[("x-request-id", name)], timeout=60
        )
        assert answer if isinstance(answer, bytes) else list(answer)
    for name in ("outer-9", "outer-10"):
        server.wait(
            lambda name=name: f'"request_id":"{name}"' in server.text(), 20, "the line is in the log"
        )


@pytest.mark.parametrize("letter", ["a", "é", "日", "%"])
def test_a_long_error_arrives(channel: grpc.Channel, letter: str) -> None:
    """Of an error whose text is longer than gRPC's clients take they would say something else."""
    for length, method, code in (
        (1024, "ModelInfer", StatusCode.NOT_FOUND),
        (9000, "ModelInfer", StatusCode.INVALID_ARGUMENT),  # nobody's name
        (9000, "ModelMetadata", StatusCode.NOT_FOUND),
    ):
        name = letter * length
        sent = raw(name, "x", Q) if method == "ModelInfer" else pb.ModelMetadataRequest(name=name)
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(f"/{V2}/{method}")(sent.SerializeToString(), timeout=60)
        assert caught.value.code() is code
        assert letter * 70 in caught.value.details()
