"""KServe's V1 protocol over the same models: `instances` or `inputs`, and `predictions`.

A row is a value of the model's one input, or an object with a value for each of several; `inputs` may
also be an object of columns, which is answered by column. One output answers as plain rows.
"""

import ast
import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

from serve_app.config import did_you_mean
from serve_app.errors import InvalidArgument, shown
from serve_app.protocol import elements, v1_tables
from serve_app.protocol.bounds import MOST_DIMENSIONS
from serve_app.protocol.datatypes import BYTES
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import InferRequest, InferResponse, Tensor, TensorSpec

NO_OBJECT = "the body must be a JSON object with instances or inputs"
_B64 = "b64"  # {"b64": "…"} stands for bytes


def decode_request(message: Any, model: str, version: VersionDescription) -> tuple[InferRequest, bool]:
    """A V1 message, and whether its answer goes by row, else by column."""
    if not version.inputs:
        raise InvalidArgument(f"V1 is for models with inputs; '{model}' has 0 declared: use /v2")
    if not isinstance(message, dict):
        raise InvalidArgument(NO_OBJECT)
    message = elements.given(message)
    keys = [key for key in ("instances", "inputs") if key in message]
    if len(keys) != 1:
        raise InvalidArgument("the body must have exactly one of instances and inputs")
    key = keys[0]
    rows, specs = message[key], {spec.name: spec for spec in version.inputs}
    by_row = not isinstance(rows, dict)
    if version.table is not None:
        return InferRequest(model, "", "", v1_tables.tensors_of(rows, key, version.table)), by_row
    columns = _columns(rows, key, model, specs) if by_row else _checked(rows, key, specs)
    tensors = [
        _tensor(columns[name], specs[name], key if by_row else f"{key}.{name}")
        for name in specs
        if name in columns
    ]
    return InferRequest(model, "", "", tensors), by_row


def _columns(rows: Any, key: str, model: str, specs: dict[str, TensorSpec]) -> dict[str, Any]:
    required = [spec for spec in specs.values() if not spec.optional]
    if rows == []:  # no rows at all, of every input
        return {spec.name: rows for spec in required}
    named = [_named(row, specs) for row in rows] if isinstance(rows, list) else []
    if any(named):
        return _by_name(rows, named, key, specs)
    if len(required) == 1:
        return {required[0].name: rows}
    raise InvalidArgument(
        f"'{model}' has the inputs {', '.join(specs)}: {key} must be objects that name them, or use /v2"
    )


def _named(row: Any, specs: dict[str, TensorSpec]) -> bool:
    """Whether a row is an object of inputs, and not itself a value."""
    return isinstance(row, dict) and (set(row) != {_B64} or _B64 in specs)


def _by_name(
    rows: list[Any], named: list[bool], key: str, specs: dict[str, TensorSpec]
) -> dict[str, Any]:
    if not all(named):
        raise InvalidArgument(
            f"{key}[{named.index(False)}] must be an object of inputs ({', '.join(specs)}), "
            f"as {key}[{named.index(True)}] is"
        )
    columns: dict[str, list[Any]] = {name: [] for name in _checked(rows[0], f"{key}[0]", specs)}
    for index, row in enumerate(rows):
        where = f"{key}[{index}]"
        values = _checked(row, where, specs)
        for name in values.keys() | columns.keys():
            if name not in values or name not in columns:
                first = "has it" if name in columns else "lacks it"
                raise InvalidArgument(f"{where}.{name}: in every row or in none, {key}[0] {first}")
            columns[name].append(values[name])
    return columns


def _checked(columns: dict[str, Any], where: str, specs: dict[str, TensorSpec]) -> dict[str, Any]:
    """The columns that are there, all of them inputs and none missing."""
    columns = elements.given(columns)
    for name in columns:
        if name not in specs:
            raise InvalidArgument(
                f"{where}.{name[:80]}: no input of this model{did_you_mean(name, specs)}"
            )
    for name, spec in specs.items():
        if not spec.optional and name not in columns:
            raise InvalidArgument(f"{where}.{name}: required, but not there")
    return columns


def _tensor(rows: Any, spec: TensorSpec, where: str) -> Tensor:
    if not isinstance(rows, list):
        raise InvalidArgument(f"{where} must be a list of rows for '{spec.name}'")
    if spec.datatype == "BYTES":
        rows = _decoded(rows, spec.name)
    shape = _shape(rows) if rows else _none(spec)
    if len(spec.shape) == len(shape) + 1 and spec.shape[-1] == 1:
        shape += (1,)  # a column of single values
    return Tensor(spec.name, spec.datatype, elements.to_array(rows, spec.datatype, shape, spec.name))


def _none(spec: TensorSpec) -> tuple[int, ...]:
    """The shape of no rows, where a model takes any number of them."""
    if spec.any_rank or spec.shape[:1] != (-1,):
        return (0,)
    return (0, *(1 if size < 0 else size for size in spec.shape[1:]))


def _decoded(value: Any, name: str, depth: int = 0) -> Any:
    """With bytes in the place of `{"b64": …}`, wherever it stands."""
    if isinstance(value, list) and depth < MOST_DIMENSIONS:
        return [_decoded(item, name, depth + 1) for item in value]
    if not isinstance(value, dict) or set(value) != {_B64}:
        return value
    try:
        return base64.b64decode(value[_B64], validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise InvalidArgument(f"tensor '{name}': b64 must be base64, got {shown(value[_B64])}") from None


def _shape(rows: list[Any]) -> tuple[int, ...]:
    """The rows' own shape, read along their first elements; `to_array` refuses ragged ones."""
    shape: list[int] = []
    level: Any = rows
    while isinstance(level, list) and len(shape) < MOST_DIMENSIONS:
        shape.append(len(level))
        level = level[0] if level else None
    return tuple(shape)


def encode_response(
    response: InferResponse, by_row: bool, key: str = "predictions", literal: bool = False
) -> bytes:
    """The outputs under `key`; NaN and Infinity as V2 writes them. `literal`: BYTES are values as Python
    writes them."""
    finite = all(
        tensor.data.dtype.kind not in "fV" or np.isfinite(tensor.data).all()
        for tensor in response.outputs
    )
    found = answer(response, by_row, key, literal)
    return orjson.dumps(found) if finite else json.dumps(found).encode()


def answer(
    response: InferResponse, by_row: bool, key: str = "predictions", literal: bool = False
) -> dict[str, Any]:
    """The same, not yet encoded."""
    read = _value if literal else _text
    columns = {tensor.name: _nested(tensor, read) for tensor in response.outputs}
    value: Any = columns
    if len(columns) == 1:
        value = next(iter(columns.values()))
    elif by_row:
        value = _rows(response, columns)
    return {key: value}


def _rows(response: InferResponse, columns: dict[str, Any]) -> list[dict[str, Any]]:
    sizes = [tensor.data.shape[:1] for tensor in response.outputs]
    for tensor, size in zip(response.outputs, sizes, strict=True):
        if not size or size != sizes[0]:
            raise InvalidArgument(
                f"output '{tensor.name}' has shape {list(tensor.data.shape)}, not one row per "
                "instance: send inputs by column (an object of lists), or use /v2"
            )
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _nested(tensor: Tensor, read: Callable[[bytes], Any]) -> Any:
    if tensor.data.dtype == BYTES:
        flat = [read(item) for item in tensor.data.ravel()]
    else:  # through the JSON form, which has the short digits of FP16 and FP32
        flat = elements.load_json(elements.to_json(tensor.data, tensor.name))
    items = np.empty(len(flat), dtype=object)
    items[:] = flat
    return items.reshape(tensor.data.shape).tolist()


def _text(item: bytes) -> Any:
    try:
        return item.decode()
    except UnicodeDecodeError:
        return {_B64: base64.b64encode(item).decode()}


def _value(item: bytes) -> Any:
    """An object by class, whose numbers JSON has as texts."""
    return {str(key): value for key, value in ast.literal_eval(item.decode()).items()}
