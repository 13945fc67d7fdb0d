"""The REST error table, line by line: status, exact content type, and a message for its reader."""

from typing import Any

import httpx
import pytest

from tests.conformance.rest import IDENTITY, binary, error_of, infer_json, pixels, without, x

Q = [0.5] * 64
DIGITS = "/v2/models/digits/infer"

# name -> (body, words of the message). The model is identity, which takes anything.
FAULTS: dict[str, tuple[Any, str]] = {
    "malformed-json": (b'{"inputs": [', "JSON"),
    "empty-body": (b"", "JSON"),
    "not-utf8": (b'{"inputs": "\xff"}', "JSON"),
    "json-and-more": (b'{"inputs": []} x', "JSON"),
    "deep-json": (b"[" * 100000, "JSON"),
    "a-list": ([], "object list"),
    "null": (b"null", "object null"),
    "no-inputs": ({}, "inputs"),
    "inputs-an-object": ({"inputs": {}}, "inputs list object"),
    "input-a-number": ({"inputs": [1]}, "inputs[0] object number"),
    "no-name": (infer_json(without(x(), "name")), "inputs[0].name"),
    "empty-name": (infer_json(x(name="")), "inputs[0].name"),
    "no-shape": (infer_json(without(x(), "shape")), "'x' shape list null"),
    "shape-of-text": (infer_json(x(shape=["2"])), "'x' shape integers"),
    "shape-of-floats": (infer_json(x(shape=[2.5])), "'x' shape integers"),
    "shape-of-booleans": (infer_json(x(shape=[True])), "'x' shape integers"),
    "negative-shape": (infer_json(x(shape=[-1])), "'x' shape -1"),
    "huge-shape": (infer_json(x(shape=[2**62, 2**62])), "'x' too large"),
    "no-datatype": (infer_json(without(x(), "datatype")), "'x' datatype null"),
    "unknown-datatype": (infer_json(x(datatype="FP8")), "'x' BF16 FP8"),
    "lower-case-datatype": (infer_json(x(datatype="fp32")), "'x' FP32 fp32"),
    "no-data": (infer_json(without(x(), "data")), "'x' data"),
    "data-a-number": (infer_json(x(data=1)), "'x' data list"),
    "too-little-data": (infer_json(x(data=[1])), "'x' [2] 2 1"),
    "too-much-data": (infer_json(x(data=[1, 2, 3])), "'x' [2] 2 3"),
    "nested-otherwise": (infer_json(x(shape=[2, 3], data=[[1, 2], [3, 4], [5, 6]])), "[2, 3] [3, 2]"),
    "ragged-data": (infer_json(x(shape=[3], data=[[1, 2], [3]])), "'x' ragged"),
    "text-for-numbers": (infer_json(x(data=["1", "2"])), "'x' numbers \"1\""),
    "null-for-numbers": (infer_json(x(data=[None, 1])), "'x' numbers null"),
    "true-for-numbers": (infer_json(x(data=[True, 1])), "'x' numbers true"),
    "half-for-integers": (infer_json(x(datatype="INT32", data=[0.5, 1])), "'x' integers 0.5"),
    "out-of-range": (infer_json(x(datatype="INT8", data=[200, 1])), "'x' int8"),
    "negative-unsigned": (infer_json(x(datatype="UINT64", data=[-1, 1])), "'x' uint64"),
    "too-large-half": (infer_json(x(datatype="FP16", data=[70000, 1])), "'x' float16"),
    "number-for-bytes": (infer_json(x(datatype="BYTES", data=[1, "a"])), "'x' strings 1"),
    "number-for-bool": (infer_json(x(datatype="BOOL", data=[1, 0])), "'x' true or false 1"),
    "same-name-twice": (infer_json(x(), x()), "'x' twice"),
    "id-a-number": (infer_json(x(), id=7), "id string number"),
    "parameters-a-list": (infer_json(x(), parameters=[1]), "parameters object list"),
    "parameter-an-object": (infer_json(x(), parameters={"a": {}}), "parameters.a object"),
    "flag-a-number": (
        infer_json(x(), parameters={"binary_data_output": 1}),
        "binary_data_output true or false 1",
    ),
    "timeout-a-word": (infer_json(x(), parameters={"timeout": "soon"}), "timeout soon"),
    "outputs-a-word": (infer_json(x(), outputs="x"), "outputs list string"),
    "output-unnamed": (infer_json(x(), outputs=[{}]), "outputs[0].name"),
    "unknown-output": (infer_json(x(), outputs=[{"name": "y"}]), "'y' identity x"),
    "shared-memory-input": (
        infer_json({**without(x(), "data"), "parameters": {"shared_memory_region": "r"}}),
        "shared_memory_region",
    ),
    "binary-too-short": (binary(x(), b"\x00" * 7), "'x' 8 7"),
    "binary-size-short": (binary(x(), b"\x00" * 8, size=7), "'x' 8 7"),
    "binary-size-long": (binary(x(), b"\x00" * 8, size=9), "'x' binary_data_size 8 9"),
    "binary-size-negative": (binary(x(), b"\x00" * 8, size=-1), "'x' binary_data_size -1"),
    "binary-size-a-word": (binary(x(), b"\x00" * 8, size="8"), "'x' binary_data_size \"8\""),
    "binary-surplus": (binary(x(), b"\x00" * 8, more=b"\x00"), "9 8"),
    "binary-and-data": (binary({**x(), "data": [1, 2]}, b"\x00" * 8, keep=True), "'x' both"),
    "binary-bytes-cut": (binary(x(datatype="BYTES", shape=[1]), b"\x05\x00\x00\x00ab"), "'x' 5 2"),
    "binary-bytes-surplus": (binary(x(datatype="BYTES", shape=[1]), b"\x01\x00\x00\x00ab"), "'x' 1"),
}

# name -> (path, body, status, words of the message)
OTHERS: dict[str, tuple[str, Any, int, str]] = {
    "output-twice": (
        DIGITS,
        infer_json(pixels([Q]), outputs=[{"name": "label"}] * 2),
        400,
        "label twice",
    ),
    "unknown-output-declared": (
        DIGITS,
        infer_json(pixels([Q]), outputs=[{"name": "odds"}]),
        400,
        "'odds' digits probabilities label",
    ),
    "classification": (
        DIGITS,
        infer_json(pixels([Q]), outputs=[{"name": "label", "parameters": {"classification": -1}}]),
        400,
        "classification",
    ),
    "missing-tensor": (DIGITS, {"inputs": []}, 400, "'pixels' FP32 [-1, 64]"),
    "wrong-tensor": (DIGITS, infer_json(x()), 400, "'pixels' missing"),
    "surplus-tensor": (DIGITS, infer_json(pixels([Q]), x()), 400, "'x' pixels"),
    "wrong-datatype": (
        DIGITS,
        infer_json({**pixels([Q]), "datatype": "FP64"}),
        400,
        "'pixels' FP32 FP64",
    ),
    "wrong-shape": (DIGITS, infer_json(pixels([Q[:5]])), 400, "'pixels' [-1, 64] [1, 5]"),
    "wrong-rank": (
        DIGITS,
        infer_json({**pixels([Q]), "shape": [64], "data": Q}),
        400,
        "'pixels' [-1, 64] [64]",
    ),
    "remote-shape": (
        "/v2/models/sentences/infer",
        infer_json({"name": "text", "datatype": "BYTES", "shape": [1, 2], "data": ["a", "b"]}),
        400,
        "'text' [-1] [1, 2]",
    ),
    "unknown-model": ("/v2/models/nobody/infer", infer_json(x()), 404, "nobody"),
    "unknown-version": (
        "/v2/models/digits/versions/9/infer",
        infer_json(pixels([Q])),
        404,
        "digits 9 1, 2",
    ),
    "word-for-version": (
        "/v2/models/digits/versions/one/infer",
        infer_json(pixels([Q])),
        404,
        "digits one",
    ),
    "load": ("/v2/repository/models/digits/load", {}, 501, "config"),
    "unload": ("/v2/repository/models/digits/unload", {}, 501, "config"),
    "system-shared-memory": (
        "/v2/systemsharedmemory/region/r/register",
        {"key": "/k"},
        501,
        "shared memory",
    ),
    "cuda-shared-memory": ("/v2/cudasharedmemory/region/r/register", {}, 501, "shared memory"),
    "index-body": ("/v2/repository/index", {"ready": 1}, 400, "ready true"),
    "v1-unknown": ("/v1/models/nobody:predict", {"instances": [Q]}, 404, "nobody"),
    "v1-no-instances": ("/v1/models/digits:predict", {}, 400, "instances inputs"),
    "v1-both": ("/v1/models/digits:predict", {"instances": [Q], "inputs": [Q]}, 400, "instances inputs"),
    "v1-wrong-shape": ("/v1/models/digits:predict", {"instances": [Q[:3]]}, 400, "pixels 64 3"),
    "v1-undeclared": ("/v1/models/identity:predict", {"instances": [Q]}, 400, "identity /v2"),
    "v1-explain": ("/v1/models/digits:explain", {"instances": [Q]}, 501, "digits explainer"),
}
BODIES = {name: (IDENTITY, body, 400, words) for name, (body, words) in FAULTS.items()} | OTHERS


@pytest.mark.parametrize("name", BODIES)
def test_body(http: httpx.Client, name: str) -> None:
    path, body, status, words = BODIES[name]
    headers = {}
    if isinstance(body, tuple):
        body, length = body
        headers = {"Inference-Header-Content-Length": str(length)}
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    message = error_of(http.post(path, headers=headers, **sent), status)
    for word in words.split():
        assert word in message


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nothing", 404),
        ("GET", "/v3", 404),
        ("GET", "/v2/models/digits/nothing", 404),
        ("POST", "/v2/models//infer", 404),
        ("POST", "/v2/models/digits/versions//infer", 404),
        ("GET", "/v2/models/nobody", 404),
        ("GET", "/v2/models/nobody/ready", 404),
        ("GET", "/v2/models/nobody/config", 404),
        ("GET", "/v2/models/nobody/stats", 404),
        ("GET", "/v2/models/digits/versions/9", 404),
        ("GET", "/v2/models/digits/versions/9/ready", 404),
        ("GET", "/v2/models/digits/versions/9/config", 404),
        ("GET", "/v2/models/digits/versions/9/stats", 404),
        ("GET", "/v1/models/nobody", 404),
        ("GET", "/docs/nothing", 404),
        ("GET", "/docs/static/nothing.js", 404),
        ("GET", "/docs/static/..%2f..%2fsetup", 404),
        ("GET", IDENTITY, 405),
        ("PUT", IDENTITY, 405),
        ("DELETE", "/v2/models/digits", 405),
        ("POST", "/v2/models/digits/ready", 405),
        ("POST", "/v2/health/live", 405),
        ("POST", "/v2/health/ready", 405),
        ("POST", "/v2", 405),
        ("POST", "/v2/models", 405),
        ("GET", "/v2/repository/index", 405),
        ("GET", "/v1/models/digits:predict", 405),
        ("POST", "/v1/models/digits", 405),
        ("GET", "/v2/systemsharedmemory/status", 501),
        ("GET", "/v2/cudasharedmemory/status", 501),
        ("GET", "/v2/trace/setting", 501),
        ("GET", "/v2/models/digits/trace/setting", 501),
        ("POST", "/v2/logging", 501),
    ],
)
def test_route(http: httpx.Client, method: str, path: str, status: int) -> None:
    answer = http.request(method, path)
    message = error_of(answer, status)
    if status == 405:
        assert answer.headers["allow"] in ("GET, HEAD", "POST")
        assert answer.headers["allow"].removesuffix(", HEAD") in message


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "0x10", "1e3", "9" * 30, "1,2", "\u00b2"])
def test_header_length(http: httpx.Client, value: str) -> None:
    body, _ = binary(x(), b"\0" * 8)
    headers = {"Inference-Header-Content-Length": value.encode("latin-1")}
    assert "Inference-Header-Content-Length" in error_of(
        http.post(IDENTITY, content=body, headers=headers), 400
    )


def test_header_length_beyond_body(http: httpx.Client) -> None:
    body, _ = binary(x(), b"\0" * 8)
    headers = {"Inference-Header-Content-Length": str(len(body) + 1)}
    message = error_of(http.post(IDENTITY, content=body, headers=headers), 400)
    assert f"0 to {len(body)}" in message
    assert f"{len(body) + 1}" in message


@pytest.mark.parametrize("length", [0, 1, 10])
def test_header_length_inside_json(http: httpx.Client, length: int) -> None:
    body, _ = binary(x(), b"\0" * 8)
    headers = {"Inference-Header-Content-Length": str(length)}
    assert "JSON" in error_of(http.post(IDENTITY, content=body, headers=headers), 400)
