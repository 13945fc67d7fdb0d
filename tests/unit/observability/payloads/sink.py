"""An HTTP sink that keeps what it gets, and can be slow, broken or away."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class WebSink:
    """`statuses` are answered one after the other, then 200; each answer takes `seconds`. A body that is
    `cuts` gets none, and one of more than `most` bytes isn't even read: 413, `refused` counts them.
    """

    seconds: float = 0.0
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""
    cuts: bytes | None = None
    most: int = 2**40
    refused: int = 0


@contextmanager
def web_sink(port: int = 0) -> Iterator[WebSink]:
    """One on loopback, until the block ends."""
    sink = WebSink()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            if size > sink.most:
                sink.refused += 1
                self.send_error(413)
                self.close_connection = True
                return
            body = self.rfile.read(size)
            if body == sink.cuts:
                self.close_connection = True
                return
            time.sleep(sink.seconds)
            status = sink.statuses.pop(0) if sink.statuses else 200
            if status == 200:
                sink.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    sink.url = f"http://127.0.0.1:{server.server_address[1]}/events"
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def until(check: Callable[[], object], seconds: float = 20) -> None:
    """Wait for what threads do."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it didn't come to that"
        time.sleep(0.005)
