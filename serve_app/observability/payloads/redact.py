"""Fields taken out of bodies, by paths of names."""

import re
from typing import Any

import orjson

GONE = "[redacted]"
# A line between events, a comment, what is said of an event, and the mark of the end.
_NO_DATA = re.compile(rb"(?:(?::|event:|id:|retry:)[^\r\n]*|data: ?\[DONE\])?\r?")
_TENSORS = ("inputs", "outputs")


def redacted(
    body: bytes, kind: str, json_length: int | None, paths: list[str], answer: bool = False
) -> tuple[bytes, int | None]:
    """A body without these fields, and how long its JSON is where tensors follow it.

    ValueError for one that can't be read, which may have them anywhere. `answer`: `kind` is Tandem's
    word, and not a client's, whose request is JSON whatever its header says.
    """
    fields = [path.split(".") for path in paths]
    if answer and kind.startswith("text/event-stream"):
        return b"\n".join(_line(line, fields) for line in body.split(b"\n")), None
    if json_length is None:
        return orjson.dumps(_without(orjson.loads(body), fields)), None
    if not 0 < json_length <= len(body):
        raise ValueError("there is no JSON to find tensors by")
    message = orjson.loads(body[:json_length])
    named = {field[1] for field in fields if len(field) > 1 and field[0] in _TENSORS}
    rest = _binary(message, body[json_length:], named)
    head = orjson.dumps(_without(message, fields))
    return head + rest, len(head)


def _line(line: bytes, fields: list[list[str]]) -> bytes:
    """Of a stream of events: what may hold a field is JSON, or else ValueError."""
    if _NO_DATA.fullmatch(line):
        return line
    if not line.startswith(b"data:"):
        raise ValueError("a line of the stream that is no event's")
    return b"data: " + orjson.dumps(_without(orjson.loads(line[5:]), fields))


def _without(value: Any, fields: list[list[str]]) -> Any:
    for field in fields:
        value = _at(value, field, field[0] in _TENSORS)
    return value


def _at(value: Any, field: list[str], tensors: bool = False) -> Any:
    """`value` with what lies at `field` replaced. Lists stand for their elements."""
    if not field:
        return GONE
    if isinstance(value, list):
        return [_of_tensor(one, field, tensors) for one in value]
    if isinstance(value, dict):
        name, rest = field[0], field[1:]
        return {
            key: _at(one, rest, tensors and key in _TENSORS) if name in (key, "*") else one
            for key, one in value.items()
        }
    return value


def _of_tensor(one: Any, field: list[str], tensors: bool) -> Any:
    if tensors and isinstance(one, dict) and field[0] in (one.get("name"), "*") and "datatype" in one:
        return {**one, "data": GONE} if "data" in one else one
    return _at(one, field)


def _binary(message: Any, rest: bytes, names: set[str]) -> bytes:
    """What follows the JSON, without these tensors, of which the JSON then says that they are empty."""
    kept, at = [], 0
    for key in _TENSORS:
        for tensor in message.get(key) or () if isinstance(message, dict) else ():
            size = (tensor.get("parameters") or {}).get("binary_data_size")
            if not isinstance(size, int):
                continue
            if not 0 <= size <= len(rest) - at:
                raise ValueError("binary_data_size isn't that of a tensor")
            if tensor.get("name") in names or "*" in names:
                tensor["parameters"]["binary_data_size"] = 0
            else:
                kept.append(rest[at : at + size])
            at += size
    return b"".join(kept)
