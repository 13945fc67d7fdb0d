"""Payload loggers of a live Router, over HTTP and gRPC, and a sink that is away beside them."""

import re
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest

from serve_app.protocol.inference_pb2 import ModelInferRequest
from tests.serve.configs import python, router, write
from tests.serve.live import column, until
from tests.server import Server, Setup


def config(folder: Path) -> Path:
    loggers = [
        {"name": "files", "url": f"file://{folder}/events", "batch": {"maxSeconds": 0.2}},
        {"name": "away", "url": "http://127.0.0.1:1/", "queue": {"maxEvents": 2}},
    ]
    return write(
        folder / "config.yaml",
        router(python("Slow", options={"seconds": 0.001}), payloads=loggers),
    )


SETUPS = [Setup("high-throughput", "payloads", config)]
pytestmark = pytest.mark.parametrize("server", SETUPS, indirect=True, ids=str)


def written(server: Server) -> list[dict[str, Any]]:
    files = sorted((server.config.parent / "events").rglob("*.jsonl"))
    return [orjson.loads(line) for file in files for line in file.read_bytes().splitlines()]


def test_what_was_asked_and_answered(server: Server) -> None:
    with server.http() as client, grpc.insecure_channel(server.grpc) as channel:
        headers = {"x-request-id": "v1", "traceparent": "00-a-b-01"}
        body = {"instances": [[3]]}
        assert client.post("/v1/models/slow:predict", json=body, headers=headers).status_code == 200
        asked = {**column(4), "id": "v2"}
        answer = client.post("/v2/models/slow/infer", json=asked)
        entry = {"name": "x", "datatype": "FP32", "shape": [1, 1], "contents": {"fp32_contents": [5]}}
        message = ModelInferRequest(model_name="slow", id="grpc", inputs=[entry])
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        infer(message.SerializeToString(), timeout=60)
    until(lambda: len(written(server)) >= 6, "six events")
    found = {(one["id"], one["type"].rpartition(".")[2]): one for one in written(server)}
    assert len(found) == 6
    assert found["v1", "request"]["data"] == body
    assert found["v1", "request"]["traceparent"] == "00-a-b-01"
    assert found["v1", "response"]["data"] == {"predictions": [{"x": [3.0], "rows": [1]}]}
    assert found["v2", "request"]["data"] == asked
    assert found["v2", "response"]["data"] == answer.json()
    assert found["grpc", "request"]["data"]["inputs"][0]["data"] == [5.0]
    assert found["grpc", "response"]["data"]["outputs"][0]["data"] == [5.0]

    def counted() -> bool:
        page = server.metrics()
        sent = re.search(r'ray_payload_events_sent_total\{.*logger="files".*\} 6', page)
        lost = re.search(r'ray_payload_events_dropped_total\{.*logger="away".*reason="full".*\} 4', page)
        return bool(sent and lost)

    until(counted, "metrics of events", 60)
