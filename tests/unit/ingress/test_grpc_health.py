"""grpc.health.v1 by its protocol (grpc's doc/health-checking.md): statuses by name, '' for the whole."""

import asyncio
from contextlib import aclosing

import grpc
import pytest
from grpc_health.v1 import health_pb2 as theirs  # in the default pool, beside ours

from serve_app.config import Limits
from serve_app.errors import ModelFailed
from serve_app.ingress import grpc_health
from serve_app.ingress.grpc import Servicer
from serve_app.protocol import health_pb2 as pb
from tests.unit.held import soon
from tests.unit.ingress.grpc_bodies import Context
from tests.unit.planes import Raises, plane, served

SERVING, NOT_SERVING = pb.HealthCheckResponse.SERVING, pb.HealthCheckResponse.NOT_SERVING
UNKNOWN = pb.HealthCheckResponse.SERVICE_UNKNOWN
V2 = "inference.GRPCInferenceService"


@pytest.fixture
def servicer():
    made = Servicer(plane(), Limits)
    served(made.plane)
    served(made.plane, "bad", backend=Raises(ModelFailed("no")))
    made.plane.directory.expect("new", "")
    return made


def asked(service: str = "") -> bytes:
    return theirs.HealthCheckRequest(service=service).SerializeToString()


def status(answer) -> int:
    return theirs.HealthCheckResponse.FromString(answer.SerializeToString()).status


@pytest.mark.parametrize(
    ("service", "expected"),
    [("", SERVING), (V2, SERVING), ("m", SERVING), ("bad", SERVING), ("new", NOT_SERVING)],
)
async def test_each_name_has_a_status(servicer, service, expected):
    context = Context()
    assert status(await servicer.Check(asked(service), context)) == expected
    assert context.code is grpc.StatusCode.OK


async def test_of_a_server_that_is_not_ready_and_of_a_model_that_is_away(servicer, monkeypatch):
    monkeypatch.setattr(type(servicer.plane), "ready", property(lambda _: False), raising=False)
    for service in ("", V2):
        assert status(await servicer.Check(asked(service), Context())) == NOT_SERVING
    servicer.plane.directory.model("m").unavailable("", "gone")
    assert status(await servicer.Check(asked("m"), Context())) == NOT_SERVING


@pytest.mark.parametrize("service", ["none", "grpc.health.v1.Nothing", "M"])
async def test_a_check_of_an_unknown_name_is_not_found(servicer, service):
    context = Context()
    answer = await servicer.Check(asked(service), context)
    assert (context.code, answer.data) == (grpc.StatusCode.NOT_FOUND, b"")
    assert service in context.details


async def test_the_list_has_all_of_them(servicer):
    answer = await servicer.List(b"", Context())
    found = pb.HealthListResponse.FromString(answer.SerializeToString()).statuses
    assert {name: one.status for name, one in found.items()} == {
        "": SERVING, V2: SERVING, "m": SERVING, "bad": SERVING, "new": NOT_SERVING,
    }  # fmt: skip


async def test_who_watches_hears_of_changes_and_of_nothing_else(servicer, monkeypatch):
    monkeypatch.setattr(grpc_health, "_LOOK_S", 0.001)
    directory = servicer.plane.directory
    async with aclosing(servicer.Watch(asked("later"), Context())) as watched:
        assert status(await soon(anext(watched))) == UNKNOWN  # and the stream goes on
        following = asyncio.create_task(anext(watched))
        await asyncio.sleep(0.02)
        assert not following.done()
        directory.expect("later", "")
        assert status(await soon(following)) == NOT_SERVING
        model = served(servicer.plane, "later")
        assert status(await soon(anext(watched))) == SERVING
        model.unavailable("", "gone")
        assert status(await soon(anext(watched))) == NOT_SERVING
        directory.remove("later", "")
        assert status(await soon(anext(watched))) == UNKNOWN


@pytest.mark.parametrize("method", ["Check", "List"])
async def test_what_is_no_message_is_the_clients_fault(servicer, method):
    context = Context()
    await getattr(servicer, method)(b"\xff", context)
    assert context.code is grpc.StatusCode.INVALID_ARGUMENT
    context = Context()
    assert [one async for one in servicer.Watch(b"\xff", context)] == []
    assert context.code is grpc.StatusCode.INVALID_ARGUMENT


def test_ours_are_the_standards_messages():
    """Beside the official package's, in one process: names and numbers, not the pool."""
    for name in ("HealthCheckRequest", "HealthCheckResponse"):
        ours, official = getattr(pb, name).DESCRIPTOR, getattr(theirs, name).DESCRIPTOR
        assert ours.full_name == official.full_name
        assert [(f.name, f.number, f.type) for f in ours.fields] == [
            (f.name, f.number, f.type) for f in official.fields
        ]
    assert dict(pb.HealthCheckResponse.ServingStatus.items()) == dict(
        theirs.HealthCheckResponse.ServingStatus.items()
    )
