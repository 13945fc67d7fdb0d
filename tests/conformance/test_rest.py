"""What holds over HTTP beside errors: content types, ids, optional fields, compression, NaN, docs."""

import gzip
import json
import math
import re
import zlib

import httpx
import pytest

from tests.conformance.rest import IDENTITY, binary, error_of, infer_json, x


def answered(answer: httpx.Response) -> dict:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return json.loads(answer.content)


@pytest.mark.parametrize(
    "kind",
    [None, "application/octet-stream", "text/plain", "application/json; charset=utf-8", "nonsense"],
)
def test_content_type_is_ignored(http: httpx.Client, kind: str | None) -> None:
    request = http.build_request("POST", IDENTITY, content=json.dumps(infer_json(x())).encode())
    request.headers.pop("content-type", None)
    if kind:
        request.headers["content-type"] = kind
    assert answered(http.send(request))["outputs"] == [x()]


@pytest.mark.parametrize("kind", [None, "application/json", "text/plain"])
def test_content_type_is_ignored_for_binary(http: httpx.Client, kind: str | None) -> None:
    body, length = binary(x(), b"\0\0\xc0\x3f\0\0\0\xc0", parameters={"binary_data_output": True})
    request = http.build_request("POST", IDENTITY, content=body)
    request.headers["Inference-Header-Content-Length"] = str(length)
    if kind:
        request.headers["content-type"] = kind
    answer = http.send(request)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    cut = int(answer.headers["Inference-Header-Content-Length"])
    assert answer.content[cut:] == b"\0\0\xc0\x3f\0\0\0\xc0"
    [output] = json.loads(answer.content[:cut])["outputs"]
    assert output == {
        "name": "x",
        "shape": [2],
        "datatype": "FP32",
        "parameters": {"binary_data_size": 8},
    }


def test_output_setting_beats_request_setting(http: httpx.Client) -> None:
    y = x(name="y")
    outputs = [{"name": "y", "parameters": {"binary_data": False}}, {"name": "x"}]
    body = infer_json(x(), y, outputs=outputs, parameters={"binary_data_output": True})
    answer = http.post(IDENTITY, json=body)
    cut = int(answer.headers["Inference-Header-Content-Length"])
    first, second = json.loads(answer.content[:cut])["outputs"]
    assert first == y
    assert second["parameters"] == {"binary_data_size": 8}
    assert len(answer.content) == cut + 8


def test_id(http: httpx.Client) -> None:
    for chosen in ("7", "ünï 💥", "x" * 1000):
        assert answered(http.post(IDENTITY, json=infer_json(x(), id=chosen)))["id"] == chosen
    made = {
        answered(http.post(IDENTITY, json=infer_json(x(), **more)))["id"] for more in ({}, {"id": ""})
    }
    assert len(made) == 2
    assert all(made)


def test_absent_fields_are_omitted(http: httpx.Client) -> None:
    body = answered(http.post(IDENTITY, json=infer_json(x())))
    assert set(body) == {"model_name", "model_version", "id", "outputs"}
    assert set(body["outputs"][0]) == {"name", "shape", "datatype", "data"}
    assert b"null" not in http.get("/v2/models/digits").content


def test_null_is_absent(http: httpx.Client) -> None:
    tensor = {**x(), "parameters": None}
    body = infer_json(tensor, parameters=None, outputs=None)
    assert answered(http.post(IDENTITY, json=body))["outputs"] == [x()]


def test_unknown_fields_are_accepted(http: httpx.Client) -> None:
    body = infer_json({**x(), "surprise": 1}, surprise={}, model_name="identity")
    assert answered(http.post(IDENTITY, json=body))["outputs"] == [x()]


@pytest.mark.parametrize("verb", ["", "/ready", "/config", "/stats"])
def test_with_and_without_version(http: httpx.Client, verb: str) -> None:
    plain = answered(http.get(f"/v2/models/digits-onnx{verb}"))
    assert answered(http.get(f"/v2/models/digits-onnx/versions/1{verb}")) == plain


def test_plain_routes(http: httpx.Client) -> None:
    assert answered(http.get("/v2/health/live")) == {"live": True}
    assert answered(http.get("/v2/health/ready")) == {"ready": True}
    assert answered(http.get("/v2/models/digits/ready")) == {"name": "digits", "ready": True}
    names = {"identity", "digits", "digits-onnx", "sentences"}
    assert set(answered(http.get("/v2/models"))["models"]) == names
    assert set(answered(http.get("/v1/models"))["models"]) == names
    assert answered(http.get("/v1/models/digits")) == {"name": "digits", "ready": True}
    about = answered(http.get("/v2"))
    assert about["name"] == "tandem"
    for body in (b"", b"{}", b'{"ready": true}'):
        rows = answered(http.post("/v2/repository/index", content=body))
        assert {row["name"] for row in rows} == names


@pytest.mark.parametrize("datatype", ["FP16", "BF16", "FP32", "FP64"])
def test_nan_and_infinity(http: httpx.Client, datatype: str) -> None:
    special = json.dumps(
        infer_json(x(shape=[4], datatype=datatype, data=[math.nan, math.inf, -math.inf, 1]))
    )
    assert "NaN, Infinity, -Infinity" in special
    answer = http.post(IDENTITY, content=special.encode())
    data = answered(answer)["outputs"][0]["data"]
    assert math.isnan(data[0])
    assert data[1:] == [math.inf, -math.inf, 1]
    assert b"null" not in answer.content


@pytest.mark.parametrize("datatype", ["INT32", "BOOL", "BYTES"])
def test_nan_where_it_cannot_be(http: httpx.Client, datatype: str) -> None:
    body = f'{{"inputs":[{{"name":"x","shape":[1],"datatype":"{datatype}","data":[NaN]}}]}}'
    assert "'x'" in error_of(http.post(IDENTITY, content=body.encode()), 400)


def test_bytes_that_are_not_text_need_binary(http: httpx.Client) -> None:
    tensor = x(datatype="BYTES", shape=[1])
    body, length = binary(tensor, b"\1\0\0\0\xff")
    headers = {"Inference-Header-Content-Length": str(length)}
    message = error_of(http.post(IDENTITY, content=body, headers=headers), 400)
    assert "'x'" in message
    assert "binary_data" in message


CODINGS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw-deflate": lambda data: zlib.compress(data)[2:-4],  # wrong by the standard, sent all the same
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("count", [2, 200_000])
def test_compressed(http: httpx.Client, coding: str, count: int) -> None:
    tensor = x(shape=[count], data=[0.5] * count)
    body = CODINGS[coding](json.dumps(infer_json(tensor)).encode())
    name = coding.removeprefix("raw-")
    headers = {"Content-Encoding": name, "Accept-Encoding": name}
    answer = http.post(IDENTITY, content=body, headers=headers)
    assert answered(answer)["outputs"] == [tensor]
    if count > 1000:
        assert answer.headers["content-encoding"] == name
        assert int(answer.headers["content-length"]) < count


def test_compressed_binary(http: httpx.Client) -> None:
    raw = bytes(4000)
    body, length = binary(x(shape=[1000]), raw, parameters={"binary_data_output": True})
    headers = {
        "Inference-Header-Content-Length": str(length),
        "Content-Encoding": "gzip",
        "Accept-Encoding": "gzip",
    }
    answer = http.post(IDENTITY, content=gzip.compress(body), headers=headers)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.content[int(answer.headers["Inference-Header-Content-Length"]) :] == raw


def test_identity_accepted_alone_is_not_compressed(http: httpx.Client) -> None:
    tensor = x(shape=[5000], data=[0.5] * 5000)
    for accept in ("identity", "gzip;q=0, deflate;q=0"):
        answer = http.post(IDENTITY, json=infer_json(tensor), headers={"Accept-Encoding": accept})
        assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("coding", "body", "words"),
    [
        ("gzip", b"not gzip at all", ("gzip",)),
        ("gzip", gzip.compress(b'{"inputs": []}', mtime=0)[:-9], ("gzip", "short")),
        ("deflate", b"\xff\xff\xff", ("deflate",)),
        ("gzip, gzip", gzip.compress(b"not gzip", mtime=0), ("not valid gzip",)),
    ],
)
def test_bad_compression(http: httpx.Client, coding: str, body: bytes, words: tuple[str, ...]) -> None:
    message = error_of(http.post(IDENTITY, content=body, headers={"Content-Encoding": coding}), 400)
    for word in words:
        assert word in message


def test_docs_need_no_network(http: httpx.Client) -> None:
    page = http.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert links
    for link in links:
        assert link.startswith("/docs/static/")
        assert http.get(link).status_code == 200


def test_every_documented_operation_works(http: httpx.Client) -> None:
    schema = answered(http.get("/openapi.json"))
    examples = 0
    for path, verbs in schema["paths"].items():
        for verb, operation in verbs.items():
            body = None
            if "requestBody" in operation:
                body = operation["requestBody"]["content"]["application/json"]["example"]
                examples += 1
            answer = http.request(verb.upper(), path, json=body)
            assert answer.status_code == 200, (path, answer.text)
    # 4 models and 5 versions, 3 models in V1, the index; both ways to generate, 3 models, 4 versions
    assert examples == 13 + 2 * 7
    seven = schema["paths"]["/v2/models/digits/infer"]["post"]["requestBody"]["content"][
        "application/json"
    ]
    outputs = answered(http.post("/v2/models/digits/infer", json=seven["example"]))["outputs"]
    assert next(output["data"] for output in outputs if output["name"] == "label") == [7]
