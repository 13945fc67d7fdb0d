"""HTTP as HTTP is, in both modes: through HAProxy and the fast path, and through Serve's proxy."""

import gzip
import json

import httpx
import numpy as np
import pytest

from tests.server import Server

DIGITS = "/v2/models/digits/infer"
ROW = {"inputs": [{"name": "pixels", "datatype": "FP32", "shape": [1, 64], "data": [0] * 64}]}


@pytest.mark.parametrize(
    "path", ["/", "/v2", "/v2/health/live", "/v2/models/digits", "/v1/models", "/docs", "/openapi.json"]
)
def test_head_and_slashes(http: httpx.Client, path: str) -> None:
    whole = http.get(path)
    bare = http.head(path)
    assert (whole.status_code, bare.status_code, bare.content) == (200, 200, b"")
    assert bare.headers["content-type"] == whole.headers["content-type"]
    assert int(bare.headers["content-length"]) == len(whole.content)
    if path != "/":
        slashed = http.get(path + "/")
        assert (slashed.status_code, slashed.history) == (200, [])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", DIGITS, 200), ("POST", "/v2/models/none/infer", 404), ("GET", "/v2", 200),
        ("GET", "/", 200), ("GET", "/nowhere", 404), ("GET", "/docs", 200), ("GET", "/v1/files", 404),
    ],
)  # fmt: skip
def test_a_requests_name(
    server: Server, http: httpx.Client, method: str, path: str, status: int
) -> None:
    body = ROW if method == "POST" else None
    answer = http.request(method, path, json=body, headers={"X-Request-Id": "named-7"})
    assert answer.status_code == status
    assert answer.headers.get_list("x-request-id") == ["named-7"]
    if path == DIGITS:
        assert answer.json()["id"] == "named-7"
    # What Serve answers or passes on Serve names; the fast path names nothing.
    names = http.request(method, path, json=body).headers.get_list("x-request-id")
    assert all(len(name) >= 32 for name in names)
    fast = server.mode == "high-throughput" and path.startswith(("/v1", "/v2"))
    assert len(names) == (0 if fast else 1)


def test_a_requests_name_is_logged(http: httpx.Client, server: Server) -> None:
    http.post(DIGITS, json={**ROW, "id": "inner"}, headers={"X-Request-Id": "outer-8"})
    server.wait(lambda: '"request_id":"outer-8"' in server.text(), 20, "the line is in the log")


def test_codings(http: httpx.Client) -> None:
    text = json.dumps(ROW).encode()
    members = gzip.compress(text[:20]) + gzip.compress(text[20:])
    for coding in ("gzip", "x-gzip", "gzip, identity"):
        answer = http.post(DIGITS, content=members, headers={"content-encoding": coding})
        assert answer.status_code == 200, answer.text
    answer = http.post(DIGITS, content=text, headers={"content-encoding": "br"})
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip, deflate")


def test_errors_have_the_form_of_their_url(http: httpx.Client) -> None:
    for path in ("/v1/audio/speech", "/openai/v1/images/generations"):
        answer = http.post(path, json={})
        assert answer.status_code == 404
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    answer = http.put("/v1/chat/completions", json={})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert isinstance(http.get("/v1/models/none").json()["error"], str)


def test_a_raw_binary_request(http: httpx.Client) -> None:
    pixels = np.zeros((2, 64), np.float32).tobytes()
    answer = http.post(DIGITS, content=pixels, headers={"Inference-Header-Content-Length": "0"})
    assert answer.status_code == 200
    length = int(answer.headers["inference-header-content-length"])
    outputs = json.loads(answer.content[:length])["outputs"]
    assert [output["shape"] for output in outputs] == [[2, 10], [2]]
    assert len(answer.content) == length + 2 * 10 * 4 + 2 * 8


def test_cloudevents(http: httpx.Client) -> None:
    about = {"specversion": "1.0", "id": "1", "source": "tests", "type": "rows"}
    rows = {"instances": [[0] * 64]}
    plain = http.post("/v1/models/digits:predict", json=rows).json()
    headers = {f"ce-{name}": value for name, value in about.items()}
    answer = http.post("/v1/models/digits:predict", json=rows, headers=headers)
    assert answer.json() == plain
    assert answer.headers["ce-type"] == "io.kserve.inference.response"
    event, kind = {**about, "data": rows}, "application/cloudevents+json"
    answer = http.post(
        "/v1/models/digits:predict", content=json.dumps(event), headers={"content-type": kind}
    )
    assert answer.headers["content-type"] == kind
    assert answer.json()["data"] == plain


@pytest.mark.parametrize("model", ["digits", "digits-onnx", "sentences"])
def test_no_rows(http: httpx.Client, model: str) -> None:
    """An empty batch, as KServe's server takes it; each of these models takes any number of rows."""
    for key in ("instances", "inputs"):
        answer = http.post(f"/v1/models/{model}:predict", json={key: []})
        assert (answer.status_code, answer.json()) == (200, {"predictions": []})
