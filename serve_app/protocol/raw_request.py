"""A whole body as the one tensor of a model: Triton's raw binary request, without any JSON.

Datatype and name are the model's, the shape follows from the size.
"""

import math

import numpy as np

from serve_app.errors import InvalidArgument
from serve_app.protocol import raw
from serve_app.protocol.datatypes import BYTES, numpy_dtype
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import InferRequest, Tensor, TensorSpec


def decode_request(
    body: bytes, model: str, version: str, signature: VersionDescription, *, rows: bool, binary: bool
) -> InferRequest:
    """`rows`: whether the first dimension is a batch's; `binary`: the form of all outputs."""
    required = [spec for spec in signature.inputs if not spec.optional]
    if len(required) != 1:
        declares = ", ".join(spec.name for spec in required) or "none"
        raise InvalidArgument(
            f"a raw binary request (Inference-Header-Content-Length: 0) is for models with one input; "
            f"'{model}' declares {declares}: put JSON before the tensors"
        )
    tensor = _tensor(body, required[0], rows)
    return InferRequest(model, version, "", [tensor], binary_output=binary)


def _tensor(body: bytes, spec: TensorSpec, rows: bool) -> Tensor:
    dtype = numpy_dtype(spec.datatype, spec.name)
    if dtype == BYTES:
        return Tensor(spec.name, spec.datatype, _element(body, spec))
    shape = _shape(len(body), dtype.itemsize, spec, rows)
    return Tensor(spec.name, spec.datatype, raw.decode(body, spec.datatype, shape, spec.name))


def _element(body: bytes, spec: TensorSpec) -> np.ndarray:
    """The body, without a length before it, as the only element."""
    shape = [abs(dimension) for dimension in spec.shape]  # a variable one is 1
    if math.prod(shape) != 1:
        raise InvalidArgument(
            f"tensor '{spec.name}': a raw binary request holds one element of BYTES, "
            f"shape {list(spec.shape)} takes {math.prod(shape)}"
        )
    array = np.empty(shape, dtype=object)
    array.reshape(-1)[0] = body
    return array


def _shape(size: int, itemsize: int, spec: TensorSpec, rows: bool) -> tuple[int, ...]:
    shape = list(spec.shape)
    if rows and shape.count(-1) > 1 and shape[0] == -1:
        shape[0] = 1  # the size can't tell both: one row, as in Triton
    if shape.count(-1) > 1:
        raise InvalidArgument(
            f"tensor '{spec.name}': the size of a raw binary request can't tell the shape, "
            f"{list(spec.shape)} has more than one variable dimension"
        )
    if -1 in shape:
        step = math.prod(dimension for dimension in shape if dimension >= 0) * itemsize
        if size % step if step else size:
            raise InvalidArgument(
                f"tensor '{spec.name}': {spec.datatype} of shape {list(spec.shape)} takes a multiple "
                f"of {step} bytes, got {size}"
            )
        shape[shape.index(-1)] = size // step if step else 0
    return tuple(shape)
