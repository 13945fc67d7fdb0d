"""Where events go. Sinks belong to one thread each, and may block it."""

from collections.abc import Callable
from typing import Protocol
from urllib.parse import unquote, urlsplit

from serve_app.config.payloads import STORES, PayloadLogger
from serve_app.observability.payloads.events import Event
from serve_app.observability.payloads.files import Files, place
from serve_app.observability.payloads.kafka import Kafka
from serve_app.observability.payloads.web import Web


class Sink(Protocol):
    """`most` events may be sent at a time; `faults` are the ways in which that fails."""

    most: int

    def send(self, events: list[Event]) -> None: ...

    def close(self) -> None: ...


def sink_for(logger: PayloadLogger, own: str) -> Callable[[], Sink]:
    """What makes a logger's sink; `own` names this process among those that write to the same store."""
    parts = urlsplit(logger.url)
    if parts.scheme in STORES:
        at = unquote(parts.path) if parts.scheme == "file" else logger.url
        return lambda: Files(place(at), logger.format, logger.batch.max_events, own)
    if parts.scheme == "kafka":
        return lambda: Kafka(parts.netloc, parts.path.strip("/"), logger.max_body_bytes)
    return lambda: Web(logger)
