import httpx
import pytest

from serve_app.config import Limits, parse
from serve_app.config.graph import Graph
from serve_app.core.graphs.serve import Graphs
from serve_app.errors import InvalidArgument, raised
from serve_app.ingress.rest import RestApp
from serve_app.observability.payloads.log import PayloadLog
from tests.unit.ingress.payloads.told import Kept
from tests.unit.planes import Raises, plane, served


@pytest.fixture
def log(monkeypatch):
    monkeypatch.setattr("serve_app.observability.payloads.log.Sender", Kept)
    return PayloadLog("own")


@pytest.fixture
def the_plane(log):
    made = plane()
    served(made, versions=("3",))
    served(made, "picky", backend=Raises(InvalidArgument("too small")))
    served(made, "bad", backend=Raises(raised("model 'bad' raised", ValueError("no"))))
    made.observers.each = (*made.observers.each, log)
    steps = [{"serviceName": "m"}, {"serviceName": "picky", "data": "$response"}]
    root = {"root": {"routerType": "Ensemble", "steps": steps}}
    around = {"root": {"routerType": "Sequence", "steps": [{"serviceName": "g"}]}}
    graphs = [
        parse(Graph, {"name": "g", "nodes": root}),
        parse(Graph, {"name": "outer", "nodes": around}),
    ]
    Graphs(made).configure(graphs)
    return made


@pytest.fixture
def rest(the_plane, log):
    app = RestApp(the_plane, lambda: Limits(maxBodyBytes=50_000, minCompressBytes=10))
    app.heard_by(log)
    return app


@pytest.fixture
async def http(rest):
    transport = httpx.ASGITransport(rest)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://t", headers={"accept-encoding": ""}
    ) as client:
        yield client
