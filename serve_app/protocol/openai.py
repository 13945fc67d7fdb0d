"""What OpenAI's bodies hold, whichever of its routes they belong to."""

from collections.abc import Iterator
from typing import Any

import orjson

from serve_app.errors import (
    InvalidArgument,
    ModelFailed,
    Overloaded,
    TandemError,
    Unavailable,
    UnknownModel,
    shown,
)

_TYPES: dict[str, tuple[type, str]] = {
    "messages": (list, "a list"),
    "structured_outputs": (dict, "an object"),
}


def check_types(asked: dict[str, Any]) -> None:
    """InvalidArgument for a field with which vLLM would fail before it looks what it is."""
    for name, (kind, word) in _TYPES.items():
        if not isinstance(value := asked.get(name), kind | None):
            raise InvalidArgument(f"{name} must be {word}, got {shown(value)}")
    for name, value in asked.items():
        if isinstance(value, int | float) and abs(value) >= 2**63:
            raise InvalidArgument(f"{name} must be a number that 64 bits hold, got {shown(value)}")


def prompt_of(asked: dict[str, Any]) -> str:
    """The text that a request in OpenAI's form begins with, whatever it is; '' when there is none."""
    messages = asked.get("messages")
    if isinstance(messages, list):
        contents = (message.get("content") for message in messages if isinstance(message, dict))
        return "\n".join(map(_plain, contents))
    return _plain(asked.get("prompt", asked.get("input")))


def _plain(value: Any) -> str:
    if isinstance(value, list):  # of texts, tokens, or a message's parts
        return " ".join(map(_plain, value))
    if isinstance(value, dict):
        value = value.get("text")
    return "" if value is None else str(value)


def failure(status: int, body: bytes) -> TandemError:
    """An engine's error answer, in our terms."""
    try:
        message = str(orjson.loads(body)["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = body[:500].decode("utf-8", "replace")
    if status == 404:
        return UnknownModel(message)
    if status == 429:
        return Overloaded(message)
    if status == 503:
        return Unavailable(message)
    return InvalidArgument(message) if 400 <= status < 500 else ModelFailed(message)


class Events:
    """Server-sent events out of pieces that are cut anywhere; None stands for [DONE]."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of an event that hasn't ended
        self._tail = b""

    def feed(self, piece: bytes) -> Iterator[dict[str, Any] | None]:
        """The events that end in `piece`."""
        self._parts.append(piece)
        tail, self._tail = self._tail + piece, (self._tail + piece)[-3:]
        if b"\n\n" not in tail and b"\r\n\r\n" not in tail:
            return  # a large event comes in many pieces, and isn't searched from its start with each
        *events, rest = b"".join(self._parts).replace(b"\r\n", b"\n").split(b"\n\n")
        self._parts = [rest]
        for event in events:
            for line in event.split(b"\n"):
                if line.startswith(b"data:"):
                    data = line[5:].strip()
                    yield None if data == b"[DONE]" else orjson.loads(data)
