"""KServe's V1 protocol over the same models: `instances` by row, or `inputs` by column.

For models with exactly one required input. One output answers as plain rows, several as objects.
"""

import json
from typing import Any

import numpy as np
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
    message = elements.given(message)
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
        got = ", ".join(row) or "nothing"
        raise InvalidArgument(f"instances[{index}] must hold '{spec.name}' alone, got {got}")
    return row[spec.name]


def _shape(rows: list[Any], spec: TensorSpec) -> tuple[int, ...]:
    """The rows' own shape, read along their first elements; `to_array` refuses ragged ones."""
    shape: list[int] = []
    level: Any = rows
    while isinstance(level, list) and len(shape) < 32:
        shape.append(len(level))
        level = level[0] if level else None
    return tuple(shape)


def encode_response(response: InferResponse, by_row: bool, rows: str = "predictions") -> bytes:
    """`predictions` (`rows`) by row or `outputs` by column; NaN and Infinity as V2 writes them."""
    columns = {tensor.name: _nested(tensor) for tensor in response.outputs}
    value: Any = columns
    if len(columns) == 1:
        value = next(iter(columns.values()))
    elif by_row:
        value = _rows(response, columns)
    finite = all(
        tensor.data.dtype.kind not in "fV" or np.isfinite(tensor.data).all()
        for tensor in response.outputs
    )
    text = orjson.dumps(value) if finite else json.dumps(value).encode()
    return b'{"%b":' % (rows.encode() if by_row else b"outputs") + text + b"}"


def _rows(response: InferResponse, columns: dict[str, Any]) -> list[dict[str, Any]]:
    sizes = [tensor.data.shape[:1] for tensor in response.outputs]
    for tensor, size in zip(response.outputs, sizes, strict=True):
        if not size or size != sizes[0]:
            raise InvalidArgument(
                f"output '{tensor.name}' has shape {list(tensor.data.shape)}, not one row per "
                "instance: send inputs instead of instances, or use /v2"
            )
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _nested(tensor: Tensor) -> Any:
    # Through the JSON form, which has the short digits of FP16 and FP32.
    flat = elements.load_json(elements.to_json(tensor.data, tensor.name))
    items = np.empty(len(flat), dtype=object)
    items[:] = flat
    return items.reshape(tensor.data.shape).tolist()
