"""A batch on its way between two of our own processes: a head in JSON, then the tensors' bytes.

Both are padded to eight bytes, so that the arrays cut out at the other end are aligned. Nothing in
it is code: whoever sends wrong bytes gets an error, and no object of theirs comes to life.
"""

import json
import struct
from typing import Any

from serve_app.errors import KINDS, InvalidArgument, ModelFailed, TandemError, kind_of
from serve_app.protocol import raw
from serve_app.protocol.datatypes import v2_datatype
from serve_app.protocol.tensors import Arrays
from serve_app.protocol.wire import Buffer

_SIZE = struct.Struct("<Q")
_PADDING = bytes(8)


def pack(about: dict[str, Any], arrays: Arrays) -> list[Buffer]:
    """`about` and V2 arrays, in parts to be sent in turn; arrays that can't change aren't copied."""
    parts: list[Buffer] = [b""]
    tensors = []
    for name, array in arrays.items():
        data = raw.encode(array)
        size = len(data)
        tensors.append((name, v2_datatype(array), array.shape, size))
        parts.append(data)
        if size % 8:
            parts.append(_PADDING[size % 8 :])
    # Not orjson, which turns NaN into null and refuses large integers: parameters may be either.
    head = json.dumps((about, tensors), separators=(",", ":")).encode()
    parts[0] = _SIZE.pack(len(head)) + head + b" " * (-len(head) % 8)
    return parts


def unpack(data: bytes) -> tuple[dict[str, Any], Arrays]:
    """What `pack` was given, the arrays as read-only views; InvalidArgument for anything else."""
    try:
        (size,) = _SIZE.unpack_from(data)
        about, tensors = json.loads(data[8 : 8 + size])
        at, arrays, view = 8 + size + -size % 8, {}, memoryview(data)
        for name, datatype, shape, size in tensors:
            arrays[name] = raw.decode(view[at : at + size], datatype, tuple(shape), name)
            at += size + -size % 8
    except (struct.error, ValueError, TypeError, OverflowError) as error:
        raise InvalidArgument(f"not a batch: {error}") from None
    if at != len(data) or not isinstance(about, dict):
        raise InvalidArgument(f"not a batch: {at} bytes announced, {len(data)} came")
    return about, arrays


def pack_error(error: TandemError) -> list[Buffer]:
    """An error, in the place of outputs."""
    about = {"kind": kind_of(error).__name__, "message": str(error), "said": getattr(error, "said", "")}
    return pack(about, {})


def unpack_error(data: bytes) -> TandemError:
    """What `pack_error` was given."""
    about, _ = unpack(data)
    error = KINDS.get(about["kind"], ModelFailed)(about["message"])
    if isinstance(error, ModelFailed):
        error.said = about.get("said", "")
    return error
