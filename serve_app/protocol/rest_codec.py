"""V2 over HTTP: JSON, with or without the binary tensor extension, to and from our types."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson

from serve_app.errors import InvalidArgument, shown
from serve_app.protocol import bounds, classification, elements, raw
from serve_app.protocol.datatypes import v2_datatype
from serve_app.protocol.reserved import is_reserved
from serve_app.protocol.tensors import (
    InferRequest,
    InferResponse,
    Parameters,
    RequestedOutput,
    Tensor,
)
from serve_app.protocol.wire import Buffer

_UNSUPPORTED = ("shared_memory_region",)


def decode_request(
    body: bytes | memoryview, json_length: int | None, model: str, version: str
) -> InferRequest:
    """A request body. `json_length` is the Inference-Header-Content-Length header, if it came."""
    message, inputs = read(body, json_length, "inputs")
    parameters = _parameters(message, "parameters")
    binary_output = _flag(parameters, "binary_data_output", "parameters.binary_data_output")
    request_id = message.get("id", "")
    if not isinstance(request_id, str):
        raise InvalidArgument(f"id must be a string, got {_kind(request_id)}")
    return InferRequest(
        model=model,
        version=version,
        id=request_id,
        inputs=inputs,
        outputs=_outputs(message, binary_output),
        parameters=parameters,
        binary_output=binary_output,
    )


def dear(body: bytes, json_length: int | None) -> int:
    """How many bytes of a body take time to decode: JSON, and strings that follow it."""
    if json_length is None or json_length >= len(body) or body.find(b'"BYTES"', 0, json_length) >= 0:
        return len(body)
    return json_length


def read(
    body: bytes | memoryview, json_length: int | None, key: str
) -> tuple[dict[str, Any], list[Tensor]]:
    """The JSON of a body, and the tensors at `key`: `inputs` of a request, `outputs` of an answer."""
    view = memoryview(body)
    if json_length is not None and not 0 <= json_length <= len(view):
        raise InvalidArgument(
            f"Inference-Header-Content-Length must be 0 to {len(view)}, the body's length, "
            f"got {json_length}"
        )
    message = elements.load_json(view if json_length is None else view[:json_length])
    binary = view[len(view) :] if json_length is None else view[json_length:]
    if not isinstance(message, dict):
        raise InvalidArgument(f"the body must be a JSON object, got {_kind(message)}")
    message = elements.given(message)
    tensors, used = _tensors(message, binary, key)
    if used != len(binary):
        raise InvalidArgument(
            f"{len(binary)} bytes follow the JSON, but the {key}' binary_data_size add up to {used}"
        )
    return message, tensors


def _tensors(message: dict[str, Any], binary: memoryview, key: str) -> tuple[list[Tensor], int]:
    entries = message.get(key)
    if not isinstance(entries, list):
        raise InvalidArgument(
            f"{key}: required, but not there"
            if entries is None
            else f"{key} must be a list, got {_kind(entries)}"
        )
    bounds.check_count(entries, bounds.MOST_TENSORS, key)
    tensors, used = [], 0
    for index, entry in enumerate(entries):
        where = f"{key}[{index}]"
        entry, name = _named(entry, where)  # noqa: PLW2901
        shape = shape_of(entry.get("shape"), name)
        parameters = _parameters(entry, f"tensor '{name}': parameters")
        size = elements.integer(parameters.get("binary_data_size"))
        datatype = entry.get("datatype")
        if size is None:
            if "data" not in entry:
                raise InvalidArgument(
                    f"tensor '{name}': data: required, but not there (nor binary_data_size)"
                )
            # Some servers answer null for NaN; nobody may ask so.
            nulls = key == "outputs"
            data = elements.to_array(entry["data"], datatype, shape, name, nulls=nulls)
        else:
            if "data" in entry:
                raise InvalidArgument(f"tensor '{name}': has both data and binary_data_size")
            if type(size) is not int or not 0 <= size <= len(binary) - used:
                raise InvalidArgument(
                    f"tensor '{name}': binary_data_size must be 0 to {len(binary) - used}, "
                    f"the bytes left in the body, got {shown(size)}"
                )
            data = raw.decode(binary[used : used + size], datatype, shape, name)
            used += size
        tensors.append(Tensor(name, str(datatype), data, parameters))
    return tensors, used


def _outputs(message: dict[str, Any], default: bool) -> list[RequestedOutput] | None:
    entries = message.get("outputs")
    if entries is None:
        return None
    if not isinstance(entries, list):
        raise InvalidArgument(f"outputs must be a list, got {_kind(entries)}")
    bounds.check_count(entries, bounds.MOST_TENSORS, "outputs")
    outputs = []
    for index, entry in enumerate(entries):
        entry, name = _named(entry, f"outputs[{index}]")  # noqa: PLW2901
        parameters = _parameters(entry, f"output '{name}': parameters")
        binary = default
        if "binary_data" in parameters:
            binary = _flag(parameters, "binary_data", f"output '{name}': binary_data")
        asked = parameters.get(classification.KEY)
        many = 0 if asked is None else classification.count(asked, name, 0)
        outputs.append(RequestedOutput(name, binary, many))
    return outputs or None


def _named(entry: object, where: str) -> tuple[dict[str, Any], str]:
    if not isinstance(entry, dict):
        raise InvalidArgument(f"{where} must be an object, got {_kind(entry)}")
    entry = elements.given(entry)
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidArgument(f"{where}.name must be a non-empty string, got {shown(name)}")
    bounds.check_name(name, f"{where}.name")
    return entry, name


def shape_of(shape: object, tensor: str) -> tuple[int, ...]:
    """A request's shape, checked: integers of at least 0 whose product a machine can count."""
    if not isinstance(shape, list):
        raise InvalidArgument(f"tensor '{tensor}': shape must be a list, got {_kind(shape)}")
    if len(shape) > bounds.MOST_DIMENSIONS:
        raise InvalidArgument(
            f"tensor '{tensor}': shape must have at most {bounds.MOST_DIMENSIONS} dimensions, "
            f"got {len(shape)}"
        )
    if float in map(type, shape):
        shape = [elements.integer(dimension) for dimension in shape]
    if any(type(dimension) is not int or dimension < 0 for dimension in shape):
        raise InvalidArgument(
            f"tensor '{tensor}': shape must hold integers of at least 0, got {shown(shape)}"
        )
    # numpy counts bytes in 63 bits (8 per element), and passes over zeros while it does.
    if math.prod(d for d in shape if d) >= 2**60:
        raise InvalidArgument(f"tensor '{tensor}': shape {shown(shape)} is too large")
    return tuple(shape)


def _parameters(holder: dict[str, Any], where: str) -> Parameters:
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidArgument(f"{where} must be an object, got {_kind(parameters)}")
    bounds.check_count(parameters, bounds.MOST_PARAMETERS, where)
    parameters = elements.given(parameters)
    for key, value in parameters.items():
        if len(key) > bounds.MOST_IN_NAME:
            bounds.check_name(key, f"{where}: a name")
        if is_reserved(key):
            continue  # `headers` may be anything, and who reads one looks at it
        if not isinstance(value, str | int | float | bool):
            raise InvalidArgument(
                f"{where}.{key} must be a string, number or boolean, got {_kind(value)}"
            )
        if key in _UNSUPPORTED:
            raise InvalidArgument(f"{where}.{key} is not supported by this server")
    return parameters


def _flag(parameters: Parameters, key: str, where: str) -> bool:
    value = parameters.pop(key, False)
    if not isinstance(value, bool):
        raise InvalidArgument(f"{where} must be true or false, got {shown(value)}")
    return value


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def encode_response(response: InferResponse, request: InferRequest) -> tuple[list[Buffer], int | None]:
    """The body in parts, and the length of its JSON part when binary tensors follow it."""
    binary = {output.name: output.binary for output in request.outputs or ()}
    head = {"model_name": response.model, "model_version": response.version, "id": response.id}
    parts: list[bytes] = [orjson.dumps(head)[:-1], b',"outputs":[']
    buffers: list[Buffer] = []
    for index, tensor in enumerate(response.outputs):
        entry = orjson.dumps(
            {"name": tensor.name, "shape": tensor.data.shape, "datatype": tensor.datatype}
        )
        parts.append((b"," if index else b"") + entry[:-1])
        if binary.get(tensor.name, request.binary_output):
            buffer = raw.encode(tensor.data)
            buffers.append(buffer)
            parts.append(b',"parameters":{"binary_data_size":%d}}' % len(buffer))
        else:
            parts += (b',"data":', elements.to_json(tensor.data, tensor.name), b"}")
    parts.append(b"]}")
    text = b"".join(parts)
    return ([text, *buffers], len(text)) if buffers else ([text], None)


def tensors_from(outputs: dict[str, np.ndarray], names: Iterable[str]) -> list[Tensor]:
    """Named arrays as tensors, in the order of `names`."""
    return [Tensor(name, v2_datatype(outputs[name]) or "", outputs[name]) for name in names]
