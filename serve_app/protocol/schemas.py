"""V2's and V1's bodies as JSON schemas (of OpenAPI 3.0), for a model's declared tensors.

No schema can say that a shape and the length of its data agree. So sizes that are open are a few of
those that can be, each with its data; what such a schema allows is a valid request.
"""

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from serve_app.protocol.classification import KEY as CLASSES
from serve_app.protocol.classification import NUMBERS
from serve_app.protocol.datatypes import TO_NUMPY
from serve_app.protocol.metadata import example_inputs
from serve_app.protocol.tensors import TensorSpec

Schema = dict[str, Any]
# More than these would be rounded to infinity.
_LARGEST = {
    "FP16": 65519.99999999999,
    "BF16": 3.3961774278184117e38,
    "FP32": 3.4028235677973362e38,
    "FP64": 1.7976931348623157e308,
}
_OPEN_SIZES = (1, 2, 3)  # that stand for any
PARAMETERS: Schema = {
    "type": "object",
    "nullable": True,
    "additionalProperties": {
        "anyOf": [{"type": kind, "nullable": True} for kind in ("string", "number", "boolean")]
    },
}
_NO_BINARY = {"binary_data_size": {"type": "integer", "nullable": True, "enum": [None]}}


def element(datatype: str, shortest: int = 0) -> Schema:
    """One element of a tensor's data; texts of `shortest` characters at least."""
    dtype = TO_NUMPY[datatype]
    if dtype.kind == "O":
        return {"type": "string", **({"minLength": shortest} if shortest else {})}
    if dtype.kind == "b":
        return {"type": "boolean"}
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return {"type": "integer", "minimum": int(limits.min), "maximum": int(limits.max)}
    most = _LARGEST[datatype]
    return {"type": "number", "minimum": -most, "maximum": most}


def request(
    inputs: list[TensorSpec], outputs: list[TensorSpec], parameters: Schema, shortest: int = 0
) -> Schema:
    """A body of infer. Without declared inputs any tensor goes, without declared outputs all come."""
    required = _required(inputs)
    optional = [spec for spec in inputs if spec.optional]
    sets = [required, *([*required, one] for one in optional)]
    if len(optional) > 1:
        sets.append(inputs)
    given = [_each_once([(spec.name, _input(spec, shortest)) for spec in chosen]) for chosen in sets]
    if not inputs:
        given = [{"type": "array", "items": _any_input(), "maxItems": 1}]
    asked = [_each_once([(spec.name, _asked(spec))]) for spec in outputs]
    if len(outputs) > 1:
        asked.append(_each_once([(spec.name, _asked(spec)) for spec in outputs]))
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "nullable": True},
            "inputs": _one_of(given),
            "outputs": {"nullable": True, **_one_of([{"type": "array", "maxItems": 0}, *asked])},
            "parameters": parameters,
        },
    }


def response(outputs: list[TensorSpec]) -> Schema:
    """An answer in JSON."""
    named = [_output(spec) for spec in outputs] or [_output(None)]
    text: Schema = {"type": "string"}
    return {
        "type": "object",
        "required": ["model_name", "model_version", "id", "outputs"],
        "properties": {
            "model_name": text,
            "model_version": text,
            "id": text,
            "outputs": {"type": "array", "items": _one_of(named)},
        },
    }


def has_rows(inputs: list[TensorSpec]) -> bool:
    """Whether V1 can ask for this, row by row."""
    counts = {spec.shape[:1] for spec in inputs if not spec.optional}
    return bool(counts) and () not in counts and len(counts - {(-1,)}) <= 1


def rows(inputs: list[TensorSpec]) -> Schema:
    """A body of V1: `instances`, or the same under `inputs`."""
    required = _required(inputs)
    each: Schema = _row(required[0])
    if len(required) != 1:
        each = {
            "type": "object",
            "required": [spec.name for spec in required],
            "properties": {spec.name: _row(spec) for spec in required},
            "additionalProperties": False,
        }
    table = {"type": "array", "items": each, "minItems": 1}
    if counts := {spec.shape[0] for spec in required} - {-1}:
        (count,) = counts
        table |= {"minItems": count, "maxItems": count}
    keys = [{"required": [key], "properties": {key: table}} for key in ("instances", "inputs")]
    others = [{"not": {"required": [key]}} for key in ("inputs", "instances")]
    return {
        "type": "object",
        "oneOf": [{**one, **other} for one, other in zip(keys, others, strict=True)],
    }


def example_rows(inputs: list[TensorSpec]) -> list[Any]:
    """Rows of V1 that can be sent as they are."""
    columns: dict[str, list[Any]] = {}
    for spec, example in zip(_required(inputs), example_inputs(inputs), strict=True):
        shape = _without_single(tuple(example["shape"]), spec)
        columns[spec.name] = np.array(example["data"], dtype=object).reshape(shape).tolist()
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=False)]


def has_values(inputs: list[TensorSpec]) -> bool:
    """Whether the generate extension can ask for this, by name."""
    return bool(inputs) and not {"id", "parameters"} & {spec.name for spec in _required(inputs)}


def values(inputs: list[TensorSpec], engine: bool = False) -> Schema:
    """A body of generate: a value or a flat list for each required input; an engine's is one text."""
    required = _required(inputs)
    # Rows of several inputs may have to agree.
    sizes = _OPEN_SIZES if len(required) == 1 and not engine else (1,)
    return {
        "type": "object",
        "required": [spec.name for spec in required],
        "properties": {spec.name: _value(spec, sizes, int(engine)) for spec in required},
        "additionalProperties": False,  # what else goes is the model's to say
    }


def example_values(inputs: list[TensorSpec]) -> Schema:
    """A body of generate that can be sent as it is."""
    found: Schema = {}
    for spec, example in zip(_required(inputs), example_inputs(inputs), strict=True):
        data = np.array(example["data"], dtype=object).ravel().tolist()
        found[spec.name] = data[0] if len(data) == 1 else data
    return found


def _value(spec: TensorSpec, sizes: tuple[int, ...], shortest: int) -> Schema:
    item = element(spec.datatype, shortest)
    fixed, is_open = math.prod(size for size in spec.shape if size >= 0), -1 in spec.shape
    counts = [fixed * size for size in sizes] if is_open else [fixed]
    lists: list[Schema] = [
        {"type": "array", "items": item, "minItems": count, "maxItems": count} for count in counts
    ]
    return _one_of([item, *lists] if 1 in counts else lists)


def _required(inputs: list[TensorSpec]) -> list[TensorSpec]:
    return [spec for spec in inputs if not spec.optional]


def _without_single(shape: tuple[int, ...], spec: TensorSpec) -> tuple[int, ...]:
    """A single value needs no list."""
    return shape[:-1] if len(spec.shape) > 1 and spec.shape[-1] == 1 else shape


def _row(spec: TensorSpec) -> Schema:
    schema = element(spec.datatype)
    for dimension in reversed(_without_single(spec.shape, spec)[1:]):
        size = abs(dimension)
        schema = {"type": "array", "items": schema, "minItems": size, "maxItems": size}
    return schema


def _input(spec: TensorSpec, shortest: int) -> Schema:
    return _one_of(
        [_tensor({"enum": [spec.name]}, spec.datatype, shape, shortest) for shape in _shapes(spec)]
    )


def _any_input() -> Schema:
    name = {"type": "string", "minLength": 1}
    return _one_of([_tensor(name, datatype, (size,)) for datatype in TO_NUMPY for size in (1, 2)])


def _tensor(name: Schema, datatype: str, shape: tuple[int, ...], shortest: int = 0) -> Schema:
    size, items = math.prod(shape), element(datatype, shortest)
    return {
        "type": "object",
        "required": ["name", "datatype", "shape", "data"],
        "properties": {
            "name": {"type": "string", **name},
            "datatype": {"type": "string", "enum": [datatype]},
            "shape": {"type": "array", "items": {"type": "integer"}, "enum": [list(shape)]},
            "data": {"type": "array", "items": items, "minItems": size, "maxItems": size},
            "parameters": {**PARAMETERS, "properties": _NO_BINARY},
        },
    }  # fmt: skip


def _shapes(spec: TensorSpec) -> Iterator[tuple[int, ...]]:
    """Some that a declared shape allows: its first open size varies, the others are 1."""
    sizes = set(_OPEN_SIZES)
    if spec.example is not None and (known := math.prod(d for d in spec.shape if d > 0)):
        sizes.add(len(spec.example) // known)
    first = True
    choices: list[tuple[int, ...]] = []
    for dimension in spec.shape:
        is_open = dimension < 0
        choices.append((dimension,) if not is_open else tuple(sorted(sizes)) if first else (1,))
        first = first and not is_open
    return product(*choices)


def _asked(spec: TensorSpec) -> Schema:
    most = 2**32 - 1 if spec.datatype in NUMBERS else 0
    classes = {"type": "integer", "minimum": 0, "maximum": most, "nullable": True}
    parameters = {
        **PARAMETERS,
        "properties": {"binary_data": {"type": "boolean", "nullable": True}, CLASSES: classes},
    }
    return {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string", "enum": [spec.name]}, "parameters": parameters},
    }


def _each_once(named: list[tuple[str, Schema]]) -> Schema:
    """A list that has each of these once, in any order."""
    items = _one_of([schema for _, schema in named])
    found: Schema = {"type": "array", "minItems": len(named), "maxItems": len(named), "items": items}
    if len(named) > 1:  # as `contains` would have it, which OpenAPI 3.0 lacks
        found["allOf"] = [
            {"not": {"items": {"not": {"properties": {"name": {"enum": [name]}}}}}} for name, _ in named
        ]
    return found


def _one_of(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _output(spec: TensorSpec | None) -> Schema:
    """As it is, or, of numbers, the classes that were asked for in their place."""
    if spec is None or spec.datatype not in NUMBERS:
        return _answer(spec)
    return {"anyOf": [_answer(spec), _answer(TensorSpec(spec.name, "BYTES", (), any_rank=True))]}


def _answer(spec: TensorSpec | None) -> Schema:
    name: Schema = {"type": "string"}
    datatype: Schema = {"type": "string", "enum": list(TO_NUMPY)}
    shape: Schema = {"type": "array", "items": {"type": "integer", "minimum": 0}}
    data: Schema = {"type": "array", "items": {}}
    if spec is not None:
        name, datatype = name | {"enum": [spec.name]}, {"type": "string", "enum": [spec.datatype]}
        if not spec.any_rank:
            shape |= {"minItems": len(spec.shape), "maxItems": len(spec.shape)}
        kind = element(spec.datatype)["type"]
        # JSON has no word for NaN and Infinity, which are written as such: readers differ in it.
        data["items"] = {"description": "number"} if kind == "number" else {"type": kind}
    return {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {"name": name, "datatype": datatype, "shape": shape, "data": data},
    }
