"""What clients send is what servers read, and the other way round."""

import json

import ml_dtypes
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton
from hypothesis import example, given
from hypothesis import strategies as st

from serve_app.errors import InvalidArgument
from serve_app.protocol import client, grpc_codec, rest_codec
from serve_app.protocol import inference_pb2 as pb
from serve_app.protocol.tensors import InferRequest, InferResponse, RequestedOutput, Tensor
from tests.unit.arrays import DATATYPES, arrays, same

X = {"x": np.arange(4, dtype=np.float32).reshape(2, 2)}


@st.composite
def tensors(draw, text=False):
    names = draw(st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=3, unique=True))
    kinds = [draw(st.sampled_from(DATATYPES)) for _ in names]
    return [
        Tensor(name, kind, draw(arrays(kind, text=text)))
        for name, kind in zip(names, kinds, strict=True)
    ]


def assert_same(ours: list[Tensor], theirs: list[Tensor], nan_payloads: bool = True) -> None:
    assert [(t.name, t.datatype) for t in ours] == [(t.name, t.datatype) for t in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert same(one.data, other.data, nan_payloads)


@given(tensors(text=True), st.booleans())
@example(
    inputs=[Tensor("x", "BF16", np.array(0xFF81, np.uint16).view(ml_dtypes.bfloat16))], binary=False
)
def test_the_server_reads_http(inputs, binary):
    asked = InferRequest("m", "1", "i", inputs, parameters={"k": 1.5}, binary_output=binary)
    body, length = client.encode_http(asked, binary=binary)
    got = rest_codec.decode_request(body, length, "m", "1")
    assert_same(inputs, got.inputs, nan_payloads=binary)
    assert (got.id, got.parameters, got.binary_output) == ("i", {"k": 1.5}, binary)


@given(tensors())
def test_the_server_reads_grpc(inputs):
    wanted = [RequestedOutput("a"), RequestedOutput("b")]
    parameters = {"flag": True, "count": 3, "share": 0.5, "text": "t"}
    asked = InferRequest("m", "2", "i", inputs, wanted, parameters)
    got, typed = grpc_codec.decode_request(client.encode_grpc(asked))
    assert_same(inputs, got.inputs)
    assert (got.model, got.version, got.id, got.outputs) == ("m", "2", "i", wanted)
    assert (got.parameters, typed) == (parameters, False)


@given(tensors(text=True), st.booleans())
def test_the_server_is_read_over_http(outputs, binary):
    asked = InferRequest("m", "1", "i", [], binary_output=binary)
    parts, length = rest_codec.encode_response(InferResponse("m", "1", "i", outputs), asked)
    got = client.decode_http(b"".join(parts), None if length is None else str(length))
    assert_same(outputs, got.outputs, nan_payloads=binary)
    assert (got.model, got.version, got.id) == ("m", "1", "i")


@given(tensors(), st.booleans())
def test_the_server_is_read_over_grpc(outputs, typed):
    parts = grpc_codec.encode_response(InferResponse("m", "1", "i", outputs), typed)
    got = client.decode_grpc(b"".join(parts))
    assert_same(outputs, got.outputs, nan_payloads=not typed)
    assert (got.model, got.version, got.id) == ("m", "1", "i")


def test_large_tensors_over_grpc():
    large = {"x": np.arange(2**16, dtype=np.float64), "y": np.arange(2**15)}
    sent = client.encode_grpc(client.request("m", large))
    got, _ = grpc_codec.decode_request(sent)
    parts = grpc_codec.encode_response(InferResponse("m", "1", "", got.inputs), typed=False)
    found = client.decode_grpc(b"".join(parts)).arrays
    assert all(np.array_equal(found[name], large[name]) for name in large)


@pytest.mark.parametrize("binary", [False, True])
def test_http_is_what_tritons_client_sends(binary):
    asked = client.request("m", X, "i", binary_output=binary)
    body, length = client.encode_http(asked, binary=binary)
    tensor = triton.InferInput("x", [2, 2], "FP32")
    tensor.set_data_from_numpy(X["x"], binary_data=binary)
    wanted = None if binary else [triton.InferRequestedOutput("y", binary_data=False)]
    theirs, their_length = triton.InferenceServerClient.generate_request_body(
        [tensor], outputs=wanted, request_id="i"
    )
    ours, other = json.loads(body[:length]), json.loads(theirs[:their_length])
    assert ours["inputs"] == other["inputs"]
    assert (ours["id"], ours.get("parameters")) == (other["id"], other.get("parameters"))
    assert body[length or len(body) :] == theirs[their_length or len(theirs) :]
    assert client.http_headers(length).get(client.LENGTH) == (str(length) if binary else None)


def test_grpc_is_what_tritons_client_reads():
    outputs = [Tensor("x", "FP32", X["x"])]
    sent = client.encode_grpc(InferRequest("m", "", "i", outputs))
    message = pb.ModelInferRequest.FromString(sent)
    answer = pb.ModelInferResponse(model_name="m", id=message.id)
    answer.outputs.add(name="x", datatype="FP32", shape=message.inputs[0].shape)
    answer.raw_output_contents.extend(message.raw_input_contents)
    got = triton_grpc.InferResult(answer).as_numpy("x")
    assert same(got, client.decode_grpc(answer.SerializeToString()).arrays["x"])
    assert same(got, X["x"])


def test_outputs_by_name_and_versions_by_path():
    asked = client.request("m", {"t": np.array(["é", "b"])})
    asked.outputs = [RequestedOutput("y", binary=True)]
    body, length = client.encode_http(asked)
    assert length is None
    assert json.loads(body)["inputs"] == [
        {"name": "t", "shape": [2], "datatype": "BYTES", "data": ["é", "b"]}
    ]
    got = rest_codec.decode_request(body, None, "m", "3")
    assert got.outputs == [RequestedOutput("y", binary=True)]
    assert client.http_path("m", "3") == "/v2/models/m/versions/3/infer"
    assert client.http_path("m") == "/v2/models/m/infer"


@pytest.mark.parametrize("datatype", ["FP16", "BF16", "FP32", "FP64"])
def test_null_is_nan_in_answers_alone(datatype):
    entry = {"name": "y", "datatype": datatype, "shape": [2], "data": [None, 1.5]}
    got = client.decode_http(json.dumps({"outputs": [entry]}).encode(), None).arrays["y"]
    assert np.isnan(got[0])
    assert got[1] == 1.5
    for key, body in (("inputs", entry), ("outputs", entry | {"datatype": "INT8", "data": [None, 1]})):
        with pytest.raises(InvalidArgument, match="data must hold"):
            rest_codec.read(json.dumps({key: [body]}).encode(), None, key)


@pytest.mark.parametrize(
    ("body", "length", "words"),
    [
        (b"<html>", None, "not valid JSON"),
        (b"[]", None, "must be a JSON object"),
        (b'{"error": "no"}', None, "outputs: required"),
        (b'{"outputs": [{"name": "y", "datatype": "FP32", "shape": [2], "data": [1]}]}', None, "'y'"),
        (b'{"outputs": []}', "many", "must be a number"),
        (b'{"outputs": []}', "\u00b2", "must be a number"),
        (b'{"outputs": []}', "9" * 5000, "must be a number"),
        (b'{"outputs": []}', "99", "must be 0 to 15"),
        (b'{"outputs": []}abc', "15", "3 bytes follow the JSON, but the outputs'"),
    ],
)
def test_what_is_no_answer_over_http(body, length, words):
    with pytest.raises(InvalidArgument, match=words):
        client.decode_http(body, length)


def test_what_is_no_answer_over_grpc():
    message = pb.ModelInferResponse(raw_output_contents=[b"1234"])
    for data, words in (
        (b"\xff", "not a valid inference.ModelInferResponse"),
        (message.SerializeToString(), "one entry per output"),
    ):
        with pytest.raises(InvalidArgument, match=words):
            client.decode_grpc(data)
