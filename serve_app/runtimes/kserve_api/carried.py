"""Tensors of requests and answers in KServe's classes, the package's own or those that stand in."""

import json
from typing import Any

import numpy as np
import orjson

from serve_app.errors import InvalidArgument
from serve_app.protocol import rest_codec
from serve_app.protocol.datatypes import BYTES, as_v2_array
from serve_app.protocol.tensors import InferRequest, InferResponse, RequestedOutput, Tensor
from serve_app.runtimes.kserve_api import tensors as api


def output_asked(types: Any, name: str) -> Any:
    """An output that is asked for, in KServe's class where that is known."""
    return getattr(types, "RequestedOutput", api.RequestedOutput)(name)


def tensor_of(kind: Any, tensor: Tensor, as_text: bool) -> Any:
    """A tensor in KServe's class `kind`. `as_text`: elements of BYTES as JSON has them."""
    array = api.plain(tensor.data, as_text)
    if issubclass(kind, api.InferInput | api.InferOutput):
        return kind.of(tensor.name, tensor.datatype, array)
    return kind(tensor.name, list(array.shape), tensor.datatype, array.ravel().tolist())


def name_of(one: Any) -> str:
    """A tensor's."""
    if not isinstance(one.name, str):
        raise InvalidArgument(f"the name of one is a {type(one.name).__name__}")
    return one.name


def array_of(one: Any) -> np.ndarray:
    """A tensor's values as V2 carries them."""
    array = np.asarray(one.as_numpy())
    if array.dtype != BYTES:
        return as_v2_array(array)
    found = np.empty(array.shape, dtype=object)
    found.ravel()[:] = [item if isinstance(item, bytes) else str(item).encode() for item in array.flat]
    return found


def body_of(message: dict[str, Any]) -> bytes:
    """A request of V2 that a class made as JSON has it; with NaN, which orjson calls null."""
    try:
        text = orjson.dumps(message, default=_listed, option=orjson.OPT_SERIALIZE_NUMPY)
        return json.dumps(message, default=_listed).encode() if b"null" in text else text
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"they are no JSON: {error}") from None


def _listed(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"Type is not JSON serializable: {type(value).__name__}")


def written(model: str, answer: Any) -> dict[str, Any]:
    """An answer in KServe's class as V2's JSON."""
    outputs = [
        {"name": name_of(one), "datatype": one.datatype, "shape": list(array.shape),
         "data": api.plain(array, True).ravel().tolist()}
        for one in answer.outputs
        for array in [array_of(one)]
    ]  # fmt: skip
    return {"model_name": model, "id": answer.id, "outputs": outputs}


def request_of(payload: Any) -> InferRequest:
    """A request in KServe's class or in JSON, to whichever model."""
    if isinstance(payload, bytes):
        return rest_codec.decode_request(payload, None, "", "")
    given = [Tensor(name_of(one), one.datatype, array_of(one)) for one in payload.inputs]
    asked = getattr(payload, "request_outputs", None)
    outputs = None if not asked else [RequestedOutput(one.name) for one in asked]
    return InferRequest("", "", "", given, outputs)


def response_of(types: Any, response: InferResponse) -> Any:
    """An answer in KServe's class."""
    found = [tensor_of(types.InferOutput, tensor, True) for tensor in response.outputs]
    return types.InferResponse(
        response_id=response.id, model_name=response.model, infer_outputs=found,
        model_version=response.version,
    )  # fmt: skip
