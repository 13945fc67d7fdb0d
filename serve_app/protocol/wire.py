"""Large bytes fields of protobuf messages without the copies that protobuf makes of them.

A message is its fields one after the other, in any order. So a large bytes field can be cut out
before the rest is parsed, and put behind the rest after that was serialized.
"""

from collections.abc import Iterable

from serve_app.errors import InvalidArgument
from serve_app.protocol.bounds import MOST_FIELDS, MOST_IN_NAME

Buffer = bytes | memoryview

LARGE = 2**16  # bytes from which on that pays

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def beginning(data: Buffer, fields: int) -> dict[int, bytes]:
    """The values of the bytes fields that stand before all others, of numbers up to `fields`."""
    view, at = memoryview(data), 0
    found: dict[int, bytes] = {}
    try:
        for _ in range(fields):  # a message may repeat them by the million
            tag, at = _varint(view, at)
            if tag & 7 != _BYTES or tag >> 3 > fields:
                break
            size, at = _varint(view, at)
            found[tag >> 3] = bytes(view[at : at + min(size, MOST_IN_NAME)])
            at += size
    except (ValueError, IndexError):
        pass  # whoever reads all of it says so
    return found


def split(data: Buffer, field: int) -> tuple[bytes, list[memoryview]]:
    """The message without the bytes field `field`, and the values of that field, in order.

    What isn't a valid message comes back whole, for protobuf to refuse. InvalidArgument for more fields
    than any request has: they may be two bytes each, and protobuf makes an object of every one.
    """
    view, at = memoryview(data), 0
    found: list[memoryview] = []
    rest: list[memoryview] = []
    try:
        for _ in range(MOST_FIELDS + 1):
            if at >= len(view):
                return b"".join(rest), found
            start = at
            tag, at = _varint(view, at)
            kind = tag & 7
            if kind == _BYTES:
                size, at = _varint(view, at)
                if at + size > len(view):
                    raise ValueError
                if tag >> 3 == field:
                    found.append(view[at : at + size])
                    at += size
                    continue
                at += size
            elif kind == _VARINT:
                _, at = _varint(view, at)
            elif kind in (_FIXED64, _FIXED32):
                at += 8 if kind == _FIXED64 else 4
            else:
                raise ValueError
            rest.append(view[start:at])
    except (IndexError, ValueError):
        return bytes(data), []
    raise InvalidArgument(f"the message has more than {MOST_FIELDS} fields")


def joined(message: bytes, field: int, values: Iterable[Buffer]) -> list[Buffer]:
    """A serialized message with `values` for its bytes field `field`, in parts to be sent in turn."""
    parts: list[Buffer] = [message]
    for value in values:
        parts += (_encoded(field << 3 | _BYTES) + _encoded(len(value)), value)
    return parts


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
