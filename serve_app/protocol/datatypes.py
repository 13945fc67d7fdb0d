"""V2 datatypes and the numpy types that carry them.

BYTES is an object array of `bytes`; BF16 is `ml_dtypes.bfloat16`; the rest are numpy's own,
little-endian as on the wire.
"""

import ml_dtypes
import numpy as np

from serve_app.errors import InvalidArgument
from serve_app.protocol.bounds import shown

BYTES = np.dtype(object)
BF16 = np.dtype(ml_dtypes.bfloat16)

TO_NUMPY: dict[str, np.dtype] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "BF16": BF16,
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": BYTES,
}
_TO_V2 = {dtype: name for name, dtype in TO_NUMPY.items()}


def numpy_dtype(datatype: object, tensor: str) -> np.dtype:
    """The numpy type of a V2 datatype; InvalidArgument names the tensor when there is none."""
    dtype = TO_NUMPY.get(datatype) if isinstance(datatype, str) else None
    if dtype is None:
        raise InvalidArgument(
            f"tensor '{tensor}': datatype must be one of {', '.join(TO_NUMPY)}, got {shown(datatype)}"
        )
    return dtype


def v2_datatype(array: np.ndarray) -> str | None:
    """The V2 datatype of an array, None when V2 has none (complex, dates)."""
    name = _TO_V2.get(array.dtype)
    if name is None and array.dtype.kind in "SU":
        return "BYTES"
    return name


def as_v2_array(array: np.ndarray) -> np.ndarray:
    """The array in a form the codecs know: native byte order, text as object arrays of bytes."""
    if array.dtype.kind == "U":
        return np.char.encode(array, "utf-8").astype(object)
    if array.dtype.kind == "S":
        return array.astype(object)
    if array.dtype == BYTES:
        return encode_text(array)
    if not array.dtype.isnative:
        return array.astype(array.dtype.newbyteorder("="))
    return array


def encode_text(array: np.ndarray) -> np.ndarray:
    """An object array with every `str` element encoded as UTF-8; the same array if there is none."""
    flat = array.ravel()
    if not any(isinstance(item, str) for item in flat):
        return array
    out = np.empty(flat.shape, dtype=object)
    out[:] = [item.encode() if isinstance(item, str) else item for item in flat]
    return out.reshape(array.shape)


def holds_bytes(array: np.ndarray) -> bool:
    """Whether every element of an object array is `bytes`."""
    return all(type(item) is bytes for item in array.ravel())
