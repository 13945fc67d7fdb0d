"""Records as CloudEvents, with the attributes of KServe's logger (pkg/logger/worker.go)."""

import base64
import contextlib
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson

from serve_app.config.payloads import PayloadLogger
from serve_app.errors import TooLarge
from serve_app.observability.payloads.record import Record
from serve_app.observability.payloads.redact import redacted

_TYPE = "org.kubeflow.serving.inference."
_PLAIN = re.compile(r"[ -~]*")
_SAFE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


@dataclass(slots=True)
class Event:
    """`data` None: it isn't logged, `attributes` say why."""

    attributes: dict[str, str]
    kind: str
    data: bytes | None

    def headers(self) -> dict[str, str]:
        """In binary mode over HTTP; `ce-` before each, as Kafka has `ce_`."""
        return {f"ce-{name}": _header(value) for name, value in self.attributes.items()}

    def structured(self) -> dict[str, Any]:
        """As one JSON object."""
        found: dict[str, Any] = {**self.attributes, "datacontenttype": self.kind}
        if self.data is None:
            return found
        if "json" in self.kind:
            # What is nested deeply can be read, and not written again: TypeError.
            with contextlib.suppress(orjson.JSONDecodeError, TypeError):
                return {**found, "data": orjson.Fragment(orjson.dumps(orjson.loads(self.data)))}
        try:
            return {**found, "data": self.data.decode()}
        except UnicodeDecodeError:
            return {**found, "data_base64": base64.b64encode(self.data).decode()}


def event_of(record: Record, logger: PayloadLogger) -> Event:
    """What a logger is told of a record. Takes time: not for an event loop."""
    attributes = {
        "specversion": "1.0",
        "id": record.id,
        "source": logger.source,
        "type": _TYPE + record.kind,
        "time": _time(record.time),
        "recordedtime": _time(time.time()),
        "inferenceservicename": logger.inference_service or record.model,
        "namespace": logger.namespace,
        "component": logger.component,
        "endpoint": "default",
        "model": record.model,
        "modelversion": record.version,
        **record.more,
    }
    data: bytes | None = None
    json_length = record.body.json_length
    if record.size > min(logger.max_body_bytes, record.held):
        attributes["omitted"] = f"{record.size} bytes, more than maxBodyBytes"
    else:
        try:
            data = record.body.whole(logger.max_body_bytes)
            if logger.redact:
                data, json_length = redacted(
                    data, record.body.kind, json_length, logger.redact, record.kind == "response"
                )
        except TooLarge:
            attributes["omitted"] = f"{record.size} bytes that unpack to more than maxBodyBytes"
        except Exception as error:  # whatever it is: what can't be read can't be redacted
            attributes["omitted"] = f"it can't be read: {type(error).__name__}"
            data = None
    if json_length is not None and data is not None:
        attributes["inferenceheadercontentlength"] = str(json_length)
    return Event(attributes, record.body.kind, data)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _header(value: str) -> str:
    """As Go's SDK has it where that is ASCII, else percent-encoded as CloudEvents say."""
    return value if _PLAIN.fullmatch(value) else quote(value, safe=_SAFE)
