import json

import orjson
import pytest

from serve_app.observability.payloads.redact import GONE, redacted

V1 = {
    "instances": [{"name": "Ann", "age": 3}, {"name": "Bo", "age": 4}],
    "user": {"mail": "a@b", "id": 1},
}
V2 = {
    "id": "1",
    "inputs": [
        {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["secret"]},
        {"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]},
    ],
}


def without(body, *paths):
    return orjson.loads(redacted(orjson.dumps(body), "application/json", None, list(paths))[0])


def test_fields_by_their_paths():
    assert without(V1, "instances.name") == {
        "instances": [{"name": GONE, "age": 3}, {"name": GONE, "age": 4}],
        "user": {"mail": "a@b", "id": 1},
    }
    assert without(V1, "user", "instances.age")["user"] == GONE
    assert without(V1, "user.*")["user"] == {"mail": GONE, "id": GONE}
    assert without(V1, "*.mail", "*.name")["instances"][1] == {"name": GONE, "age": 4}
    assert without(V1, "nothing.here", "instances.name.first") == V1
    assert without({"instances": [[1, 2], [3, 4]]}, "instances") == {"instances": GONE}
    assert without({"a": [[{"b": 1}]]}, "a.b") == {"a": [[{"b": GONE}]]}


def test_tensors_by_their_names():
    found = without(V2, "inputs.text")
    assert found["inputs"][0] == {"name": "text", "shape": [1], "datatype": "BYTES", "data": GONE}
    assert found["inputs"][1] == V2["inputs"][1]
    assert [one["data"] for one in without(V2, "inputs.*")["inputs"]] == [GONE, GONE]
    assert without(V2, "outputs.text") == V2


def test_binary_tensors_are_cut_out():
    tensors = [
        {"name": "a", "shape": [2], "datatype": "INT8", "parameters": {"binary_data_size": 2}},
        {"name": "b", "shape": [3], "datatype": "INT8", "parameters": {"binary_data_size": 3}},
        {"name": "c", "shape": [1], "datatype": "INT8", "data": [7]},
    ]
    head = orjson.dumps({"inputs": tensors})
    body, length = redacted(
        head + b"aabbb", "application/octet-stream", len(head), ["inputs.a", "inputs.c"]
    )
    found = json.loads(body[:length])["inputs"]
    assert body[length:] == b"bbb"
    assert [one.get("parameters") for one in found] == [
        {"binary_data_size": 0}, {"binary_data_size": 3}, None,
    ]  # fmt: skip
    assert found[2]["data"] == GONE


def test_streams_of_events_piece_by_piece():
    stream = b'data: {"choices":[{"delta":{"content":"Hi"},"index":0}]}\n\ndata: [DONE]\n\n'
    kind = "text/event-stream; charset=utf-8"
    body, _ = redacted(stream, kind, None, ["choices.delta.content"], answer=True)
    first, end = [part for part in body.split(b"\n\n") if part]
    assert orjson.loads(first[6:]) == {"choices": [{"delta": {"content": GONE}, "index": 0}]}
    assert end == b"data: [DONE]"


def test_what_is_no_data_of_a_stream_stays():
    stream = b': ping\r\nevent: delta\r\nid: 1\r\nretry: 5\r\ndata:{"a":1,"b":2}\r\n\r\ndata: [DONE]\n\n'
    body, _ = redacted(stream, "text/event-stream", None, ["a"], answer=True)
    assert body == stream.replace(b'data:{"a":1,"b":2}\r', b'data: {"a":"[redacted]","b":2}')


@pytest.mark.parametrize(
    "line",
    [b'{"a": 1}', b"data: secret", b'data: {"a":', b"data", b' data: {"a":1}',
     b'event: x\rdata: {"a":1}', b"data: [DONE] secret", b"other: secret",
     b'data: {"b": 2}\rdata: {"a":1}'],
)  # fmt: skip
def test_a_stream_that_cannot_be_read_is_not_told(line):
    with pytest.raises(ValueError):
        redacted(b'data: {"b":1}\n\n' + line + b"\n\n", "text/event-stream", None, ["a"], answer=True)


def test_a_request_is_json_whatever_its_client_calls_it():
    assert redacted(b'{"a":1}', "text/event-stream", None, ["a"])[0] == b'{"a":"[redacted]"}'
    with pytest.raises(ValueError):
        redacted(b'data: {"b":1}\n\n', "text/event-stream", None, ["a"])


@pytest.mark.parametrize("size", [-1, 7])
def test_tensors_of_a_size_that_cannot_be(size):
    head = orjson.dumps({"inputs": [{"name": "a", "parameters": {"binary_data_size": size}}]})
    with pytest.raises(ValueError):
        redacted(head + b"secret", "", len(head), ["inputs.b"])


@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
def test_what_cannot_be_read_is_not_told(body):
    with pytest.raises(ValueError):
        redacted(body, "application/json", None, ["a"])
    with pytest.raises(ValueError):
        redacted(body, "application/octet-stream", 5, ["a"])
