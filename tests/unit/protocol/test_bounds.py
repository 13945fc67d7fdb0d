"""What one request may hold at most: small on the wire, and dear to take apart."""

import tracemalloc

import numpy as np
import orjson
import pytest

from serve_app.config import did_you_mean
from serve_app.errors import InvalidArgument
from serve_app.protocol import bounds, generate_codec, grpc_codec, rest_codec, v1_codec, wire
from serve_app.protocol.inference_pb2 import ModelInferRequest
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.openai import Events
from serve_app.protocol.tensors import TensorSpec

X = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}
SPEC = VersionDescription([TensorSpec("x", "FP32", (-1,))], [])
TENSORS, PARAMETERS, NAME = bounds.MOST_TENSORS, bounds.MOST_PARAMETERS, bounds.MOST_IN_NAME


def rest(**body):
    return rest_codec.decode_request(orjson.dumps({"inputs": [X], **body}), None, "m", "")


def named(count, **more):
    return [{"name": f"n{number}", **more} for number in range(count)]


def grpc(fill):
    message = ModelInferRequest(model_name="m")
    message.inputs.add(name="x", datatype="FP32", shape=[1]).contents.fp32_contents.append(1)
    fill(message)
    return grpc_codec.decode_request(message.SerializeToString())


def test_as_many_as_may_be():
    ones = {f"p{number}": 1 for number in range(PARAMETERS)}
    inputs = [{**X, "name": f"n{number}"} for number in range(TENSORS)]
    request = rest(inputs=inputs, outputs=named(TENSORS), parameters=ones)
    assert (len(request.inputs), len(request.outputs or ()), request.parameters) == (4096, 4096, ones)
    assert rest(inputs=[{**X, "name": "n" * NAME}]).inputs[0].name == "n" * NAME


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"outputs": named(100_000)}, "outputs: at most 4096 are allowed, got 100000"),
        ({"inputs": [X] * (TENSORS + 1)}, "inputs: at most 4096 are allowed, got 4097"),
        ({"parameters": {str(n): n for n in range(PARAMETERS + 1)}}, "parameters: at most 1024"),
        ({"inputs": [{**X, "parameters": {str(n): n for n in range(2000)}}]}, "'x': parameters: at"),
        ({"inputs": [{**X, "name": "n" * (NAME + 1)}]}, r"inputs\[0\].name must have at most 1024"),
        ({"outputs": [{"name": "n" * 10**6}]}, r"outputs\[0\].name must have at most .* got 1000000"),
        ({"parameters": {"p" * 2000: 1}}, "parameters: a name must have at most 1024"),
        ({"inputs": [{**X, "shape": [1] * 33}]}, "'x': shape must have at most 32 dimensions, got 33"),
    ],
)  # fmt: skip
def test_more_over_http(body, message):
    with pytest.raises(InvalidArgument, match=message):
        rest(**body)


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (lambda m: [m.outputs.add(name="y") for _ in range(TENSORS + 1)], "outputs: at most 4096"),
        (lambda m: [m.inputs.add() for _ in range(TENSORS)], "inputs: at most 4096"),
        (lambda m: [m.parameters[str(n)] for n in range(PARAMETERS + 1)], "parameters: at most 1024"),
        (lambda m: m.inputs[0].shape.extend([1] * 10**6), "'x': shape must have at most 32 dimensions"),
        (lambda m: setattr(m.inputs[0], "name", "n" * 2000), r"inputs\[0\].name must have at most"),
        (lambda m: m.outputs.add(name="n" * 2000), r"outputs\[0\].name must have at most"),
        (lambda m: m.parameters["p" * 2000], "parameters: a name must have at most"),
        (lambda m: setattr(m, "model_name", "m" * 2000), "model_name must have at most"),
    ],
)  # fmt: skip
def test_more_over_grpc(fill, message):
    with pytest.raises(InvalidArgument, match=message):
        grpc(fill)


@pytest.mark.parametrize("field", [b"\x2a\x00", b"\x3a\x00", b"\x32\x00", b"\x12\x00"])
def test_millions_of_tiny_fields_are_refused_before_there_is_an_object_for_each(field):
    data = field * 2_000_000
    tracemalloc.start()
    with pytest.raises(InvalidArgument, match="more than 16384 fields"):
        grpc_codec.decode_request(data)
    assert grpc_codec.addressed(data, InvalidArgument("")).model == ""
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * len(data)


def test_as_many_fields_as_may_be():
    data = b"\x12\x00" * bounds.MOST_FIELDS
    assert wire.split(data, 7) == (data, [])


def test_generate_and_v1():
    many = orjson.dumps({"x": 1, **{f"p{number}": 1 for number in range(PARAMETERS)}})
    with pytest.raises(InvalidArgument, match="the names in the body: at most 1024"):
        generate_codec.decode_request(many, "m", "", SPEC.inputs, False)
    with pytest.raises(InvalidArgument, match="must have at most 1024 characters") as long:
        generate_codec.decode_request(orjson.dumps({"p" * 10**6: 1}), "m", "", SPEC.inputs, False)
    assert len(str(long.value)) < 300
    with pytest.raises(InvalidArgument, match="no input of this model") as long:
        v1_codec.decode_request({"instances": [{"x": 1, "y" * 10**6: 1}]}, "m", SPEC)
    assert len(str(long.value)) < 300


@pytest.mark.parametrize(
    ("body"),
    [
        {"inputs": [{**X, "name": [1] * 10**5}]},
        {"inputs": [{**X, "datatype": "F" * 10**5}]},
        {"inputs": [{**X, "shape": [-1, 2**62]}]},
        {"inputs": [{**X, "data": [{"a": [1] * 10**5}]}]},
        {"parameters": {"binary_data_output": [1] * 10**5}},
        {"id": [1] * 10**5},
    ],
)  # fmt: skip
def test_an_error_repeats_no_more_than_a_line_of_what_came(body):
    with pytest.raises(InvalidArgument) as refused:
        rest(**body)
    assert len(str(refused.value)) < 250


def nested(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_nesting_has_a_limit():
    bounds.check_nesting(nested(bounds.MOST_NESTED))
    orjson.dumps(nested(bounds.MOST_NESTED))
    with pytest.raises(InvalidArgument, match="nested at most 200 deep"):
        bounds.check_nesting({"a": nested(bounds.MOST_NESTED)})


def test_no_suggestion_for_a_word_that_is_no_name():
    assert did_you_mean("model" * 10**6, ["model" * 10**6]) == ""  # else it takes gigabytes
    assert did_you_mean("modle", ["model"]) == "; did you mean model?"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_an_event_in_pieces_of_any_size(size, end):
    large = np.arange(1000).tolist()
    text = b'data: {"a": 1}' + end + b"data: " + orjson.dumps({"b": large}) + end + b"data: [DONE]" + end
    events, found = Events(), []
    for start in range(0, len(text), size):
        found += events.feed(text[start : start + size])
    assert found == [{"a": 1}, {"b": large}, None]
