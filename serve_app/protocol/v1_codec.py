"""KServe's V1 protocol over the same models: `instances` by row, or `inputs` by column.

For models with exactly one required input. One output answers as plain rows, several as objects.
"""

from typing import Any

import orjson

from serve_app.errors import InvalidArgument
from serve_app.protocol import elements
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import InferRequest, InferResponse, Tensor, TensorSpec


def decode_request(body: bytes, model: str, version: VersionDescription) -> tuple[InferRequest, bool]:
    """A V1 body, and whether the answer goes by row (`predictions`) or column (`outputs`)."""
    required = [spec for spec in version.inputs if not spec.optional]
    if len(required) != 1:
        raise InvalidArgument(
            f"V1 is for models with one input; '{model}' has {len(required)} declared: use /v2"
        )
    message = elements.load_json(body)
    if not isinstance(message, dict):
        raise InvalidArgument("the body must be a JSON object with instances or inputs")
    keys = [key for key in ("instances", "inputs") if key in message]
    if len(keys) != 1:
        raise InvalidArgument("the body must have exactly one of instances and inputs")
    spec = required[0]
    rows = message[keys[0]]
    if isinstance(rows, dict) and set(rows) == {spec.name}:
        rows = rows[spec.name]
    if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
        rows = [_named(row, spec, index) for index, row in enumerate(rows)]
    if not isinstance(rows, list):
        raise InvalidArgument(f"{keys[0]} must be a list of rows for '{spec.name}'")
    array = elements.to_array(rows, spec.datatype, _shape(rows, spec), spec.name)
    request = InferRequest(model, "", "", [Tensor(spec.name, spec.datatype, array)])
    return request, keys[0] == "instances"


def _named(row: dict[str, Any], spec: TensorSpec, index: int) -> Any:
    if set(row) != {spec.name}:
        raise InvalidArgument(
            f"instances[{index}] must hold '{spec.name}' alone, got {', '.join(map(str, row)) or 'nothing'}"
        )
    return row[spec.name]


def _shape(rows: list[Any], spec: TensorSpec) -> tuple[int, ...]:
    """The rows' own shape, read along their first elements; `to_array` refuses ragged ones."""
    shape: list[int] = []
    level: Any = rows
    while isinstance(level, list) and len(shape) < 32:
        shape.append(len(level))
        level = level[0] if level else None
    return tuple(shape)


def encode_response(response: InferResponse, by_row: bool) -> bytes:
    """`predictions` by row or `outputs` by column."""
    columns = {tensor.name: _nested(tensor) for tensor in response.outputs}
    if len(columns) == 1:
        key = b'{"predictions":' if by_row else b'{"outputs":'
        return key + _dumps(next(iter(columns.values()))) + b"}"
    if not by_row:
        return b'{"outputs":' + _dumps(columns) + b"}"
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return b'{"predictions":' + _dumps(rows) + b"}"


def _nested(tensor: Tensor) -> Any:
    array = tensor.data
    flat = orjson.loads(elements.to_json(array, tensor.name))
    for size in reversed(array.shape[1:]):
        flat = [flat[start : start + size] for start in range(0, len(flat), size)] if size else []
    return flat if array.ndim else flat[0]


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value)
