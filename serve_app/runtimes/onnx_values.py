"""What ONNX graphs take and give, and how it crosses to V2's tensors and back."""

import ctypes
import math
import re
from typing import Any

import ml_dtypes
import numpy as np

from serve_app.errors import InvalidArgument
from serve_app.protocol.tensors import TensorSpec

BF16 = "BF16"
_DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(bfloat16)": BF16,
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
_OPTIONAL = re.compile(r"optional\((.+)\)")
# scikit-learn's probabilities: for each row, a number by its class.
_BY_CLASS = re.compile(r"seq\(map\((?:int64|string),tensor\(float\)\)\)")
_ONNX_BF16 = 16  # TensorProto.BFLOAT16


def input_spec(node: Any) -> TensorSpec | None:
    """What the graph says of an input; None for what V2 can't carry."""
    if match := _OPTIONAL.fullmatch(node.type):
        return _spec(node.name, match[1], node.shape, True)
    return _spec(node.name, node.type, node.shape, False)


def weight_spec(node: Any) -> TensorSpec | None:
    """The same of an initializer that callers may replace."""
    return _spec(node.name, node.type, node.shape, True)


def output_spec(node: Any) -> TensorSpec | None:
    """The same of an output; ZipMap's, scikit-learn's usual last node, is a row for each map."""
    if _BY_CLASS.fullmatch(node.type):
        return TensorSpec(node.name, "FP32", (-1, -1))
    return _spec(node.name, node.type, node.shape, False)


def _spec(name: str, kind: str, sizes: list[Any], optional: bool) -> TensorSpec | None:
    datatype = _DATATYPES.get(kind)
    if datatype is None:
        return None
    text = datatype == "BYTES"  # onnxruntime's strings are
    if not sizes:  # a scalar, or a graph that doesn't say: onnxruntime makes no difference
        return TensorSpec(name, datatype, (-1,), optional, any_rank=True, text=text)
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in sizes)
    return TensorSpec(name, datatype, shape, optional, text=text)


def as_text(array: np.ndarray, tensor: str) -> np.ndarray:
    """Bytes as `str`, onnxruntime's form; InvalidArgument where they aren't UTF-8."""
    text = np.empty(array.shape, dtype=object)
    try:
        text.reshape(-1)[:] = [item.decode() for item in array.flat]
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"tensor '{tensor}' is not valid UTF-8: {error}") from None
    return text


def from_run(value: Any) -> Any:
    """An array; of ZipMap's maps a column for each class, which onnxruntime keeps sorted."""
    if not isinstance(value, list):
        return value
    return np.array([list(row.values()) for row in value], np.float32).reshape(
        len(value), -1 if value else 0
    )


def to_value(kind: Any, array: np.ndarray) -> Any:
    """An OrtValue (`kind`) over the array's memory: numpy's own types stop before BF16."""
    if array.dtype == ml_dtypes.bfloat16:
        raw = np.ascontiguousarray(array).view(np.uint16).reshape(array.shape)
        return kind.ortvalue_from_numpy_with_onnx_type(raw, _ONNX_BF16)
    return kind.ortvalue_from_numpy(array)


def from_value(value: Any) -> np.ndarray:
    """The array of an OrtValue; a copy of its memory where it is BF16."""
    if value.element_type() != _ONNX_BF16:
        array: np.ndarray = value.numpy()
        return array
    shape = tuple(value.shape())
    size = math.prod(shape) * 2
    raw = ctypes.string_at(value.data_ptr(), size) if size else b""
    return np.frombuffer(raw, ml_dtypes.bfloat16).reshape(shape)
