"""The fast path to a model's replica, both ends: Serve's parts are stood in for, the rest is real."""

import contextlib

import pytest

from serve_app.core.paths import Paths
from serve_app.hop import calls as client
from serve_app.hop import served
from serve_app.hop.remote import RemoteApplication
from tests.unit.hop.batches.model import Model, around, listening
from tests.unit.hop.serve_stand_ins import Handle, Replica
from tests.unit.ingress.connections import Server


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


@pytest.fixture(params=["HTTP", "near"])
def way(request):
    """How a replica of this node is asked."""
    return request.param


@pytest.fixture
async def server(replica, model, way):
    async with Server(around(replica, model)) as started, contextlib.AsyncExitStack() as more:
        started.near = await more.enter_async_context(listening(replica)) if way == "near" else None
        yield started


@pytest.fixture
def connections(server):
    """The replica's ends of the Routers' connections."""
    return lambda: server.near or [one.transport for one in server.state.connections]


@pytest.fixture
async def handle(server):
    return Handle(one=server.address)


@pytest.fixture
async def backend(handle):
    return RemoteApplication("m", handle, Paths())
