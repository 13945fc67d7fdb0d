"""Triton's generate extension: plain JSON to tensors and parameters by a model's inputs, and back."""

import math
from typing import Any

import orjson

from serve_app.errors import InvalidArgument, shown
from serve_app.protocol import bounds, elements
from serve_app.protocol.datatypes import BYTES
from serve_app.protocol.tensors import InferRequest, InferResponse, Parameters, Tensor, TensorSpec


def decode_request(
    body: bytes, model: str, version: str, inputs: list[TensorSpec], objects: bool
) -> InferRequest:
    """What is called as an input is that tensor, the rest are parameters; so too inside `parameters`.

    null is nothing. `objects`: a parameter may be any JSON, as engines take them.
    """
    known = {spec.name: spec for spec in inputs}
    required = [spec.name for spec in inputs if not spec.optional]
    message = elements.load_json(body)
    if not isinstance(message, dict):
        raise InvalidArgument(f"the body must be a JSON object with {', '.join(required) or 'inputs'}")
    message = elements.given(message)
    inside = message.pop("parameters", {})
    if not isinstance(inside, dict):
        raise InvalidArgument(f"parameters must be an object, got {shown(inside)}")
    request_id = message.pop("id", "")
    if not isinstance(request_id, str):
        raise InvalidArgument(f"id must be a string, got {shown(request_id)}")
    tensors: dict[str, Tensor] = {}
    parameters: Parameters = {}
    for place, given in (("", message), ("parameters.", elements.given(inside))):
        bounds.check_count(given, bounds.MOST_PARAMETERS, f"the names in {place or 'the body'}")
        for name, value in given.items():
            bounds.check_name(name, f"{place}{name[:80]}")
            if name in tensors or name in parameters:
                raise InvalidArgument(f"{name}: given twice, at the top and in parameters")
            if name in known:
                tensors[name] = _tensor(known[name], value)
            elif objects or isinstance(value, str | int | float):
                parameters[name] = value
            else:
                raise InvalidArgument(
                    f"{place}{name} is no input of this model, and as a parameter it must be a string, "
                    f"number or boolean, got {shown(value)}"
                )
    if missing := [name for name in required if name not in tensors]:
        raise InvalidArgument(f"{missing[0]}: required, but not there")
    return InferRequest(model, version, request_id, list(tensors.values()), parameters=parameters)


def _tensor(spec: TensorSpec, value: Any) -> Tensor:
    """A value, or a list of values, in the shape that the input has."""
    values = value if isinstance(value, list) else [value]
    shape = _nesting(values) if values and isinstance(values[0], list) else _filled(spec, len(values))
    array = elements.to_array(values, spec.datatype, shape, spec.name)
    return Tensor(spec.name, spec.datatype, array)


def _nesting(values: list[Any]) -> tuple[int, ...]:
    """The sizes of lists in lists; what is ragged is refused by whoever reads them."""
    sizes: list[int] = []
    level: Any = values
    while isinstance(level, list) and len(sizes) < 32:
        sizes.append(len(level))
        level = level[0] if level else None
    return tuple(sizes)


def _filled(spec: TensorSpec, count: int) -> tuple[int, ...]:
    """Triton's rule: the innermost open dimension takes what the fixed ones leave, others are 1."""
    fixed = math.prod(size for size in spec.shape if size >= 0)
    rest, odd = divmod(count, fixed) if fixed else (1, count)
    shape = list(spec.shape)
    for at in reversed(range(len(shape))):
        if shape[at] < 0:
            shape[at], rest = rest, 1
    if odd or rest != 1:
        raise InvalidArgument(
            f"tensor '{spec.name}': expected shape {list(spec.shape)} (-1 is any), got {count} elements"
        )
    return tuple(shape)


def encode_response(response: InferResponse, given: bool) -> bytes:
    """Outputs by name beside the model's, one value without its list. `given`: the client said an id."""
    answer: dict[str, Any] = {"id": response.id} if given else {}
    answer |= {"model_name": response.model, "model_version": response.version}
    for tensor in response.outputs:
        answer[tensor.name] = orjson.Fragment(_json(tensor))
    return orjson.dumps(answer)


def _json(tensor: Tensor) -> bytes:
    if tensor.data.dtype == BYTES:
        flat = tensor.data.ravel()
        text = orjson.dumps([item.decode("utf-8", "replace") for item in flat])
    else:
        text = elements.to_json(tensor.data, tensor.name)
    return text[1:-1] if tensor.data.size == 1 else text
