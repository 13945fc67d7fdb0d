"""A batch on its way between two of our own processes: a head in JSON, then the tensors' bytes.

Both are padded to eight bytes, so that the arrays cut out at the other end are aligned. Nothing in
it is code: whoever sends wrong bytes gets an error, and no object of theirs comes to life.
"""

import json
import struct
from typing import Any

import orjson

from serve_app.errors import KINDS, InvalidArgument, ModelFailed, TandemError, kind_of
from serve_app.protocol import raw
from serve_app.protocol.datatypes import v2_datatype
from serve_app.protocol.tensors import Arrays
from serve_app.protocol.wire import Buffer

_SIZE = struct.Struct("<Q")
MOST_BYTES = 2**31 - 1  # as of Serve's gRPC messages (RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH)
_PADDING = bytes(8)
_SPACE = ord(" ")


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
    head = _head(about, tensors)
    parts[0] = _SIZE.pack(len(head)) + head + b" " * (-len(head) % 8)
    return parts


def _head(about: dict[str, Any], tensors: list[tuple[Any, ...]]) -> bytes:
    """In JSON, by orjson, which is ten times as fast; behind a space by Python's own.

    That is for parameters, of which orjson would turn NaN into null and not take large integers, and
    for ids that aren't Unicode.
    """
    if not about.get("parameters"):
        try:
            return orjson.dumps((about, tensors))
        except TypeError:
            pass
    return b" " + json.dumps((about, tensors), separators=(",", ":")).encode()


def unpack(data: Buffer) -> tuple[dict[str, Any], Arrays]:
    """What `pack` was given, the arrays as read-only views; InvalidArgument for anything else."""
    try:
        (size,) = _SIZE.unpack_from(data)
        view = memoryview(data)
        head = view[8 : 8 + size]
        about, tensors = json.loads(bytes(head)) if view[8] == _SPACE else orjson.loads(head)
        at, arrays = 8 + size + -size % 8, {}
        for name, datatype, shape, size in tensors:
            arrays[name] = raw.decode(view[at : at + size], datatype, tuple(shape), name)
            at += size + -size % 8
    except (struct.error, IndexError, ValueError, TypeError, OverflowError) as error:
        raise InvalidArgument(f"not a batch: {error}") from None
    if at != len(data) or not isinstance(about, dict):
        raise InvalidArgument(f"not a batch: {at} bytes announced, {len(data)} came")
    return about, arrays


def pack_error(error: TandemError) -> list[Buffer]:
    """An error, in the place of outputs."""
    about = {"kind": kind_of(error).__name__, "message": str(error), "said": getattr(error, "said", "")}
    return pack(about, {})


def unpack_error(data: Buffer) -> TandemError:
    """What `pack_error` was given."""
    about, _ = unpack(data)
    error = KINDS.get(about["kind"], ModelFailed)(about["message"])
    if isinstance(error, ModelFailed):
        error.said = about.get("said", "")
    return error
