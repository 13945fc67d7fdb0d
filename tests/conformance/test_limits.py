"""Errors that need a server with small limits and bad models: 413, 500, 503, 504 and their codes."""

import gzip
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
import yaml
from grpc import StatusCode
from tritonclient.grpc.service_pb2 import ModelStreamInferResponse

from tests.conformance.rest import IDENTITY, error_of, infer_json, x
from tests.conformance.test_grpc import call, fails, raw
from tests.server import MODES, QUICKSTART, Server, Setup

BODY = 65536
QUEUE = 2
FLOATS = np.zeros(2, np.float32)


def write(folder: Path) -> Path:
    """The quickstart with other models and small limits."""
    config = yaml.safe_load(QUICKSTART.read_text())
    router = config["applications"][0]
    python = {"modelFormat": "python"}
    here = "tests.conformance.models"
    router["deployments"][0]["user_config"] |= {
        "limits": {"maxBodyBytes": BODY, "maxQueuedRequests": QUEUE},
        "models": [
            {"name": "identity", **python, "class": "serve_app.demo.identity:Identity"},
            {"name": "raises", **python, "class": f"{here}:Raises"},
            {"name": "pairs", **python, "class": f"{here}:Pairs"},
            {
                "name": "held",
                **python,
                "class": f"{here}:Held",
                "options": {"release": str(folder / "release")},
            },
        ],
    }
    unloadable = {"modelFormat": "python", "class": f"{here}:Unloadable", "resources": {"num_cpus": 0.1}}
    remote = {"name": "unloadable", "route_prefix": None, "import_path": "serve_app.app:build_model"}
    config["applications"] = [router, {**remote, "args": unloadable}]
    path = folder / "limits.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


SETUPS = [Setup(mode, "limits", write) for mode in MODES]
pytestmark = pytest.mark.parametrize("server", SETUPS, ids=str, indirect=True)


@pytest.fixture
def release(server: Server) -> Iterator[Path]:
    """The file that lets `held` answer."""
    path = server.config.parent / "release"
    path.unlink(missing_ok=True)
    yield path
    path.touch()


def test_body_too_large(http: httpx.Client) -> None:
    large = x(shape=[BODY], data=[0] * BODY)
    message = error_of(http.post(IDENTITY, json=infer_json(large)), 413)
    assert "maxBodyBytes" in message
    assert str(BODY) in message
    assert http.post(IDENTITY, json=infer_json(x())).status_code == 200


def test_body_too_large_in_chunks(http: httpx.Client) -> None:
    chunks = iter([b" " * 8192] * 9)
    assert "maxBodyBytes" in error_of(http.post(IDENTITY, content=chunks), 413)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_body_that_unpacks_too_large(http: httpx.Client, coding: str) -> None:
    body = gzip.compress(b" " * (BODY + 1))
    if coding == "deflate":
        body = body[10:-8]  # the raw stream inside
    message = error_of(http.post(IDENTITY, content=body, headers={"Content-Encoding": coding}), 413)
    assert "maxBodyBytes" in message


def test_body_of_exactly_the_limit(http: httpx.Client) -> None:
    body = json.dumps(infer_json(x())).encode()
    assert http.post(IDENTITY, content=body.ljust(BODY)).status_code == 200
    error_of(http.post(IDENTITY, content=body.ljust(BODY + 1)), 413)


def test_message_too_large(channel: grpc.Channel) -> None:
    large = raw("identity", "x", np.zeros(BODY, np.float32))
    assert "maxBodyBytes" in fails(channel, "ModelInfer", large, StatusCode.RESOURCE_EXHAUSTED)
    call(channel, "ModelInfer", raw("identity", "x", FLOATS))


def test_overload(server: Server, channel: grpc.Channel, release: Path) -> None:
    held = "/v2/models/held/infer"
    with server.http() as http, ThreadPoolExecutor(QUEUE + 4) as pool:
        try:
            sent = [
                pool.submit(http.post, held, json=infer_json(x(), id=str(n))) for n in range(QUEUE + 4)
            ]
            done = as_completed(sent, timeout=60)
            for _ in range(4):  # the others wait, so these came first
                answer = next(done).result()
                assert "held" in error_of(answer, 503)
                assert int(answer.headers["retry-after"]) >= 1
            details = fails(
                channel, "ModelInfer", raw("held", "x", FLOATS), StatusCode.RESOURCE_EXHAUSTED
            )
            assert "held" in details
            # One model's queue is no other's.
            assert http.post(IDENTITY, json=infer_json(x())).status_code == 200
        finally:
            release.touch()
        for future in done:
            assert future.result().status_code == 200
            assert future.result().json()["outputs"] == [x()]
        assert http.post(held, json=infer_json(x())).status_code == 200


def test_time_limit(http: httpx.Client, channel: grpc.Channel, release: Path) -> None:
    body = infer_json(x(), parameters={"timeout": 50_000})
    for _ in range(QUEUE + 1):  # each frees its place in the queue
        message = error_of(http.post("/v2/models/held/infer", json=body), 504)
        assert "held" in message
        assert "0.05 s" in message
    sent = raw("held", "x", FLOATS, parameters={"timeout": {"int64_param": 50_000}})
    for _ in range(QUEUE + 1):
        assert "held" in fails(channel, "ModelInfer", sent, StatusCode.DEADLINE_EXCEEDED)


def test_model_that_raises(http: httpx.Client, channel: grpc.Channel) -> None:
    message = error_of(http.post("/v2/models/raises/infer", json=infer_json(x(), id="seventh")), 500)
    assert "raises" in message
    assert "seventh" in message
    details = fails(channel, "ModelInfer", raw("raises", "x", FLOATS, id="eighth"), StatusCode.INTERNAL)
    assert "eighth" in details


def test_model_that_is_not_ready(http: httpx.Client, channel: grpc.Channel) -> None:
    path = "/v2/models/unloadable"
    assert "unloadable" in error_of(http.post(f"{path}/infer", json=infer_json(x())), 503)
    for answer in (http.get(f"{path}/ready"), http.get("/v1/models/unloadable")):
        assert answer.status_code == 503
        about = answer.json()
        assert (about["name"], about["ready"]) == ("unloadable", False)
    assert http.get(f"{path}/ready").json()["reason"]
    for about in (path, f"{path}/config"):
        assert "unloadable" in error_of(http.get(about), 503)
    [row] = [row for row in http.post("/v2/repository/index").json() if row["name"] == "unloadable"]
    assert row["state"] == "UNAVAILABLE"
    assert row["reason"]
    assert not [
        r
        for r in http.post("/v2/repository/index", json={"ready": True}).json()
        if r["name"] == row["name"]
    ]
    assert http.get("/v2/health/ready").json() == {"ready": True}  # one bad model is not the server
    fails(channel, "ModelInfer", raw("unloadable", "x", FLOATS), StatusCode.UNAVAILABLE)


def test_many_threads_one_error_each(server: Server) -> None:
    """Errors under concurrency keep to the request they belong to."""
    barrier = threading.Barrier(8)

    def ask(number: int) -> None:
        with server.http() as http:
            barrier.wait(timeout=30)
            for turn in range(20):
                name = f"x{number}.{turn}"
                wrong = http.post("/v2/models/raises/infer", json=infer_json(x(), id=name))
                assert wrong.status_code in (500, 503)  # 503: more waited than the limit allows
                assert wrong.status_code == 503 or name in error_of(wrong, 500)
                bad = error_of(http.post(IDENTITY, json=infer_json(x(name=name, data=[1]))), 400)
                assert f"'{name}'" in bad

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


def test_a_stream_asks_side_by_side_and_no_more_than_may_wait(channel: grpc.Channel) -> None:
    """More than may wait are neither refused nor lost: the stream isn't read on until there is room."""
    stream = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
    sent = [raw("pairs", "x", FLOATS, id=str(number)).SerializeToString() for number in range(3 * QUEUE)]
    found = [ModelStreamInferResponse.FromString(answer) for answer in stream(iter(sent), timeout=50)]
    assert [one.error_message for one in found] == [""] * 3 * QUEUE
    assert [one.infer_response.id for one in found] == [str(number) for number in range(3 * QUEUE)]
