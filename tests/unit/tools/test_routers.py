"""Where the Routers are asked, by what Serve says of itself."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from serve_app.tools import routers
from serve_app.tools.routers import url_of


@pytest.mark.parametrize(
    ("options", "url"),
    [
        (None, "http://127.0.0.1:8000"),
        ({"host": "127.0.0.2", "port": 81}, "http://127.0.0.2:81"),
        ({"host": "::1", "port": 81}, "http://[::1]:81"),
        ({"host": "0.0.0.0"}, "http://127.0.0.1:8000"),
        ({"host": "::", "port": 81}, "http://[::1]:81"),
    ],
)
def test_the_address_in_a_url(options: object, url: str) -> None:
    assert url_of({"http_options": options}) == url


def test_whether_one_answers_over_grpc():
    """Whatever it says: that it doesn't know the call is an answer."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        assert routers.live(f"127.0.0.1:{port}")
    finally:
        server.stop(None).wait()
    assert not routers.live(f"127.0.0.1:{port}")
