"""JSON to arrays and back, strictly: nothing is rounded, wrapped or guessed."""

import json
import math
import struct
from itertools import chain
from typing import Any

import numpy as np
import orjson

from serve_app.errors import InvalidArgument, shown
from serve_app.protocol.bounds import MOST_DIMENSIONS
from serve_app.protocol.datatypes import BF16, BYTES, numpy_dtype

_FITS: dict[str, frozenset[type]] = {
    "b": frozenset([bool]),
    "i": frozenset([int]),
    "u": frozenset([int]),
    "f": frozenset([int, float]),
    "V": frozenset([int, float]),  # BF16
    "O": frozenset([str, bytes]),  # the latter from V1's {"b64": …}
}
_WORDS = {
    "b": "true or false",
    "i": "integers",
    "u": "integers",
    "f": "numbers",
    "V": "numbers",
    "O": "strings",
}
_IN_ONE_GO = 2**15  # elements: no other thread runs while they are written, a millisecond
_LEAST = -(2**63)  # as a float it may be a smaller integer, which orjson read as one and rounded
# numpy's letter for a type, and struct's where the two mean the same bytes.
_PACKED = {
    np.dtype(kind).char: letter
    for kind, letter in (("f4", "f"), ("f8", "d"), ("i4", "i"), ("i8", "q"), ("u1", "B"), ("i1", "b"))
}


def to_array(
    data: object, datatype: object, shape: tuple[int, ...], tensor: str, *, nulls: bool = False
) -> np.ndarray:
    """A flat or nested JSON list as an array of `shape`; with `nulls`, null is NaN among floats."""
    dtype = numpy_dtype(datatype, tensor)
    if not isinstance(data, list):
        raise InvalidArgument(f"tensor '{tensor}': data must be a list, got {type(data).__name__}")
    flat, nesting = _flattened(data, tensor)
    # Before numpy sees them: it reads true as 1, and pads every string to the longest one.
    fits = _FITS[dtype.kind] | {type(None)} if nulls and dtype.kind in "fV" else _FITS[dtype.kind]
    kinds = set(map(type, flat))
    if float in kinds and dtype.kind in "iu" and kinds <= {int, float}:
        flat = _integers(flat, dtype, tensor)
    elif not kinds <= fits:
        raise InvalidArgument(
            f"tensor '{tensor}': data must hold {_WORDS[dtype.kind]}, got {_offender(flat, dtype)}"
        )
    if len(flat) != math.prod(shape) or (len(nesting) > 1 and nesting != shape[: len(nesting)]):
        got = f"shape {list(nesting)}" if len(nesting) > 1 else f"{len(flat)}"
        raise InvalidArgument(
            f"tensor '{tensor}': shape {list(shape)} takes {math.prod(shape)} elements, got {got}"
        )
    array = _encoded(flat, tensor) if dtype == BYTES else _numbers(flat, dtype, tensor)
    return array.reshape(shape)


def _flattened(data: list[Any], tensor: str) -> tuple[list[Any], tuple[int, ...]]:
    """The elements in order, and the sizes of the lists around them down to the first empty one."""
    shape = [len(data)]
    while data and type(data[0]) is list:
        width = len(data[0])
        if len(shape) == MOST_DIMENSIONS or any(
            type(row) is not list or len(row) != width for row in data
        ):
            raise InvalidArgument(f"tensor '{tensor}': data is ragged or nested too deeply")
        data = list(chain.from_iterable(data))
        shape.append(width)
    return data, tuple(shape)


def _integers(flat: list[Any], dtype: np.dtype, tensor: str) -> list[int]:
    """1.0 is 1: some clients know one kind of number alone, and write it so. 1.5 is refused."""
    try:
        integers = list(map(int, flat))
        whole = integers == flat
    except (ValueError, OverflowError):  # NaN, Infinity
        whole = False
    if not whole:
        odd = next(item for item in flat if type(item) is float and not item.is_integer())
        raise InvalidArgument(f"tensor '{tensor}': data must hold integers, got {shown(odd)}")
    if _LEAST in integers and type(flat[integers.index(_LEAST)]) is float:
        raise _out_of_range(dtype, tensor)
    return integers


def _out_of_range(dtype: np.dtype, tensor: str) -> InvalidArgument:
    return InvalidArgument(f"tensor '{tensor}': a value is out of range for {dtype.name}")


def _numbers(flat: list[Any], dtype: np.dtype, tensor: str) -> np.ndarray:
    if dtype.char in _PACKED:
        try:  # in one step, and half the time numpy takes; it refuses what doesn't fit
            packed = np.empty(len(flat), dtype)
            struct.pack_into(f"={len(flat)}{_PACKED[dtype.char]}", packed.data, 0, *flat)
            return packed
        except (struct.error, OverflowError):
            pass  # below it is found out which one
    try:
        # Integers are checked one by one by numpy; floats get their precision in a second step.
        array = np.array(flat, dtype=dtype if dtype.kind in "iub" else np.float64)
    except OverflowError:
        raise _out_of_range(dtype, tensor) from None
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(dtype)
    lost = np.isinf(cast) & ~np.isinf(array)
    if lost.any():
        raise InvalidArgument(
            f"tensor '{tensor}': {array[lost].flat[0]} is out of range for {dtype.name}"
        )
    return cast


def _encoded(flat: list[str | bytes], tensor: str) -> np.ndarray:
    out = np.empty(len(flat), dtype=object)
    try:
        out[:] = [item.encode() if isinstance(item, str) else item for item in flat]
    except UnicodeEncodeError as error:
        index = next(index for index, item in enumerate(flat) if item is error.object)
        raise InvalidArgument(f"tensor '{tensor}': element {index} is not valid Unicode") from None
    return out


def _offender(flat: list[Any], dtype: np.dtype) -> str:
    """The first element that doesn't fit, shortened for a message."""
    text = shown(next(item for item in flat if type(item) not in _FITS[dtype.kind]))
    return text if len(text) <= 40 else text[:37] + "..."


def to_json(array: np.ndarray, tensor: str) -> bytes:
    """The flat JSON list of an array; NaN and Infinity as Python and Triton write them."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.size > _IN_ONE_GO:
        pieces = (flat[at : at + _IN_ONE_GO] for at in range(0, flat.size, _IN_ONE_GO))
        return b"[" + b",".join(to_json(piece, tensor)[1:-1] for piece in pieces) + b"]"
    if flat.dtype == BYTES:
        try:
            return orjson.dumps([item.decode() for item in flat])
        except UnicodeDecodeError:
            raise InvalidArgument(
                f"output '{tensor}' holds bytes that are not UTF-8: ask for it with binary_data true"
            ) from None
    if flat.dtype == BF16:
        flat = flat.astype(np.float32)
    text = orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY)
    if flat.dtype.kind == "f" and b"null" in text:  # so orjson writes NaN and Infinity
        with np.errstate(invalid="ignore"):  # numpy warns of NaNs that signal
            return json.dumps(flat.astype(np.float64).tolist()).encode()
    return text


def given(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that are there. In every decoder null is absent, wherever a field is optional."""
    if None not in fields.values():
        return fields
    return {name: value for name, value in fields.items() if value is not None}


def integer(value: Any) -> Any:
    """An integer that was written as a float (2.0) as one, all else as it is."""
    return int(value) if type(value) is float and value.is_integer() else value


def load_json(body: bytes | memoryview) -> Any:
    """Parse JSON, NaN and Infinity included; InvalidArgument says where it breaks."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raw = bytes(body)
        if b"NaN" in raw or b"Infinity" in raw:
            try:
                return _with_nan(raw)
            except (ValueError, TypeError, RecursionError):
                pass
        raise InvalidArgument(f"the body is not valid JSON: {error}") from None


def _with_nan(raw: bytes) -> Any:
    """Python's parser knows NaN and Infinity; all else it must read as orjson does."""
    value = json.loads(raw.decode(), parse_int=orjson.loads, parse_float=orjson.loads)
    if b"\\ud" in raw.lower():
        orjson.dumps(value)  # refuses half of a surrogate pair, which no answer could carry
    return value
