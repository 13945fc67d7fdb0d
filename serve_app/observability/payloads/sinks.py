"""Where events go. Sinks belong to one thread each, and may block it."""

import contextlib
import http.client
import socket
import ssl
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from serve_app.config.payloads import STORES, PayloadLogger
from serve_app.observability.payloads import faults
from serve_app.observability.payloads.events import Event
from serve_app.observability.payloads.files import Files, place
from serve_app.observability.payloads.kafka import Kafka

TIMEOUT_S = 10.0
AWAY = (408, 425, 429, 502, 503, 504)  # statuses that say nothing of the event


class Sink(Protocol):
    """`most` events may be sent at a time; `faults` are the ways in which that fails."""

    most: int

    def send(self, events: list[Event]) -> None: ...

    def close(self) -> None: ...


class Web:
    """A CloudEvent for each request, as KServe's logger posts them: binary mode over HTTP/1.1."""

    most = 1

    def __init__(self, logger: PayloadLogger) -> None:
        parts = urlsplit(logger.url)
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "https":
            context = ssl.create_default_context()
            if logger.tls_skip_verify:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._to: Any = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
        else:
            self._to = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def send(self, events: list[Event]) -> None:
        """One. A connection that the sink closed meanwhile is opened again."""
        (event,) = events
        headers = event.headers() | {"Content-Type": event.kind}
        fresh = self._to.sock is None
        try:
            status = self._post(event, headers)
        except ConnectionError as error:
            if fresh or isinstance(error.__cause__, TimeoutError):
                raise
            status = self._post(event, headers)
        if status >= 500 or status in AWAY:
            tries = faults.TRIES_AWAY if status in AWAY else faults.TRIES
            raise faults.Later(f"the sink answers {status}", tries)
        if status >= 300:
            raise faults.Refused(f"the sink answers {status}")

    def _post(self, event: Event, headers: dict[str, str]) -> int:
        """The status. Cut where the sink is there, and closes the connection or doesn't answer."""
        try:
            if self._to.sock is None:
                self._to.connect()
            try:
                try:
                    self._to.request("POST", self._path, event.data or b"", headers)
                except ConnectionError:
                    # It may have said why before it closed, with the body half sent.
                    with contextlib.suppress(OSError, http.client.HTTPException):
                        status = self._answer()
                        self._to.close()  # whatever it says: half a body is on its way
                        return status
                    raise
                return self._answer()
            except (OSError, http.client.HTTPException) as error:
                text = f"{type(error).__name__} after it was connected: {error}"
                raise faults.Cut(text, faults.TRIES_AWAY) from error
        except Exception:
            self._to.close()
            raise

    def _answer(self) -> int:
        # Many a sink writes head and body apart, and its kernel keeps the second back until the first is
        # acknowledged: 40 ms for each event.
        if self._to.sock is not None and hasattr(socket, "TCP_QUICKACK"):
            self._to.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        answer = self._to.getresponse()
        answer.read()
        status: int = answer.status
        return status

    def close(self) -> None:
        self._to.close()


def sink_for(logger: PayloadLogger, own: str) -> Callable[[], Sink]:
    """What makes a logger's sink; `own` names this process among those that write to the same store."""
    parts = urlsplit(logger.url)
    if parts.scheme in STORES:
        at = unquote(parts.path) if parts.scheme == "file" else logger.url
        return lambda: Files(place(at), logger.format, logger.batch.max_events, own)
    if parts.scheme == "kafka":
        return lambda: Kafka(parts.netloc, parts.path.strip("/"), logger.max_body_bytes)
    return lambda: Web(logger)
