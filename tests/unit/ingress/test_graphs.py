"""Graphs over HTTP, in V1 as KServe's router answers and in V2, and in what is said of models."""

import gzip
import json

import httpx
import pytest

from serve_app.config import parse
from serve_app.config.graph import Graph
from serve_app.core.graphs.serve import Graphs
from serve_app.errors import InvalidArgument, Unavailable
from tests.unit.planes import UNDECLARED, Echo, Raises, served

ROW = {"instances": [[1, 2]]}
CAUSE = "None of the routes matched with the switch condition"
V2 = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}


def sequence(*steps):
    return {"root": {"routerType": "Sequence", "steps": list(steps)}}


@pytest.fixture(autouse=True)
def graphs(the_plane):
    served(the_plane, "away", backend=Raises(Unavailable("its replicas are gone")))
    served(the_plane, "picky", backend=Raises(InvalidArgument("too small")))
    switch = {"routerType": "Switch", "steps": [{"serviceName": "m", "condition": "[@this].#(a==b)"}]}
    both = {
        "routerType": "Ensemble",
        "steps": [{"serviceName": "m", "name": "a"}, {"serviceName": "picky"}],
    }
    nodes = {
        "switch": {"root": switch},
        "inner": sequence({"nodeName": "n"}) | {"n": switch},
        "both": {"root": both},
        "away": {"root": both},  # there is a model of that name
        "last": sequence({"serviceName": "m"}, {"serviceName": "away"}),
        "missing": sequence({"serviceName": "nobody"}),
    }
    graphs = [parse(Graph, {"name": name, "nodes": found}) for name, found in nodes.items()]
    Graphs(the_plane).configure(graphs)


async def ask(http, name, body=ROW, **headers):
    return await http.post(f"/v1/models/{name}:predict", content=json.dumps(body), headers=headers)


@pytest.mark.parametrize(
    ("name", "body", "status", "answer"),
    [
        ("switch", ROW | {"a": "b"}, 200, {"predictions": [{"y": [12.0, 22.0], "z": [1.0, 2.0]}]}),
        ("switch", ROW, 404, {"error": "Failed to process request", "cause": CAUSE}),
        ("inner", ROW, 500, {"error": "Failed to process request", "cause": CAUSE}),
        ("both", ROW, 200, {"a": {"predictions": [{"y": [12.0, 22.0], "z": [1.0, 2.0]}]},
                            "1": {"error": "too small"}}),
        ("last", ROW, 503, {"error": "its replicas are gone"}),
        ("missing", ROW, 404, {"error": "no model 'nobody'"}),
        ("last", [1], 400, {"error": "the body must be a JSON object with instances or inputs"}),
        ("away", ROW, 503, {"error": "its replicas are gone"}),
    ],
)  # fmt: skip
async def test_v1_as_kserve_s_router(http: httpx.AsyncClient, name, body, status, answer):
    found = await ask(http, name, body)
    assert (found.status_code, found.json()) == (status, answer)
    assert found.headers["content-type"] == "application/json"


async def test_v1_bodies_in_their_forms(http: httpx.AsyncClient, monkeypatch):
    body = gzip.compress(json.dumps(ROW | {"a": "b"}).encode())
    url = "/v1/models/switch:predict"
    found = await http.post(url, content=body, headers={"content-encoding": "gzip"})
    assert found.json()["predictions"][0]["y"] == [12, 22]
    event = {"ce-id": "1", "ce-source": "s", "ce-type": "t", "ce-specversion": "1.0"}
    found = await ask(http, "switch", ROW | {"a": "b"}, **event)
    assert found.headers["ce-type"] == "io.kserve.inference.response"
    found = await http.post(url, content=b"{not json")
    assert found.status_code == 400
    assert "not valid JSON" in found.json()["error"]
    found = await http.post(url, content=b'{"instances": [[NaN, Infinity]], "a": "b"}')
    assert b"NaN" in found.content
    assert b"Infinity" in found.content
    assert (await ask(http, "switch", "x" * 6000)).status_code == 413
    monkeypatch.setattr("serve_app.ingress.graphs.MOST", 99)
    found = await ask(http, "switch", ROW | {"a": "x" * 99})
    assert found.status_code == 413
    assert "a graph takes V1 of at most 99" in found.json()["error"]
    monkeypatch.undo()
    assert (await http.post("/v1/models/switch:explain", json=ROW)).status_code == 501


async def test_a_graph_may_have_an_explainer(http: httpx.AsyncClient, the_plane):
    served(the_plane, "why", backend=Echo(), about=UNDECLARED, versions=("1",))
    the_plane.directory.explainers["why"] = "why", "last"
    answer = await http.post("/v1/models/last:explain", json=ROW)
    assert (answer.status_code, answer.json()) == (200, {"explanations": [[1, 2]]})
    answer = await http.post("/v2/models/last/explain", json=V2)
    assert [(one["name"], one["data"]) for one in answer.json()["outputs"]] == [("x", [1, 2])]


async def test_v2_and_what_is_said(http: httpx.AsyncClient):
    found = (await http.post("/v2/models/both/infer", json={**V2, "id": "one"})).json()
    assert (found["model_name"], found["model_version"], found["id"]) == ("both", "1", "one")
    assert [one["name"] for one in found["outputs"]] == ["a.y", "a.z", "1.error"]
    asked = {**V2, "outputs": [{"name": "a.z"}]}
    found = (await http.post("/v2/models/both/versions/1/infer", json=asked)).json()
    assert [one["data"] for one in found["outputs"]] == [[1, 2]]
    found = await http.post("/v2/models/switch/infer", json=V2)
    assert found.status_code == 404
    assert found.json()["error"] == f"Failed to process request: {CAUSE}"
    found = await http.post("/v2/models/inner/infer", json={**V2, "id": "r"})
    assert found.status_code == 500
    assert found.json()["error"] == f"Failed to process request: {CAUSE} (request id r)"
    assert (await http.get("/v2/models/both/ready")).status_code == 200
    found = await http.get("/v2/models/missing/ready")
    assert (found.status_code, found.json()["ready"]) == (503, False)
    assert (await http.get("/v2/models/both/config")).json()["platform"] == "graph"
    assert "both" in (await http.get("/v1/models")).json()["models"]
    assert (await http.get("/v1/models/both")).json()["ready"] is True
    assert (await http.get("/openapi.json")).status_code == 200
