"""JSON lists to arrays and back, strictly: nothing is rounded, wrapped or guessed."""

import json
import math
from typing import Any

import numpy as np
import orjson

from serve_app.errors import InvalidArgument
from serve_app.protocol.datatypes import BF16, BYTES, numpy_dtype

_KINDS = {"b": "b", "i": "iu", "u": "iu", "f": "iuf", "V": "iuf"}  # V is BF16
_WORDS = {"b": "true or false", "i": "integers", "u": "integers", "f": "numbers", "V": "numbers"}


def to_array(data: object, datatype: object, shape: tuple[int, ...], tensor: str) -> np.ndarray:
    """A flat or nested JSON list as an array of `shape`."""
    dtype = numpy_dtype(datatype, tensor)
    if not isinstance(data, list):
        raise InvalidArgument(f"tensor '{tensor}': data must be a list, got {type(data).__name__}")
    array = _strings(data, tensor) if dtype == BYTES else _numbers(data, dtype, tensor)
    if array.size != math.prod(shape) or (array.ndim > 1 and array.shape != shape):
        got = f"shape {list(array.shape)}" if array.ndim > 1 else f"{array.size}"
        raise InvalidArgument(
            f"tensor '{tensor}': shape {list(shape)} takes {math.prod(shape)} elements, got {got}"
        )
    return array.reshape(shape)


def _numbers(data: list[Any], dtype: np.dtype, tensor: str) -> np.ndarray:
    try:
        array = np.array(data)
    except (ValueError, TypeError, RecursionError):
        raise InvalidArgument(f"tensor '{tensor}': data is ragged or nested too deeply") from None
    if array.size == 0 and array.dtype.kind == "f":
        return array.astype(dtype)
    if dtype.kind in "iu" and array.dtype.kind in "fO":
        array = _wide_integers(data, array)  # numpy makes floats of [2**63, 1]
    if array.dtype.kind not in _KINDS[dtype.kind]:
        raise InvalidArgument(
            f"tensor '{tensor}': data must hold {_WORDS[dtype.kind]}, got {_offender(data, dtype)}"
        )
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(dtype)
    if dtype.kind in "iu":
        lost = cast != array
    else:
        lost = np.isinf(cast) & ~np.isinf(array)
    if lost.any():
        raise InvalidArgument(
            f"tensor '{tensor}': {array[lost].flat[0]} is out of range for {dtype.name}"
        )
    return cast


def _wide_integers(data: list[Any], array: np.ndarray) -> np.ndarray:
    exact = np.array(data, dtype=object)
    if all(type(item) is int for item in exact.flat):
        if min(exact.flat) >= 0 and max(exact.flat) < 2**64:
            return exact.astype(np.uint64)
        return exact  # out of every range; kind O is refused with its first element
    return array


def _strings(data: list[Any], tensor: str) -> np.ndarray:
    flat: list[bytes] = []
    shape: tuple[int, ...] = (len(data),)
    if data and isinstance(data[0], list):
        try:
            nested = np.array(data, dtype=object)
        except (ValueError, RecursionError):
            raise InvalidArgument(f"tensor '{tensor}': data is ragged or nested too deeply") from None
        shape, data = nested.shape, list(nested.flat)
    for index, item in enumerate(data):
        if type(item) is not str:
            raise InvalidArgument(
                f"tensor '{tensor}': element {index} must be a string, got {type(item).__name__}"
            )
        try:
            flat.append(item.encode())
        except UnicodeEncodeError:
            raise InvalidArgument(f"tensor '{tensor}': element {index} is not valid Unicode") from None
    out = np.empty(len(flat), dtype=object)
    out[:] = flat
    return out.reshape(shape)


def _offender(data: object, dtype: np.dtype) -> str:
    """The first element that doesn't fit, shortened for a message."""
    stack = [data]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
            continue
        fits = {"b": bool, "i": int, "u": int}.get(dtype.kind, (int, float))
        if not isinstance(item, fits) or (isinstance(item, bool) and dtype.kind != "b"):
            text = repr(item)
            return text if len(text) <= 40 else text[:37] + "..."
    return "numbers out of every range"


def to_json(array: np.ndarray, tensor: str) -> bytes:
    """The flat JSON list of an array; NaN and Infinity as Python and Triton write them."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype == BYTES:
        try:
            return orjson.dumps([item.decode() for item in flat])
        except UnicodeDecodeError:
            raise InvalidArgument(
                f"output '{tensor}' holds bytes that are not UTF-8: ask for it with binary_data true"
            ) from None
    if flat.dtype == BF16:
        flat = flat.astype(np.float32)
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        return json.dumps(flat.astype(np.float64).tolist()).encode()
    return orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY)


def load_json(body: bytes | memoryview) -> Any:
    """Parse JSON, NaN and Infinity included; InvalidArgument says where it breaks."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raw = bytes(body)
        if b"NaN" in raw or b"Infinity" in raw:
            try:
                return json.loads(raw)
            except (ValueError, RecursionError):
                pass
        raise InvalidArgument(f"the body is not valid JSON: {error}") from None
