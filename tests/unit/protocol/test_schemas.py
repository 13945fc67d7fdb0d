"""What the JSON schemas of bodies allow is what the codecs take."""

import json

import jsonschema
import numpy as np
import pytest

from serve_app.core.signature import validated
from serve_app.errors import InvalidArgument
from serve_app.protocol import schemas
from serve_app.protocol.elements import to_array
from serve_app.protocol.metadata import VersionDescription, example_inputs
from serve_app.protocol.rest_codec import decode_request
from serve_app.protocol.tensors import TensorSpec
from tests.unit.arrays import DTYPES

X = TensorSpec("x", "FP32", (-1, 2), example=[1.0] * 10)
N = TensorSpec("n", "INT8", (3,))
T = TensorSpec("t", "BYTES", (-1,), optional=True)
Y, Z = TensorSpec("y", "FP32", (-1,)), TensorSpec("z", "FP32", (-1,))
NUMBERS = sorted(set(DTYPES) - {"BOOL", "BYTES"})


@pytest.mark.parametrize("datatype", NUMBERS)
def test_the_limits_are_those_of_the_datatype(datatype):
    found = schemas.element(datatype)
    for limit in (found["minimum"], found["maximum"]):
        assert np.isfinite(to_array([limit], datatype, (1,), "x").astype(float)[0])
        if datatype == "FP64":
            continue  # nothing beyond it can be written
        beyond = (
            limit + (1 if limit > 0 else -1)
            if isinstance(limit, int)
            else np.nextafter(limit, 2 * limit)
        )
        with pytest.raises(InvalidArgument, match="range"):
            to_array([beyond if isinstance(limit, int) else float(beyond)], datatype, (1,), "x")


def allows(schema: dict, body: object) -> bool:
    return jsonschema.Draft7Validator(plain(schema)).is_valid(body)


def plain(schema: object) -> object:
    """OpenAPI 3.0's `nullable` in JSON schema's own words."""
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: plain(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [found, {"type": "null"}]} if schema.get("nullable") else found


def tensor(name: str, datatype: str, *shape: int, **more) -> dict:
    filler = {"BYTES": "a"}.get(datatype, 0)
    data = [filler] * int(np.prod(shape))
    return {"name": name, "datatype": datatype, "shape": list(shape), "data": data, **more}


XS, NS, TS = tensor("x", "FP32", 2, 2), tensor("n", "INT8", 3), tensor("t", "BYTES", 1)


@pytest.mark.parametrize(
    ("body", "good"),
    [
        ({"inputs": [XS, NS]}, True), ({"inputs": [NS, XS]}, True), ({"inputs": [XS, NS, TS]}, True),
        ({"inputs": [tensor("x", "FP32", 5, 2), NS]}, True),  # as large as the example
        ({"inputs": [XS, NS], "id": None, "outputs": None, "parameters": {"a": None, "b": 1.5}}, True),
        ({"inputs": [XS, NS], "outputs": []}, True),
        ({"inputs": [XS, NS], "outputs": [{"name": "z"}, {"name": "y", "parameters": None}]}, True),
        ({"inputs": [{**XS, "parameters": {"content_type": "np"}}, NS]}, True),
        ({"inputs": [XS]}, False), ({"inputs": [XS, XS]}, False), ({"inputs": [XS, NS, NS]}, False),
        ({"inputs": [XS, NS, TS, TS]}, False), ({}, False), ({"inputs": None}, False),
        ({"inputs": [{**XS, "datatype": "FP64"}, NS]}, False),
        ({"inputs": [{**XS, "data": [0]}, NS]}, False), ({"inputs": [{**XS, "shape": [4]}, NS]}, False),
        ({"inputs": [XS, {**NS, "data": [128, 0, 0]}]}, False),
        ({"inputs": [XS, {**NS, "data": [0.5, 0, 0]}]}, False), ({"inputs": [XS, NS], "id": 5}, False),
        ({"inputs": [{**XS, "parameters": {"binary_data_size": 16}}, NS]}, False),
        ({"inputs": [XS, NS], "outputs": [{"name": "q"}]}, False),
        ({"inputs": [XS, NS], "outputs": [{"name": "y"}, {"name": "y"}]}, False),
        ({"inputs": [XS, NS], "parameters": {"a": [1]}}, False),
    ],
)  # fmt: skip
def test_a_body_of_infer(body, good):
    schema = schemas.request([X, N, T], [Y, Z], schemas.PARAMETERS)
    assert allows(schema, body) == good
    if good:
        request = decode_request(json.dumps(body).encode(), None, "m", "")
        assert set(validated(request, VersionDescription([X, N, T], [Y, Z]))) >= {"x", "n"}


def test_examples_are_allowed():
    body = {"inputs": example_inputs([X, N, T])}
    assert body["inputs"][0]["shape"] == [5, 2]
    assert allows(schemas.request([X, N, T], [], schemas.PARAMETERS), body)


def test_any_tensor_goes_where_nothing_is_declared():
    schema = schemas.request([], [], schemas.PARAMETERS)
    for body in (
        {"inputs": []},
        {"inputs": [tensor("any", "BF16", 2)]},
        {"inputs": [TS], "outputs": None},
    ):
        assert allows(schema, body)
    assert not allows(schema, {"inputs": [{"name": "any"}]})


def test_rows_of_v1():
    assert not schemas.has_rows([])
    assert not schemas.has_rows([TensorSpec("x", "FP32", ())])
    assert not schemas.has_rows([N, TensorSpec("x", "FP32", (2,))])
    assert schemas.has_rows([X, N])
    one = schemas.rows([X, T])
    assert allows(one, {"instances": [[1, 2], [3, 4]]})
    assert allows(one, {"inputs": [[1, 2]]})
    for body in (
        {},
        {"instances": [[1]]},
        {"instances": [], "inputs": []},
        {"instances": [[1, 2]], "inputs": [[1, 2]]},
    ):
        assert not allows(one, body)
    assert schemas.example_rows([X, T]) == [[1, 1]] * 5
    ages = TensorSpec("age", "INT8", (-1, 1), example=[7])
    assert schemas.example_rows([X, ages]) == [{"x": [1, 1], "age": 7}]
    several = schemas.rows([X, TensorSpec("age", "INT8", (-1, 1))])
    assert allows(several, {"instances": [{"x": [1, 2], "age": 3}]})
    assert not allows(several, {"instances": [{"x": [1, 2]}]})
    assert not allows(several, {"instances": [{"x": [1, 2], "age": 3, "more": 1}]})
