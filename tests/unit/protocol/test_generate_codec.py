"""Triton's generate extension: its rule for shapes, and whatever a body holds."""

import contextlib
import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.core.signature import validated
from serve_app.errors import InvalidArgument
from serve_app.protocol.generate_codec import decode_request, encode_response
from serve_app.protocol.generation import INPUTS, generation, whether_streamed
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import InferResponse, Tensor, TensorSpec
from tests.unit.arrays import of_bytes
from tests.unit.engines import ENGINE

TEXT = VersionDescription(list(INPUTS), [])


@pytest.mark.parametrize(
    ("declared", "value", "shape"),
    [
        ((1,), 5, (1,)), ((1, 1), 5, (1, 1)), ((), 5, ()), ((-1,), 5, (1,)),
        ((-1, 2), [1, 2, 3, 4], (2, 2)), ((1, -1), [1, 2, 3], (1, 3)), ((-1, -1), [1, 2, 3], (1, 3)),
        ((-1, 2, -1), [1, 2, 3, 4], (1, 2, 2)),
        ((-1, 3), [], (0, 3)), ((-1, 2), [[1, 2]], (1, 2)), ((2, 0), [], (2, 0)),
    ],
)  # fmt: skip
def test_values_take_the_shape_of_their_input(declared: Any, value: Any, shape: Any) -> None:
    body = orjson.dumps({"x": value})
    (tensor,) = decode_request(body, "m", "", [TensorSpec("x", "INT32", declared)], False).inputs
    assert tensor.data.shape == shape
    flat = np.array(value).reshape(-1) if value != [] else []
    assert tensor.data.reshape(-1).tolist() == list(flat)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([[1.5]], np.float32), 1.5), (np.array(3), 3), (np.array([1, 2]), [1, 2]),
        (np.array([[1], [2]]), [1, 2]), (np.zeros((0, 3)), []), (np.array([True]), True),
        (of_bytes(["ü".encode()], (1,)), "ü"), (of_bytes([b"a", b"\xff"], (2,)), ["a", "�"]),
        (np.array([np.inf]), np.inf),
    ],
)  # fmt: skip
def test_a_single_value_comes_without_its_list(array: Any, said: Any) -> None:
    answer = encode_response(InferResponse("m", "1", "7", [Tensor("y", "", array)]), False)
    assert json.loads(answer) == {"model_name": "m", "model_version": "1", "y": said}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [
        *(spec.name for spec in INPUTS),
        "id",
        "parameters",
        "n",
        "stop",
        "lora_name",
        "structured_outputs",
        "x",
    ]
)
BODIES = st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON, max_size=4), max_size=5)


@given(BODIES, st.booleans())
def test_whatever_a_body_holds_is_read_or_refused(body: dict[str, Any], stream: bool) -> None:
    data = orjson.dumps(body | {"text_input": body.get("text_input", "a")})
    with contextlib.suppress(InvalidArgument):
        request = decode_request(data, "m", "", TEXT.inputs, True)
        whether_streamed(request)
        wanted = generation("m", validated(request, TEXT), request.parameters, ENGINE, stream)
        assert isinstance(wanted.asked["prompt"], str | list)


@given(st.dictionaries(st.sampled_from(["x", "y", "id", "parameters", "p"]), JSON, max_size=5))
def test_nor_does_an_ordinary_models(body: dict[str, Any]) -> None:
    specs = [TensorSpec("x", "FP32", (-1, 2)), TensorSpec("y", "BYTES", (1,), optional=True)]
    with contextlib.suppress(InvalidArgument):
        request = decode_request(orjson.dumps(body), "m", "", specs, False)
        assert all(isinstance(value, str | int | float) for value in request.parameters.values())
