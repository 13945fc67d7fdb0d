import gzip
import json

import numpy as np
import pytest
import tritonclient.http as triton

from serve_app.config import Limits
from serve_app.ingress.rest import RestApp
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from tests.unit.ingress.rest_bodies import BODY, INFER, INPUT, error
from tests.unit.planes import heard, plane, served


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/v2/health/live", 200, {"live": True}),
        ("/v2/health/ready", 200, {"ready": True}),
        ("/v2/models/m/ready", 200, {"name": "m", "ready": True}),
        ("/v2/models/m/versions/1/ready", 200, {"name": "m", "ready": True}),
        (
            "/v2/models/new/ready",
            503,
            {"name": "new", "ready": False, "reason": "model 'new' is not ready: loading"},
        ),
        ("/v1/models/m", 200, {"name": "m", "ready": True}),
        ("/v1/models/new", 503, {"name": "new", "ready": False}),
        ("/v2/models", 200, {"models": ["m", "echo", "bad", "full", "buggy", "new"]}),
        # KServe's list and OpenAI's, which has language models alone.
        (
            "/v1/models",
            200,
            {
                "models": ["m", "echo", "bad", "full", "buggy", "new"],
                "object": "list",
                "data": [],
            },
        ),
        ("/openai/v1/models", 200, {"object": "list", "data": []}),
    ],
)
async def test_health(http, path, status, body):
    answer = await http.get(path)
    assert (answer.status_code, answer.json()) == (status, body)
    assert answer.headers["content-type"] == "application/json"


async def test_a_server_that_is_not_ready(http, the_plane):
    the_plane.tried = False
    answer = await http.get("/v2/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"ready": False})
    assert (await http.get("/v2/health/live")).status_code == 200


async def test_strict_readiness_is_that_of_every_model(http, the_plane):
    assert (await http.get("/v2/health/ready")).status_code == 200  # though `new` has loaded nothing
    the_plane.strict = True
    answer = await http.get("/v2/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"ready": False})
    served(the_plane, "new")
    assert (await http.get("/v2/health/ready")).status_code == 200
    the_plane.directory.model("m").unavailable("", "its application is UNHEALTHY")
    assert (await http.get("/v2/health/ready")).status_code == 503
    the_plane.strict = False
    assert (await http.get("/v2/health/ready")).status_code == 200


async def test_a_refused_change_stands_in_the_ready_answers_and_the_index(http, the_plane):
    model = the_plane.directory.model("m")
    model.refused.refuse("", "no such file", ["3"])
    the_plane.directory.refused = "user_config.limitz: unknown key"
    refused = "a change was refused: no such file"
    answer = await http.get("/v2/models/m/ready")
    assert (answer.status_code, answer.json()) == (200, {"name": "m", "ready": True, "reason": refused})
    answer = await http.get("/v2/models/m/versions/3/ready")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert "no such file" in answer.json()["reason"]
    answer = await http.get("/v2/health/ready")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "refused": "user_config.limitz: unknown key"}
    rows = [row for row in (await http.post("/v2/repository/index")).json() if row["name"] == "m"]
    assert [(row["version"], row["state"], row["reason"]) for row in rows] == [
        ("1", "READY", refused), ("2", "READY", refused), ("3", "UNAVAILABLE", refused),
    ]  # fmt: skip
    changes = (await http.get("/v2/repository/changes")).json()
    assert changes["refused"] == "user_config.limitz: unknown key"
    assert (changes["models"]["m"], changes["models"]["echo"]) == ("no such file", "")
    assert changes["settled"] is True


async def test_a_default_version_that_is_not_there_is_said(http, the_plane):
    the_plane.directory.model("m").direct("7", None)
    reason = (
        "the configured default version '7' isn't loaded; it has 1, 2: "
        "requests that name no version are refused"
    )
    rows = [row for row in (await http.post("/v2/repository/index")).json() if row["name"] == "m"]
    assert ("7", "UNAVAILABLE", reason) in [
        (row["version"], row["state"], row["reason"]) for row in rows
    ]
    answer = await http.get("/v2/models/m/ready")
    assert answer.status_code == 503
    assert reason.partition(": ")[0] in answer.json()["reason"]
    assert (await http.get("/v2/repository/changes")).json()["models"]["m"] == reason


async def test_what_can_be_read(http):
    assert (await http.get("/v2")).json()["name"] == "tandem"
    assert (await http.get("/v2/models/m")).json()["versions"] == ["1", "2"]
    assert (await http.get("/v2/models/m/versions/1")).json()["inputs"][0]["name"] == "x"
    assert (await http.get("/v2/models/m/config")).json()["max_batch_size"] == 0
    assert [s["version"] for s in (await http.get("/v2/models/m/stats")).json()["model_stats"]] == [
        "1",
        "2",
    ]
    one = (await http.get("/v2/models/m/versions/2/stats")).json()["model_stats"]
    assert [s["version"] for s in one] == ["2"]
    assert len((await http.get("/v2/models/stats")).json()["model_stats"]) == 9
    index = await http.post("/v2/repository/index", json={"ready": True})
    assert {row["state"] for row in index.json()} == {"READY"}
    assert len((await http.post("/v2/repository/index")).json()) == 10
    assert len((await http.post("/v2/repository/index", json={"ready": None})).json()) == 10


async def test_inference_in_json(http):
    answer = await http.post(INFER, json=BODY)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "model_name": "m", "model_version": "2", "id": "abc",
        "outputs": [
            {"name": "y", "shape": [1, 2], "datatype": "FP32", "data": [12.0, 22.0]},
            {"name": "z", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]},
        ],
    }  # fmt: skip
    older = await http.post(
        "/v2/models/m/versions/1/infer", json={"inputs": [INPUT], "outputs": [{"name": "y"}]}
    )
    assert older.json()["outputs"][0]["data"] == [11.0, 21.0]
    assert older.json()["id"]


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/octet-stream", "application/json"]
)
async def test_the_content_type_does_not_matter(http, content_type):
    headers = {"content-type": content_type} if content_type else {}
    answer = await http.post(INFER, content=json.dumps(BODY), headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("binary_out", [True, False])
async def test_inference_with_tritons_binary_tensors(http, binary_out):
    entry = triton.InferInput("x", [2, 2], "FP32")
    entry.set_data_from_numpy(np.array([[1, 2], [3, 4]], dtype=np.float32))
    asked = [triton.InferRequestedOutput("y", binary_data=binary_out)]
    body, length = triton.InferenceServerClient.generate_request_body([entry], outputs=asked)
    answer = await http.post(
        INFER, content=body, headers={"Inference-Header-Content-Length": str(length)}
    )
    header = answer.headers.get("inference-header-content-length")
    assert answer.headers["content-type"] == f"application/{'octet-stream' if binary_out else 'json'}"
    assert (header is not None) == binary_out
    result = triton.InferenceServerClient.parse_response_body(
        answer.content, header_length=int(header) if header else None
    )
    assert result.as_numpy("y").tolist() == [[12, 22], [32, 42]]


RAW = {"Inference-Header-Content-Length": "0"}


@pytest.mark.parametrize("accept", ["*/*", "application/json, */*", "application/octet-stream", ""])
async def test_a_raw_binary_request(http, accept):
    body = np.array([[1, 2], [3, 4]], dtype=np.float32).tobytes()
    answer = await http.post(INFER, content=body, headers={**RAW, "accept": accept})
    length = int(answer.headers["inference-header-content-length"])
    assert answer.headers["content-type"] == "application/octet-stream"
    result = triton.InferenceServerClient.parse_response_body(answer.content, header_length=length)
    assert result.as_numpy("y").tolist() == [[12, 22], [32, 42]]
    assert result.as_numpy("z").tolist() == [[1, 2], [3, 4]]


async def test_a_raw_binary_request_for_an_answer_in_json(http):
    body = gzip.compress(np.array([[1, 2]], dtype=np.float32).tobytes())
    headers = {**RAW, "accept": "application/json", "content-encoding": "gzip"}
    answer = await http.post("/v2/models/m/versions/1/infer", content=body, headers=headers)
    assert answer.json()["outputs"][0]["data"] == [11, 21]


async def test_wrong_raw_binary_requests(http, the_plane):
    assert "multiple of 8 bytes, got 4" in error(
        await http.post(INFER, content=bytes(4), headers=RAW), 400
    )
    for path, status in (
        ("echo/infer", 400),
        ("none/infer", 404),
        ("new/infer", 503),
        ("m/versions/9/infer", 404),
    ):
        error(await http.post(f"/v2/models/{path}", content=bytes(8), headers=RAW), status)
    assert [request[2] for request in heard(the_plane).requests[:2]] == ["InvalidArgument"] * 2


async def test_packed_in_and_out(http):
    many = {"inputs": [INPUT | {"shape": [100, 2], "data": [1] * 200}]}
    answer = await http.post(
        INFER,
        content=gzip.compress(json.dumps(many).encode()),
        headers={"content-encoding": "gzip", "accept-encoding": "gzip"},
    )
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["outputs"][1]["data"] == [1.0] * 200
    small = await http.post(INFER, json=BODY, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in small.headers


async def test_nan_goes_in_and_comes_out(http):
    body = (
        b'{"inputs": [{"name": "a", "datatype": "FP16", "shape": [3], "data": [NaN, -Infinity, 0.5]}]}'
    )
    answer = await http.post("/v2/models/echo/infer", content=body)
    assert b"[NaN, -Infinity, 0.5]" in answer.content


async def test_names_from_outside_are_echoed_safely(http):
    entry = {"name": '"é\n', "datatype": "BYTES", "shape": [1], "data": ['</script>"']}
    answer = await http.post("/v2/models/echo/infer", json={"id": '"\\', "inputs": [entry]})
    assert answer.json()["outputs"] == [entry]
    assert answer.json()["id"] == '"\\'
    error(await http.get("/v2/models/%ff%22"), 404)


async def test_v1(http, the_plane):
    answer = await http.post("/v1/models/m:predict", json={"instances": [[1, 2], [3, 4]]})
    assert answer.json() == {"predictions": [{"y": [12, 22], "z": [1, 2]}, {"y": [32, 42], "z": [3, 4]}]}
    answer = await http.post("/v1/models/m:predict", json={"inputs": [[1, 2]]})
    assert answer.json() == {"predictions": [{"y": [12, 22], "z": [1, 2]}]}
    answer = await http.post("/v1/models/m:predict", json={"inputs": {"x": [[1, 2]]}})
    assert answer.json() == {"predictions": {"y": [[12, 22]], "z": [[1, 2]]}}
    assert "one of" in error(await http.post("/v1/models/m:predict", json={}), 400)
    assert "use /v2" in error(await http.post("/v1/models/echo:predict", json={"instances": [1]}), 400)
    error(await http.post("/v1/models/new:predict", json={"instances": [1]}), 503)
    counted = [("m", "", "InvalidArgument"), ("echo", "", "InvalidArgument"), ("new", "", "Unavailable")]
    assert heard(the_plane).requests[-3:] == counted


async def test_the_docs_show_a_runnable_example_and_need_no_network(http, the_plane):
    served(
        the_plane,
        "text",
        about=VersionDescription([TensorSpec("t", "BYTES", (-1,))], []),
        versions=("1",),
    )
    page = await http.get("/docs")
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    paths = (await http.get("/openapi.json")).json()["paths"]
    for name in ("m", "echo", "text", "new"):
        post = paths[f"/v2/models/{name}/infer"]["post"]
        example = post["requestBody"]["content"]["application/json"]["example"]
        if name in ("m", "echo"):
            assert (await http.post(f"/v2/models/{name}/infer", json=example)).status_code == 200
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert asset in page.text
        assert (await http.get(f"/docs/static/{asset}")).status_code == 200


async def test_lifespan_and_websockets():
    sent = []

    async def send(message):
        sent.append(message["type"])

    async def receive():
        return {"type": f"lifespan.{'shutdown' if sent else 'startup'}"}

    app = RestApp(plane(), Limits)
    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    await app({"type": "websocket", "path": "/"}, receive, send)
    assert sent[-1] == "websocket.close"


async def test_a_client_that_left_gets_no_answer():
    async def send(message):
        raise AssertionError("nobody is there")

    async def receive():
        return {"type": "http.disconnect"}

    made = plane()
    served(made)
    await RestApp(made, Limits)(
        {"type": "http", "method": "POST", "path": INFER, "headers": []}, receive, send
    )
