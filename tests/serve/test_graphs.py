"""Graphs on a live server, over models inside the Router and beside it."""

import re
from typing import Any

import grpc
import httpx
import pytest

from serve_app.protocol.inference_pb2 import ModelInferRequest, ModelInferResponse
from tests.serve.live import column, until
from tests.serve.test_requests import SETUPS
from tests.server import Server

pytestmark = pytest.mark.parametrize("server", SETUPS[:1], indirect=True, ids=str)


@pytest.fixture
def client(server: Server) -> Any:
    with server.http() as client:
        yield client


def predicted(client: httpx.Client, graph: str, *rows: float) -> Any:
    body = {"instances": [[row] for row in rows]}
    return client.post(f"/v1/models/{graph}:predict", json=body)


def test_v1_as_kserve_s_router(server: Server, client: httpx.Client) -> None:
    answer = predicted(client, "chain", 6, 7)
    assert answer.json() == {"predictions": [{"x": [6.0], "rows": [2]}, {"x": [7.0], "rows": [2]}]}
    answer = predicted(client, "chain", 1)
    assert answer.status_code == 500  # no 404: a node of its own asked for it
    assert answer.json() == {
        "error": "Failed to process request",
        "cause": "None of the routes matched with the switch condition",
    }
    answer = predicted(client, "both", 1)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "here": {"predictions": [{"x": [1.0], "rows": [1]}]},
            "there": {"predictions": [{"x": [1.0], "rows": [1]}]},
            "picky": {"error": "V1 is for models with inputs; 'remote-picky' has 0 declared: use /v2"},
        },
    )


def test_v2_over_http_and_grpc(server: Server, client: httpx.Client) -> None:
    answer = client.post("/v2/models/chain/infer", json={**column(7), "id": "seven"}).json()
    assert (answer["id"], answer["model_version"]) == ("seven", "1")
    assert [(one["name"], one["data"]) for one in answer["outputs"]] == [("x", [7.0]), ("rows", [1])]
    entry = {"name": "x", "datatype": "FP32", "shape": [1, 1], "contents": {"fp32_contents": [7]}}
    with grpc.insecure_channel(server.grpc) as channel:
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            ModelInferRequest.SerializeToString,
            ModelInferResponse.FromString,
        )
        found = infer(ModelInferRequest(model_name="both", inputs=[entry]), timeout=60)
        names = [one.name for one in found.outputs]
        assert names == ["here.x", "here.rows", "there.x", "there.rows", "picky.error"]
        with pytest.raises(grpc.RpcError) as failed:
            infer(ModelInferRequest(model_name="both", model_version="2", inputs=[entry]), timeout=60)
    assert failed.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_graph_is_a_model_among_models(server: Server, client: httpx.Client) -> None:
    assert client.get("/v2/models/chain/ready").json() == {"name": "chain", "ready": True}
    about = client.get("/v2/models/chain").json()
    assert (about["platform"], about["versions"]) == ("graph", ["1"])
    assert [one["name"] for one in about["inputs"]] == ["x"]
    rows = client.post("/v2/repository/index", json={}).json()
    assert {"name": "both", "version": "1", "state": "READY", "reason": ""} in rows
    assert "chain" in client.get("/v1/models").json()["models"]
    (found,) = client.get("/v2/models/chain/stats").json()["model_stats"]
    assert found["inference_stats"]["success"]["count"] > 0
    kind = r'ray_graph_node_seconds_count\{.*model_name="chain".*node="sorts".*\} [1-9]'
    until(lambda: re.search(kind, server.metrics()), "metrics of nodes", 60)
