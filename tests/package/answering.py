"""Small HTTP servers that answer as a test has them do, and jobs for the load generator."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from loadtests.client.job import Job
from loadtests.client.target import Target

Answering = Callable[[BaseHTTPRequestHandler, bytes], None]


def answer(handler: BaseHTTPRequestHandler, body: bytes = b"{}", status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def serving(answers: Answering, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A small HTTP server; yields host:port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            answers(self, b"")

        def do_POST(self) -> None:
            answers(self, self.rfile.read(int(self.headers["content-length"])))

        def log_message(self, *_: object) -> None:
            """Not to standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def jobs(folder: Path) -> Callable[..., Job]:
    """Makes jobs for targets; requests are small bodies unless told otherwise."""

    def make(target: Target, **options: object) -> Job:
        given = {"grpc": False, "connections": 2, "seconds": 0.5, "warm_up": 0.2, **options}
        if "requests" not in given:
            files = []
            for index in range(3):
                file = folder / str(index)
                file.write_bytes(b"request %d" % index)
                files.append(("/path", {"X-Turn": str(index)}, str(file)))
            given["requests"] = files
        return Job(target=target, **given)  # type: ignore[arg-type]

    return make
