"""Tensors of requests and answers in KServe's classes, the package's own or those that stand in."""

from typing import Any

import numpy as np

from serve_app.protocol.datatypes import BYTES, as_v2_array
from serve_app.protocol.tensors import Tensor
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


def array_of(one: Any) -> np.ndarray:
    """A tensor's values as V2 carries them."""
    array = np.asarray(one.as_numpy())
    if array.dtype != BYTES:
        return as_v2_array(array)
    found = np.empty(array.shape, dtype=object)
    found.ravel()[:] = [item if isinstance(item, bytes) else str(item).encode() for item in array.flat]
    return found
