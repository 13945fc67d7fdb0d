"""CloudEvents around requests and answers of V1, as KServe's server takes and gives them.

A binary event has its attributes in headers and the request for a body, a structured one is a JSON
object that holds both. Each is answered in its own form.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson

from serve_app.errors import InvalidArgument
from serve_app.protocol import elements
from serve_app.protocol.bounds import shown

STRUCTURED = b"application/cloudevents+json"
_REQUIRED = ("id", "source", "type", "specversion")
_VERSIONS = ("0.3", "1.0")
_TYPE = "io.kserve.inference.response"
_SOURCE = "io.kserve.inference."  # and the model
Pairs = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Form:
    """How a request came, and its answer goes."""

    structured: bool

    def answer(self, body: bytes, model: str) -> tuple[bytes, Pairs]:
        """A JSON answer as an event: its body, and its headers with the content type."""
        about = {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": _SOURCE + model,
            "type": _TYPE,
            "time": datetime.now(UTC).isoformat(),
        }
        if self.structured:
            event = orjson.dumps(about)[:-1] + b',"data":' + body + b"}"
            return event, [(b"content-type", STRUCTURED)]
        headers = [(f"ce-{name}".encode(), value.encode()) for name, value in about.items()]
        return body, [(b"content-type", b"application/json"), *headers]


def received(headers: Mapping[bytes, bytes], message: Any) -> tuple[Form | None, Any]:
    """The form in which a request came, None for no event, and the request in it."""
    if all(f"ce-{name}".encode() in headers for name in _REQUIRED):
        _check_version(headers[b"ce-specversion"].decode("latin-1"))
        return Form(structured=False), message
    if headers.get(b"content-type", b"").lower().startswith(STRUCTURED):
        return Form(structured=True), _data(message)
    if isinstance(message, dict) and {*_REQUIRED, "data"} <= set(message):
        return None, _data(message)  # under the name of plain JSON, and so it is answered
    return None, message


def _data(event: Any) -> Any:
    if not isinstance(event, dict):
        raise InvalidArgument("a structured CloudEvent is a JSON object")
    event = elements.given(event)
    for name in _REQUIRED:
        if not isinstance(value := event.get(name), str) or not value:
            raise InvalidArgument(f"CloudEvent: {name} must be a non-empty string, got {shown(value)}")
    _check_version(event["specversion"])
    if "data_base64" in event:
        try:
            return elements.load_json(base64.b64decode(event["data_base64"], validate=True))
        except (binascii.Error, ValueError, TypeError):
            raise InvalidArgument("CloudEvent: data_base64 is not valid base64") from None
    if "data" not in event:
        raise InvalidArgument("CloudEvent: data: required, but not there")
    return event["data"]


def _check_version(version: str) -> None:
    if version not in _VERSIONS:
        raise InvalidArgument(f"CloudEvent: specversion must be 1.0 or 0.3, got '{version[:40]}'")
