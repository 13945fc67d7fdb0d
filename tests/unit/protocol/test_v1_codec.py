import json

import numpy as np
import pytest

from serve_app.errors import InvalidArgument
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import InferResponse, Tensor, TensorSpec
from serve_app.protocol.v1_codec import decode_request, encode_response
from tests.unit.arrays import DTYPES, of_bytes

ROWS = VersionDescription([TensorSpec("x", "FP32", (-1, 2))], [])
TEXT = VersionDescription(
    [TensorSpec("text", "BYTES", (-1,)), TensorSpec("top", "INT32", (1,), True)], []
)


def decode(body: object, version: VersionDescription = ROWS):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode_request(text, "m", version)


def answer(by_row: bool = True, **outputs: np.ndarray) -> dict:
    kinds = {dtype: name for name, dtype in DTYPES.items()}
    tensors = [Tensor(name, kinds[array.dtype], array) for name, array in outputs.items()]
    return json.loads(encode_response(InferResponse("m", "1", "i", tensors), by_row))


@pytest.mark.parametrize(
    ("body", "by_row"),
    [
        ({"instances": [[1, 2], [3, 4.5]]}, True),
        ({"instances": [{"x": [1, 2]}, {"x": [3, 4.5]}]}, True),
        ({"inputs": [[1, 2], [3, 4.5]]}, False),
        ({"inputs": {"x": [[1, 2], [3, 4.5]]}}, False),
        ({"instances": [[1, 2], [3, 4.5]], "inputs": None}, True),
        ({"instances": [[1, 2], [3, 4.5]], "signature_name": "serving_default"}, True),
    ],
)
def test_rows_and_columns(body, by_row):
    request, rows = decode(body)
    assert (request.model, request.version, rows) == ("m", "", by_row)
    (tensor,) = request.inputs
    assert (tensor.name, tensor.datatype, tensor.data.dtype) == ("x", "FP32", np.float32)
    assert tensor.data.tolist() == [[1, 2], [3, 4.5]]


def test_texts_beside_an_optional_input():
    (tensor,) = decode({"instances": ["a", "é"]}, TEXT)[0].inputs
    assert tensor.data.tolist() == [b"a", "é".encode()]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "not valid JSON"), ([1], "JSON object"), ({}, "exactly one of"),
        ({"instances": [[1, 2]], "inputs": [[1, 2]]}, "exactly one of"),
        ({"instances": 3}, "must be a list of rows for 'x'"), ({"inputs": {"y": [1]}}, "list of rows"),
        ({"instances": None}, "exactly one of"),
        ({"instances": [{"y": [1, 2]}]}, r"instances\[0\] must hold 'x' alone, got y"),
        ({"instances": [{"x": [1, 2]}, {}]}, r"instances\[1\] must hold 'x' alone, got nothing"),
        ({"instances": [[1, 2], [3]]}, "'x': data is ragged"),
        ({"instances": [[1, "2"]]}, "'x': data must hold numbers"),
        ({"instances": [[1, 2], {"x": [3, 4]}]}, "'x'"),
    ],
)  # fmt: skip
def test_wrong_bodies(body, message):
    with pytest.raises(InvalidArgument, match=message):
        decode(body)


@pytest.mark.parametrize("inputs", [[], [TensorSpec("a", "FP32", (1,)), TensorSpec("b", "FP32", (1,))]])
def test_models_without_exactly_one_input_are_for_v2(inputs):
    with pytest.raises(InvalidArgument, match=f"has {len(inputs)} declared: use /v2"):
        decode({"instances": [1]}, VersionDescription(inputs, []))


def test_one_output_answers_plainly():
    y = np.array([[0.1, 2], [3, 4]], dtype=np.float32)
    assert answer(y=y) == {"predictions": [[0.1, 2], [3, 4]]}
    assert answer(by_row=False, y=y) == {"outputs": [[0.1, 2], [3, 4]]}
    assert answer(label=of_bytes([b"a", b"b"], (2,))) == {"predictions": ["a", "b"]}


def test_several_outputs_answer_as_objects():
    outputs = {"odds": np.array([[0.5], [0.25]]), "label": np.array([1, 0])}
    rows = [{"odds": [0.5], "label": 1}, {"odds": [0.25], "label": 0}]
    assert answer(**outputs) == {"predictions": rows}
    assert answer(by_row=False, **outputs) == {"outputs": {"odds": [[0.5], [0.25]], "label": [1, 0]}}


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 0), (2, 0, 3), (1, 2, 3, 1), (2, 3)])
def test_the_answer_nests_like_the_array(shape):
    array = np.arange(np.prod(shape, dtype=int), dtype=np.int64).reshape(shape)
    assert answer(by_row=False, y=array) == {"outputs": array.tolist()}


def test_nan_is_never_null():
    y = np.array([[np.nan, np.inf]], dtype=np.float32)
    for by_row in (True, False):
        for outputs in ({"y": y}, {"y": y, "z": np.array([1])}):
            text = json.dumps(answer(by_row, **outputs))
            assert "NaN" in text
            assert "Infinity" in text
            assert "null" not in text


@pytest.mark.parametrize("z", [np.array(1), np.array([1, 2, 3])])
def test_outputs_that_have_no_common_rows_are_for_columns(z):
    outputs = {"y": np.array([1.5, 2.5]), "z": z}
    with pytest.raises(InvalidArgument, match=r"'z'.*inputs"):
        answer(**outputs)
    assert answer(by_row=False, **outputs) == {"outputs": {"y": [1.5, 2.5], "z": z.tolist()}}
