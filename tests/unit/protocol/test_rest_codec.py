import json

import numpy as np
import pytest
import tritonclient.http as triton
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import InvalidArgument
from serve_app.protocol.rest_codec import decode_request, encode_response, tensors_from
from serve_app.protocol.tensors import InferRequest, InferResponse, RequestedOutput, Tensor
from tests.unit.arrays import DATATYPES, arrays, of_bytes, same


@st.composite
def mixtures(draw):
    """Some tensors of any datatype, each with a form: binary or JSON."""
    tensors, forms = [], []
    for index in range(draw(st.integers(1, 4))):
        datatype, binary = draw(st.sampled_from(DATATYPES)), draw(st.booleans())
        tensors.append(Tensor(f"t{index}", datatype, draw(arrays(datatype, text=not binary))))
        forms.append(binary)
    return tensors, forms


def encode(tensors: list[Tensor], forms: list[bool]) -> tuple[bytes, int | None]:
    wanted = [RequestedOutput(t.name, binary) for t, binary in zip(tensors, forms, strict=True)]
    request = InferRequest("m", "1", "id-1", [], wanted)
    parts, length = encode_response(InferResponse("m", "1", "id-1", tensors), request)
    return b"".join(parts), length


def infer(message: dict, binary: bytes = b"", length: int | None = None) -> InferRequest:
    text = json.dumps(message).encode()
    return decode_request(text + binary, len(text) if binary else length, "m", "1")


def x(**entry) -> dict:
    """A request body around one input."""
    return {"inputs": [{"name": "x", "datatype": "INT32", "shape": [2], "data": [1, 2], **entry}]}


@given(mixtures())
def test_an_answer_sent_back_as_a_request_is_the_same(case):
    tensors, forms = case
    body, length = encode(tensors, forms)
    message = json.loads(body[:length])
    message["inputs"] = message.pop("outputs")
    text = json.dumps(message).encode()
    request = decode_request(text + body[length or len(body) :], len(text) if length else None, "m", "1")
    assert (request.id, request.model, request.version) == ("id-1", "m", "1")
    assert [(t.name, t.datatype) for t in request.inputs] == [(t.name, t.datatype) for t in tensors]
    for sent, came, binary in zip(tensors, request.inputs, forms, strict=True):
        assert same(sent.data, came.data, nan_payloads=binary)


@given(mixtures())
def test_tritons_client_reads_the_answer(case):
    tensors, forms = case
    body, length = encode(tensors, forms)
    assert (length is not None) == any(forms)
    answer = triton.InferenceServerClient.parse_response_body(body, header_length=length)
    assert answer.get_response()["id"] == "id-1"
    for tensor, binary in zip(tensors, forms, strict=True):
        expected = tensor.data
        if tensor.datatype == "BYTES" and not binary:
            expected = np.array([item.decode() for item in expected.flat], dtype=object)
            assert answer.as_numpy(tensor.name).ravel().tolist() == expected.tolist()
        else:
            got = np.asarray(answer.as_numpy(tensor.name), dtype=expected.dtype)
            assert same(expected, got, nan_payloads=binary)


@given(mixtures(), st.booleans())
def test_a_request_of_tritons_client_is_read(case, ask):
    tensors, forms = case
    inputs = []
    for tensor, form in zip(tensors, forms, strict=True):
        entry = triton.InferInput(tensor.name, list(tensor.data.shape), tensor.datatype)
        binary = form or tensor.datatype == "BF16"  # the client has no JSON form of BF16
        inputs.append(entry.set_data_from_numpy(tensor.data, binary_data=binary))
    outputs = [triton.InferRequestedOutput("y", binary_data=False)] if ask else None
    body, length = triton.InferenceServerClient.generate_request_body(
        inputs, outputs=outputs, request_id="abc", priority=3, timeout=10, parameters={"k": "v"}
    )
    request = decode_request(body, length, "m", "")
    for tensor, came in zip(tensors, request.inputs, strict=True):
        assert (came.name, came.datatype) == (tensor.name, tensor.datatype)
        assert same(tensor.data, came.data, nan_payloads=False)
    assert request.id == "abc"
    assert request.parameters == {"priority": 3, "timeout": 10, "k": "v"}
    assert request.binary_output is not ask  # the client asks for binary when it lists no outputs
    assert request.outputs == ([RequestedOutput("y", False)] if ask else None)


def test_the_outputs_own_form_wins_over_the_requests():
    message = x() | {
        "outputs": [{"name": "a"}, {"name": "b", "parameters": {"binary_data": False}}],
        "parameters": {"binary_data_output": True, "temperature": 0.5, "on": True, "n": 3},
    }
    request = infer(message)
    assert request.outputs == [RequestedOutput("a", True), RequestedOutput("b", False)]
    assert request.parameters == {"temperature": 0.5, "on": True, "n": 3}
    assert type(request.parameters["on"]) is bool


def test_absent_parts_have_defaults():
    request = infer(x())
    assert (request.id, request.outputs, request.parameters) == ("", None, {})
    assert request.binary_output is False
    assert infer(x() | {"outputs": [], "parameters": None, "surprise": 1}).outputs is None


def test_nan_is_never_null():
    tensor = Tensor("y", "FP32", np.array([np.nan, np.inf], dtype=np.float32))
    body, _ = encode([tensor], [False])
    assert b'"data":[NaN, Infinity]' in body


ONE = {"name": "x", "datatype": "INT32", "shape": [2], "data": [1, 2]}


@pytest.mark.parametrize(
    "message",
    [
        {"id": None, "parameters": None, "outputs": None, "inputs": [ONE]},
        # As MLServer's client writes what nobody set.
        {
            "id": None,
            "parameters": {"content_type": None, "headers": None},
            "inputs": [{**ONE, "parameters": None}],
            "outputs": None,
        },
        {
            "parameters": {"binary_data_output": None, "timeout": None},
            "inputs": [ONE],
            "model_name": None,
        },
        {"inputs": [{**ONE, "parameters": {"content_type": None, "binary_data_size": None}}]},
    ],
)
def test_null_is_absent(message):
    request = infer(message)
    assert (request.id, request.outputs, request.parameters) == ("", None, {})
    assert request.binary_output is False
    assert request.inputs[0].data.tolist() == [1, 2]


def test_null_is_absent_in_outputs():
    message = {"inputs": [ONE], "parameters": {"binary_data_output": True}}
    asked = [{"name": "a", "parameters": None}, {"name": "b", "parameters": {"binary_data": None}}]
    assert infer(message | {"outputs": asked}).outputs == [
        RequestedOutput("a", True),
        RequestedOutput("b", True),
    ]


def test_what_is_required_cannot_be_null():
    for key, message in (
        ("name", "name must be"),
        ("shape", "shape must"),
        ("datatype", "datatype must"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            infer({"inputs": [{**ONE, key: None}]})
    for wrong in ([None], [{"name": None}]):
        with pytest.raises(InvalidArgument, match=r"outputs\[0\]"):
            infer({"inputs": [ONE], "outputs": wrong})


def test_names_are_escaped():
    body, _ = encode([Tensor('q"\\\n', "BYTES", of_bytes(['"é'.encode()], (1,)))], [False])
    entry = json.loads(body)["outputs"][0]
    assert (entry["name"], entry["data"]) == ('q"\\\n', ['"é'])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "the body must be a JSON object, got a list"),
        (None, "got null"),
        ({}, "inputs: required"),
        ({"inputs": None}, "inputs: required"),
        ({"inputs": {}}, "inputs must be a list, got an object"),
        ({"inputs": ["x"]}, r"inputs\[0\] must be an object, got a string"),
        ({"inputs": [{}]}, r"inputs\[0\].name must be a non-empty string"),
        (x(name=""), "non-empty"), (x(name=3), r"inputs\[0\].name"), (x(name=None), r"inputs\[0\].name"),
        (x(shape=None), "'x': shape must be a list, got null"), (x(shape=2), "'x': shape"),
        (x(shape="2"), "'x': shape"), (x(shape=[-1]), "'x': shape.*at least 0"),
        (x(shape=[True, 2]), "'x': shape"),
        (x(shape=[2.5]), "'x': shape"), (x(shape=[2.0, -1.0]), "'x': shape"),
        (x(shape=[1e30]), "too large"), (x(shape=["2"]), "'x': shape"), (x(shape=[[2]]), "'x': shape"),
        (x(shape=[None]), "'x': shape"), (x(shape=[2**63]), "'x': shape.*too large"),
        (x(shape=[2**31, 2**31, 2]), "too large"), (x(shape=[2**70]), "'x': shape"),
        (x(shape=[2**61, 0], data=[]), "too large"), (x(shape=[0, 2**40, 2**40], data=[]), "too large"),
        (x(shape=[1] * 33), "at most 32 dimensions"),
        (x(shape=[3]), r"shape \[3\] takes 3 elements, got 2"),
        (x(shape=[2**40]), "takes"), (x(shape=[10**6] * 3), "takes"),
        (x(datatype=None), "'x': datatype"), (x(datatype="INT31"), "'x': datatype"),
        (x(datatype=[]), "'x': datatype"),
        (x(data=None), "'x': data: required, but not there"), (x(data="12"), "'x': data must be a list"),
        (x(parameters=[]), "'x': parameters must be an object"),
        (x(parameters={"a": [1]}), "parameters.a must be"),
        (x(parameters={"binary_data_size": 8}), "both data and"),
        (x(parameters={"shared_memory_region": "r"}), "shared_memory_region is not supported"),
        (x() | {"id": 7}, "id must be a string, got a number"), (x() | {"id": True}, "a boolean"),
        (x() | {"outputs": {}}, "outputs must be a list"),
        (x() | {"outputs": [1]}, r"outputs\[0\] must be an object"),
        (x() | {"outputs": [{"name": ""}]}, r"outputs\[0\].name"),
        (x() | {"outputs": [{"name": "y", "parameters": {"binary_data": 1}}]},
         "'y': binary_data must be true or"),
        (x() | {"outputs": [{"name": "y", "parameters": {"classification": -1}}]},
         "'y': classification must be an integer of at least 0, got -1"),
        (x() | {"outputs": [{"name": "y", "parameters": {"classification": "two"}}]},
         "an integer of at least 0, got 'two'"),
        (x() | {"outputs": [{"name": "y", "parameters": {"classification": 1.5}}]}, "got 1.5"),
        (x() | {"outputs": [{"name": "y", "parameters": {"classification": True}}]}, "got True"),
        (x() | {"parameters": {"binary_data_output": "yes"}},
         "binary_data_output must be true or false"),
        (x() | {"parameters": "p"}, "parameters must be an object"),
    ],
)  # fmt: skip
def test_a_wrong_body_names_what_is_wrong(body, message):
    with pytest.raises(InvalidArgument, match=message):
        infer(body)


def test_no_data_at_all():
    with pytest.raises(InvalidArgument, match="'x': data: required"):
        infer({"inputs": [{"name": "x", "datatype": "INT32", "shape": [2]}]})


def binary(size: object, **entry) -> dict:
    body = x(parameters={"binary_data_size": size}, **entry)
    del body["inputs"][0]["data"]
    return body


@pytest.mark.parametrize("size", [9, 7, -1, 8.5, 7.0, "8", True, 2**63, 10**30])
def test_a_lying_binary_size(size):
    with pytest.raises(InvalidArgument, match=r"'x'|follow the JSON"):
        infer(binary(size), b"\1\0\0\0\2\0\0\0")


def test_integers_may_be_written_as_floats():
    assert infer(x(shape=[1.0, 2])).inputs[0].data.tolist() == [[1, 2]]
    assert infer(binary(8.0), b"\1\0\0\0\2\0\0\0").inputs[0].data.tolist() == [1, 2]


def test_binary_that_fits_and_what_does_not():
    data = b"\1\0\0\0\2\0\0\0"
    assert infer(binary(8), data).inputs[0].data.tolist() == [1, 2]
    for surplus in (b"!", data):
        with pytest.raises(InvalidArgument, match=rf"{8 + len(surplus)} bytes follow the JSON.*up to 8"):
            infer(binary(8), data + surplus)
    with pytest.raises(InvalidArgument, match="'x': binary_data_size must be 0 to 0"):
        infer(binary(8))
    text = json.dumps(x()).encode()
    for length in (-1, len(text) + 1, 2**62):
        with pytest.raises(InvalidArgument, match="Inference-Header-Content-Length must be 0 to"):
            decode_request(text, length, "m", "1")
    for length in (0, 5, len(text) - 1):
        with pytest.raises(InvalidArgument, match="not valid JSON"):
            decode_request(text, length, "m", "1")
    assert decode_request(text, len(text), "m", "1").inputs[0].data.tolist() == [1, 2]


def test_tensors_from_arrays_keep_the_asked_order():
    outputs = {"a": np.zeros(2, dtype=np.uint8), "b": of_bytes([b"x"], (1,))}
    assert [(t.name, t.datatype) for t in tensors_from(outputs, ["b", "a"])] == [
        ("b", "BYTES"),
        ("a", "UINT8"),
    ]
