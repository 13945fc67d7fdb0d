"""Asking a Prometheus, which here is a server that says what a test wants."""

import http.server
import json
import threading

import pytest

from serve_app.deployments.queries import asked


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append(self.path)
        status, body, location = self.server.says
        self.send_response(status)
        if location:
            self.send_header("location", location)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def prometheus():
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as made:
        made.seen, made.says = [], (200, b"", "")
        made.url = f"http://127.0.0.1:{made.server_port}"
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def says(kind: str, result: object) -> tuple[int, bytes, str]:
    data = {"resultType": kind, "result": result}
    return 200, json.dumps({"status": "success", "data": data}).encode(), ""


VECTOR = [{"metric": {}, "value": [1.0, "0.25"]}]


async def test_one_number(prometheus):
    prometheus.says = says("vector", VECTOR)
    assert await asked(prometheus.url + "/", 'f{v="2"}') == 0.25
    assert prometheus.seen == ["/api/v1/query?query=f%7Bv%3D%222%22%7D"]
    prometheus.says = says("scalar", [1.0, "7"])
    assert await asked(prometheus.url, "7") == 7


@pytest.mark.parametrize(
    "answer",
    [
        says("vector", []), says("vector", VECTOR * 2), says("scalar", [1.0, "NaN"]),
        says("vector", [{"metric": {}, "value": [1.0, "+Inf"]}]), (200, b"<html>", ""),
        (503, b"{}", ""), (302, b"", "http://127.0.0.1:1/"), (200, b'{"status": "error"}', ""),
    ],
)  # fmt: skip
async def test_what_is_none_is_said(prometheus, answer):
    prometheus.says = answer
    with pytest.raises((LookupError, ValueError, OSError)):
        await asked(prometheus.url, "f")
    assert len(prometheus.seen) == 1


@pytest.mark.parametrize("address", ["file:///etc", "ftp://127.0.0.1", "http://127.0.0.1:1"])
async def test_nowhere_else(address):
    with pytest.raises((OSError, ValueError, TypeError, AttributeError)):
        await asked(address, "f")
