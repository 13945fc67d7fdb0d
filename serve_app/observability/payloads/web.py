"""Events over HTTP, to a sink that may be slow in each way in which one can be."""

import contextlib
import http.client
import io
import socket
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

from serve_app.config.payloads import PayloadLogger
from serve_app.observability.payloads import faults
from serve_app.observability.payloads.events import Event

TIMEOUT_S = 10.0  # for the answer to each event, to its end
MOST = 2**16  # bytes of an answer that are waited for
AWAY = (408, 425, 429, 502, 503, 504)  # statuses that say nothing of the event


class _Until(io.RawIOBase):
    """What comes from a socket until some moment; a time limit of the socket is for each piece."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock, self._until = sock, until
        self._raw: Any = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        try:
            self._sock.settimeout(max(self._until - time.monotonic(), 1e-6))
            count: int | None = self._raw.readinto(buffer)
        except TimeoutError:
            raise TimeoutError(f"no whole answer within {TIMEOUT_S:g} s") from None
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Bounded:
    """A socket, as http.client reads an answer from one."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Until(self._sock, time.monotonic() + TIMEOUT_S))


class _Answer(http.client.HTTPResponse):
    """One that is there within TIMEOUT_S, however slowly it comes."""

    def __init__(self, sock: Any, *args: Any, **more: Any) -> None:
        super().__init__(_Bounded(sock), *args, **more)  # type: ignore[arg-type]


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
        self._to.response_class = _Answer
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
                self._to.sock.settimeout(TIMEOUT_S)
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
        with contextlib.suppress(OSError, http.client.HTTPException):
            # The status is what counts, and it is there.
            if len(answer.read(MOST)) < MOST:
                return int(answer.status)
        self._to.close()
        return int(answer.status)

    def close(self) -> None:
        self._to.close()
