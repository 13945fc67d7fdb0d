import gzip
import json

import pytest

from serve_app.errors import Unavailable
from tests.unit.ingress.rest_bodies import BODY, INFER, INPUT, error
from tests.unit.planes import Raises, served


@pytest.mark.parametrize("length", ["", "-1", "x", "1.5", "0x10", "٣".encode(), "9" * 30, "99999"])
async def test_wrong_header_lengths(http, length):
    answer = await http.post(
        INFER, content=json.dumps(BODY), headers={"Inference-Header-Content-Length": length}
    )
    assert "Inference-Header-Content-Length" in error(answer, 400)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nothing/", 404), ("GET", "/v2/nothing", 404), ("GET", "/v1", 404),
        ("POST", "/v2/models/m/nothing", 404),
        ("GET", "/v3", 404), ("GET", "/docsx", 404), ("GET", "/docs/static/none.js", 404),
        ("POST", "/docs", 405), ("GET", "/v1/models/none", 404), ("GET", "/v2/models/none", 404),
        ("GET", "/v2/models/none/ready", 404), ("GET", "/v2/models/m/versions/9", 404),
        ("POST", "/v2/models/none/infer", 404),
        ("POST", "/v2/models/m/versions/9/infer", 404), ("GET", "/v2/models/m/versions/9/ready", 404),
        ("GET", "/v2/models/new", 503), ("GET", "/v2/models/new/config", 503),
        ("POST", "/v2/models/new/infer", 503),
        ("POST", "/v2/repository/models/m/load", 501), ("POST", "/v2/repository/models/m/unload", 501),
        ("GET", "/v2/systemsharedmemory/status", 501),
        ("POST", "/v2/cudasharedmemory/region/r/register", 501),
        ("GET", "/v2/trace/setting", 501), ("POST", "/v2/models/m/trace/setting", 501),
        ("GET", "/v2/logging", 501),
        ("POST", "/v1/models/m:explain", 501), ("POST", "/v1/models/none:predict", 404),
    ],
)  # fmt: skip
async def test_routes_that_lead_nowhere(http, method, path, status):
    body = json.dumps(BODY) if path.endswith(("infer", "predict")) else b""
    assert error(await http.request(method, path, content=body), status)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", INFER, "POST"), ("PUT", INFER, "POST"), ("POST", "/v2/health/live", "GET"),
        ("POST", "/v2/models/m", "GET"),
        ("DELETE", "/v2/models/m/ready", "GET"), ("GET", "/v2/repository/index", "POST"),
        ("POST", "/v2", "GET"),
        ("GET", "/v1/models/m:predict", "POST"), ("POST", "/v1/models/m", "GET"),
        ("POST", "/v2/models/stats", "GET"), ("OPTIONS", INFER, "POST"), ("PATCH", "/v2/models", "GET"),
        ("POST", "/openapi.json", "GET"), ("PUT", "/docs", "GET"), ("POST", "/", "GET"),
    ],
)  # fmt: skip
async def test_other_methods_are_told_the_right_one(http, method, path, allowed):
    answer = await http.request(method, path)
    assert allowed in error(answer, 405)
    assert answer.headers["allow"] == ("GET, HEAD" if allowed == "GET" else allowed)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"inputs": []}, "'x' is missing"),
        ({"inputs": [INPUT | {"shape": [2]}]}, "'x': expected shape"),
        ({"inputs": [INPUT | {"datatype": "FP64"}]}, "'x': expected datatype FP32, got FP64"),
        ({"inputs": [INPUT | {"datatype": "FP33"}]}, "'x': datatype"),
        ({"inputs": [INPUT | {"data": [1]}]}, "got 1"),
        ({"outputs": [{"name": "q"}]}, "'q' is not an output"),
        ({"parameters": {"timeout": "x"}}, "timeout"),
    ],
)  # fmt: skip
async def test_the_clients_faults(http, change, part):
    assert part in error(await http.post(INFER, json=BODY | change), 400)


async def test_bodies_that_are_not_json(http):
    for body in (b"", b"{", b"\xff\xfe", b"[]", rb'{"id": "\ud800", "inputs": [NaN]}'):
        error(await http.post(INFER, content=body), 400)
    error(await http.post("/v2/repository/index", content=b"{"), 400)
    error(await http.post("/v2/repository/index", json={"ready": 1}), 400)


async def test_the_models_failure(http):
    message = error(await http.post("/v2/models/bad/infer", json=BODY), 500)
    assert message == "model 'bad' raised ValueError (request id abc)"


async def test_overload_says_when_to_come_back(http):
    answer = await http.post("/v2/models/full/infer", json=BODY)
    assert error(answer, 503) == "the replicas are full"
    assert int(answer.headers["retry-after"]) > 0


async def test_a_bug_of_ours_shows_nothing_inside(http):
    message = error(await http.post("/v2/models/buggy/infer", json=BODY), 500)
    assert "secret" not in message
    assert "internal" in message


async def test_an_unavailable_model_says_why(http, the_plane):
    the_plane.directory.model("m").unavailable("", "its application is UNHEALTHY")
    assert "UNHEALTHY" in error(await http.post(INFER, json=BODY), 503)
    served(the_plane, "gone", backend=Raises(Unavailable("a replica died")))
    assert error(await http.post("/v2/models/gone/infer", json=BODY), 503) == "a replica died"


async def test_large_bodies(http):
    assert "5000" in error(await http.post(INFER, content=b"x" * 5001), 413)
    bomb = gzip.compress(bytes(10**6))
    assert len(bomb) < 5000
    error(await http.post(INFER, content=bomb, headers={"content-encoding": "gzip"}), 413)

    async def chunks():
        for _ in range(6):
            yield b"x" * 1000

    error(await http.post(INFER, content=chunks()), 413)
