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
    return decode_request(json.loads(json.dumps(body)), "m", version)


def answer(by_row: bool = True, **outputs: np.ndarray) -> dict:
    kinds = {dtype: name for name, dtype in DTYPES.items()}
    tensors = [Tensor(name, kinds[array.dtype], array) for name, array in outputs.items()]
    return json.loads(encode_response(InferResponse("m", "1", "i", tensors), by_row))


@pytest.mark.parametrize(
    ("body", "by_row"),
    [
        ({"instances": [[1, 2], [3, 4.5]]}, True),
        ({"instances": [{"x": [1, 2]}, {"x": [3, 4.5]}]}, True),
        ({"inputs": [[1, 2], [3, 4.5]]}, True),
        ({"inputs": [{"x": [1, 2]}, {"x": [3, 4.5]}]}, True),
        ({"inputs": {"x": [[1, 2], [3, 4.5]]}}, False),
        ({"instances": {"x": [[1, 2], [3, 4.5]]}}, False),
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
    named = {"instances": [{"text": "a", "top": 1}, {"text": "b", "top": 2.0}]}
    assert [tensor.data.tolist() for tensor in decode(named, TEXT)[0].inputs] == [[b"a", b"b"], [1, 2]]
    absent = {"instances": [{"text": "a", "top": None}, {"text": "b"}]}
    assert [tensor.name for tensor in decode(absent, TEXT)[0].inputs] == ["text"]


TABLE = VersionDescription(
    [
        TensorSpec("age", "INT64", (-1, 1)),
        TensorSpec("city", "BYTES", (-1,)),
        TensorSpec("at", "FP32", (-1, 2)),
    ],
    [],
)
ROW = {"age": 3, "city": "Rome", "at": [1, 2]}


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [ROW, {**ROW, "age": 4.0}]},
        {"inputs": [{**ROW, "age": [3]}, {**ROW, "age": [4]}]},
        {"inputs": {"city": ["Rome", "Rome"], "age": [3, 4], "at": [[1, 2]] * 2}},
        {"inputs": {"city": ["Rome", "Rome"], "age": [[3], [4]], "at": [[1, 2]] * 2}},
    ],
)
def test_named_columns(body):
    """Rows as objects and columns as lists, as a DataFrame has both; in the declared order."""
    request, by_row = decode(body, TABLE)
    assert by_row == (not isinstance(body.get("inputs"), dict))
    found = {tensor.name: tensor.data.tolist() for tensor in request.inputs}
    assert found == {"age": [[3], [4]], "city": [b"Rome"] * 2, "at": [[1, 2]] * 2}
    assert list(found) == ["age", "city", "at"]


@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_no_rows_at_all(key):
    """As KServe's server takes them: an empty batch, of each input that has to be there."""
    (tensor,) = decode({key: []}, ROWS)[0].inputs
    assert tensor.data.shape == (0, 2)
    shapes = {tensor.name: tensor.data.shape for tensor in decode({key: []}, TABLE)[0].inputs}
    assert shapes == {"age": (0, 1), "city": (0,), "at": (0, 2)}
    (text,) = decode({key: []}, TEXT)[0].inputs
    assert (text.name, text.data.shape, text.data.dtype) == ("text", (0,), object)


def test_no_rows_where_the_model_takes_a_fixed_number():
    (tensor,) = decode({"instances": []}, VersionDescription([TensorSpec("x", "FP32", (2,))], []))[
        0
    ].inputs
    assert tensor.data.shape == (0,)  # which its signature refuses


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"instances": [[1, 2]]}, "'m' has the inputs age, city, at: instances must be objects"),
        ({"instances": [ROW, 5]}, r"instances\[1\] must be an object of inputs \(age, city, at\)"),
        ({"instances": [ROW, {**ROW, "agee": 1}]}, r"instances\[1\].agee: no input.*did you mean age"),
        ({"instances": [ROW, {"age": 1, "at": [1, 2]}]}, r"instances\[1\].city: required"),
        ({"inputs": {"age": [1], "at": [[1, 2]]}}, "inputs.city: required, but not there"),
        ({"inputs": {**{name: [one] for name, one in ROW.items()}, "zip": [1]}}, "inputs.zip: no input"),
        ({"inputs": {**ROW, "at": [[1, 2]]}}, r"^inputs\.age must be a list of rows"),
        ({"instances": [ROW, {**ROW, "age": 1.5}]}, "'age': data must hold integers, got 1.5"),
        ({"instances": [ROW, {**ROW, "city": 4}]}, "'city': data must hold strings, got 4"),
        ({"instances": [ROW, {**ROW, "at": [1]}]}, "'at': data is ragged"),
    ],
)  # fmt: skip
def test_errors_name_the_column(body, message):
    with pytest.raises(InvalidArgument, match=message):
        decode(body, TABLE)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"x": [1, 2]}, [3, 4]],
            r"instances\[1\] must be an object of inputs \(x\), as instances\[0\] is",
        ),
        (
            [[1, 2], {"x": [3, 4]}],
            r"instances\[0\] must be an object of inputs \(x\), as instances\[1\] is",
        ),
        ([{"x": [1, 2]}, None], r"instances\[1\] must be an object of inputs"),
        ([{"x": [1, 2]}, 5, 6], r"instances\[1\] must be an object of inputs"),
    ],
)
def test_rows_are_all_objects_or_none_is(rows, message):
    with pytest.raises(InvalidArgument, match=message):
        decode({"instances": rows})


def test_an_optional_column_is_in_every_row_or_in_none():
    rows = [{"text": "a"}, {"text": "b", "top": 1}]
    with pytest.raises(InvalidArgument, match=r"instances\[1\].top: in every row or in none.*lacks it"):
        decode({"instances": rows}, TEXT)
    with pytest.raises(InvalidArgument, match=r"instances\[1\].top: in every row or in none.*has it"):
        decode({"instances": rows[::-1]}, TEXT)


IMAGES = VersionDescription(
    [TensorSpec("image", "BYTES", (-1,)), TensorSpec("n", "INT8", (1,), True)], []
)
JPEG = {"b64": "/9j/4A=="}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"instances": [JPEG, JPEG]}, [b"\xff\xd8\xff\xe0"] * 2),
        ({"instances": [JPEG, "text"]}, [b"\xff\xd8\xff\xe0", b"text"]),
        ({"instances": [{"image": JPEG}, {"image": {"b64": ""}}]}, [b"\xff\xd8\xff\xe0", b""]),
        ({"inputs": [[JPEG], [{"b64": "AA=="}]]}, [[b"\xff\xd8\xff\xe0"], [b"\0"]]),
        ({"inputs": {"image": [JPEG]}}, [b"\xff\xd8\xff\xe0"]),
    ],
)
def test_b64_stands_for_bytes_wherever_it_is(body, found):
    (tensor,) = decode(body, IMAGES)[0].inputs
    assert (tensor.name, tensor.data.tolist()) == ("image", found)


@pytest.mark.parametrize("wrong", ["a", "a-_=", 5, None, "/9j/4A", ["AA=="], "é"])
def test_what_is_not_base64_is_refused(wrong):
    with pytest.raises(InvalidArgument, match="'image': b64 must be base64, got"):
        decode({"instances": [{"b64": wrong}]}, IMAGES)


def test_b64_is_for_bytes_and_may_be_an_inputs_name():
    with pytest.raises(InvalidArgument, match="'x': data must hold numbers"):
        decode({"instances": [[JPEG, 1]]})
    own = VersionDescription([TensorSpec("b64", "BYTES", (-1,))], [])
    (tensor,) = decode({"instances": [{"b64": "plain"}]}, own)[0].inputs
    assert tensor.data.tolist() == [b"plain"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([1], "JSON object"), ({}, "exactly one of"),
        ({"instances": [[1, 2]], "inputs": [[1, 2]]}, "exactly one of"),
        ({"instances": 3}, "must be a list of rows for 'x'"),
        ({"inputs": {"y": [1]}}, "inputs.y: no input"),
        ({"instances": None}, "exactly one of"), ({"instances": "ab"}, "must be a list of rows for 'x'"),
        ({"instances": [{"y": [1, 2]}]}, r"instances\[0\].y: no input of this model.*x"),
        ({"instances": [{"x": [1, 2]}, {}]}, r"instances\[1\].x: required, but not there"),
        ({"instances": [{"x": [1, 2]}, {"x": None}]}, r"instances\[1\].x: required, but not there"),
        ({"instances": [[1, 2], [3]]}, "'x': data is ragged"),
        ({"instances": [[1, "2"]]}, "'x': data must hold numbers"),
        ({"instances": [[1, 2], {"x": [3, 4]}]}, r"\(x\)"),
    ],
)  # fmt: skip
def test_wrong_bodies(body, message):
    with pytest.raises(InvalidArgument, match=message):
        decode(body)


def test_models_that_declare_nothing_are_for_v2():
    with pytest.raises(InvalidArgument, match="has 0 declared: use /v2"):
        decode({"instances": [1]}, VersionDescription([], []))


def test_one_output_answers_plainly():
    y = np.array([[0.1, 2], [3, 4]], dtype=np.float32)
    assert answer(y=y) == {"predictions": [[0.1, 2], [3, 4]]}
    assert answer(by_row=False, y=y) == {"predictions": [[0.1, 2], [3, 4]]}
    assert answer(label=of_bytes([b"a", b"b"], (2,))) == {"predictions": ["a", "b"]}


def test_several_outputs_answer_as_objects():
    outputs = {"odds": np.array([[0.5], [0.25]]), "label": np.array([1, 0])}
    rows = [{"odds": [0.5], "label": 1}, {"odds": [0.25], "label": 0}]
    assert answer(**outputs) == {"predictions": rows}
    columns = {"odds": [[0.5], [0.25]], "label": [1, 0]}
    assert answer(by_row=False, **outputs) == {"predictions": columns}


def test_bytes_that_are_not_utf8_answer_as_b64():
    outputs = {"y": of_bytes([b"a", b"\xff\xd8\xff\xe0"], (2,))}
    assert answer(**outputs) == {"predictions": ["a", {"b64": "/9j/4A=="}]}


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 0), (2, 0, 3), (1, 2, 3, 1), (2, 3)])
def test_the_answer_nests_like_the_array(shape):
    array = np.arange(np.prod(shape, dtype=int), dtype=np.int64).reshape(shape)
    assert answer(by_row=False, y=array) == {"predictions": array.tolist()}


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
    assert answer(by_row=False, **outputs) == {"predictions": {"y": [1.5, 2.5], "z": z.tolist()}}


def test_objects_by_class_are_objects() -> None:
    texts = np.empty((2, 1), dtype=object)
    texts[:, 0] = [b"{0: 0.25, 1: 0.75}", b"{0: 1.0, 1: 0.0}"]
    response = InferResponse("m", "1", "", [Tensor("output-0", "BYTES", texts)])
    expected = {"predictions": [[{"0": 0.25, "1": 0.75}], [{"0": 1.0, "1": 0.0}]]}
    assert json.loads(encode_response(response, True, literal=True)) == expected
