"""maxBodyBytes holds for the messages of every method, not of ModelInfer alone."""

import grpc
import pytest

from serve_app.config import Limits
from serve_app.deployments.router import _message_limit
from serve_app.ingress.grpc import SERVICE, Servicer
from serve_app.ingress.grpc_health import HEALTH
from tests.unit.ingress.grpc_bodies import Context
from tests.unit.planes import plane, served

LIMIT = 200
READS_NOTHING = {"ServerLive", "ServerReady", "ServerMetadata"}
UNARY = [
    method.name
    for service in (SERVICE, HEALTH)
    for method in service.methods
    if not method.server_streaming and method.name not in READS_NOTHING
]
LARGE = b"\x0a\x01m" * (LIMIT // 3 + 1)  # a name, again and again: valid, and protobuf takes the last


@pytest.fixture
def servicer():
    made = Servicer(plane(), lambda: Limits(maxBodyBytes=LIMIT))
    served(made.plane)
    return made


@pytest.mark.parametrize("name", UNARY)
async def test_unary(servicer, name):
    context = Context()
    answer = await getattr(servicer, name)(LARGE, context)
    assert (context.code, answer.data) == (grpc.StatusCode.RESOURCE_EXHAUSTED, b"")
    assert f"has {len(LARGE)} bytes, the limit (maxBodyBytes) is {LIMIT}" in context.details


async def test_a_watch(servicer):
    context = Context()
    assert [answer async for answer in servicer.Watch(LARGE, context)] == []
    assert context.code == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("user_config", "limit"),
    [
        ({}, 65 * 2**20),
        ({"limits": {"maxBodyBytes": 5}}, 5 + 2**20),
        ({"limits": {"maxBodyBytes": 2**40}}, 2**31 - 1),
        ({"limits": {"maxBodyBytes": "many"}}, 65 * 2**20),
    ],
)
def test_what_grpc_itself_refuses(user_config, limit):
    assert _message_limit(user_config) == limit
