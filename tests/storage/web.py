"""An HTTP server for files, with ETags and ranges, and as bad as a test wants it."""

import base64
import contextlib
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextlib.contextmanager
def serving() -> Iterator["Files"]:
    """Files on a port of their own."""
    files = Files()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"files": files}))
    files.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield files
    files.go_on.set()
    server.shutdown()
    server.server_close()
    thread.join()


class Files:
    """`by_path`, and what the server does to its answers."""

    def __init__(self) -> None:
        self.url = ""
        self.by_path: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []  # path, range
        self.cuts = 0  # so many answers end after `cut_after` bytes
        self.cut_after = 1000
        self.ranges, self.etags, self.lengths, self.chunked = True, True, True, False
        self.md5 = ""
        self.user = ""
        self.moved: dict[str, str] = {}
        self.encoding = ""
        self.away = False  # every answer is 503
        self.go_on = threading.Event()  # the second half of an answer waits for it
        self.go_on.set()


class Handler(BaseHTTPRequestHandler):
    """Answers GET."""

    files: Files
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        files, path = self.files, self.path
        files.asked.append((path, self.headers.get("Range", "")))
        if files.away:
            return self._empty(503)
        if files.user:
            said = base64.b64encode(files.user.encode()).decode()
            if self.headers.get("Authorization") != f"Basic {said}":
                return self._empty(401)
        if where := files.moved.get(path):
            return self._empty(302, Location=where)
        data = files.by_path.get(path.partition("?")[0])
        if data is None:
            return self._empty(404)
        etag = f'"{hashlib.sha1(data).hexdigest()}"'
        start, status, more = 0, 200, {}
        asked = self.headers.get("Range", "")
        fresh = self.headers.get("If-Range") in (None, etag)
        if asked and files.ranges and fresh:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), int(last or len(data) - 1)
            if start >= len(data):
                return self._empty(416, **{"Content-Range": f"bytes */{len(data)}"})
            status, whole = 206, len(data)
            data = data[start : end + 1]
            more["Content-Range"] = f"bytes {start}-{start + len(data) - 1}/{whole}"
        if files.etags:
            more["ETag"] = etag
        if files.md5:
            more["Content-MD5"] = files.md5
        if files.encoding:
            more["Content-Encoding"] = files.encoding
        self._send(status, data, more)

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        files = self.files
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if files.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif files.lengths:
            self.send_header("Content-Length", str(len(data)))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        cut = files.cuts and len(data) > files.cut_after
        sent = data[: files.cut_after] if cut else data
        if files.chunked:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(sent), sent) + (b"" if cut else b"0\r\n\r\n"))
        else:
            half = len(sent) // 2
            self.wfile.write(sent[:half])
            files.go_on.wait(60)
            self.wfile.write(sent[half:])
        if cut:
            files.cuts -= 1
            self.close_connection = True

    def _empty(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""
