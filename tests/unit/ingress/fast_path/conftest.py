"""The fast path beside Serve's: a stand-in for the replica, all else as it is in one."""

import pytest

from serve_app.config import Limits
from serve_app.ingress.grpc import Servicer
from tests.unit.ingress.connections import Server
from tests.unit.ingress.serve_stand_ins import Deployment, Held, Replica, around
from tests.unit.planes import UNDECLARED, served


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


@pytest.fixture
async def server(router, replica):
    async with Server(around(replica)) as started:
        yield started
