"""Tensors as raw bytes: the binary tensor extension over HTTP and `raw_*_contents` over gRPC.

Row-major, little-endian. A BYTES element is a 4-byte little-endian length and its bytes.
"""

import math
import struct

import numpy as np

from serve_app.errors import InvalidArgument
from serve_app.protocol.datatypes import BYTES, numpy_dtype
from serve_app.protocol.wire import LARGE, Buffer

_LENGTH = struct.Struct("<I")


def decode(
    data: bytes | memoryview, datatype: object, shape: tuple[int, ...], tensor: str
) -> np.ndarray:
    """`data` as an array of `shape`: a read-only view, copied only for BYTES and odd BOOLs."""
    dtype = numpy_dtype(datatype, tensor)
    if dtype == BYTES:
        return _decode_bytes(memoryview(data), shape, tensor)
    expected = math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise InvalidArgument(
            f"tensor '{tensor}': {datatype} of shape {list(shape)} takes {expected} bytes, "
            f"got {len(data)}"
        )
    if datatype == "BOOL":
        flags: np.ndarray = np.frombuffer(data, dtype=np.uint8) != 0
        return flags.reshape(shape)
    array: np.ndarray = np.frombuffer(data, dtype=dtype)
    return array.reshape(shape)


def encode(array: np.ndarray) -> Buffer:
    """The raw form of an array: of a large one that nobody may change, its own memory."""
    if array.dtype == BYTES:
        parts = []
        for item in array.ravel():
            parts.append(_LENGTH.pack(len(item)))
            parts.append(item)
        return b"".join(parts)
    if array.nbytes < LARGE or array.flags.writeable:
        return array.tobytes()  # a copy, for what is sent may wait for its client longer than a model
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _decode_bytes(data: memoryview, shape: tuple[int, ...], tensor: str) -> np.ndarray:
    count = math.prod(shape)
    if count * 4 > len(data):  # before anything of that size is allocated
        raise InvalidArgument(
            f"tensor '{tensor}': BYTES of shape {list(shape)} takes at least {count * 4} bytes, "
            f"got {len(data)}"
        )
    out = np.empty(count, dtype=object)
    position = 0
    for index in range(count):
        start = position + 4
        if start > len(data):
            raise InvalidArgument(f"tensor '{tensor}': BYTES end inside the length of element {index}")
        position = start + int(_LENGTH.unpack_from(data, position)[0])
        if position > len(data):
            raise InvalidArgument(
                f"tensor '{tensor}': element {index} says {position - start} bytes, "
                f"but {len(data) - start} are left"
            )
        out[index] = bytes(data[start:position])
    if position != len(data):
        raise InvalidArgument(
            f"tensor '{tensor}': {len(data) - position} bytes left over after {count} elements"
        )
    return out.reshape(shape)
