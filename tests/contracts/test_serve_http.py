"""Where a replica's HTTP server is heard, and where Serve's HAProxy asks for it."""

import asyncio
import inspect

import httpx
import pytest
from ray.serve._private import haproxy, replica
from ray.serve._private.http_util import start_asgi_http_server
from ray.serve.config import HTTPOptions
from uvicorn import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from serve_app.internals import serve_http
from serve_app.ports import free_port


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(replica, "start_asgi_http_server", replica.start_asgi_http_server)
    serve_http.near_haproxy()


def test_haproxy_asks_the_replicas_of_its_node_on_localhost() -> None:
    source = inspect.getsource(haproxy.HAProxyManager._target_to_server)
    assert "host = get_localhost_ip() if target.ip == self._node_ip_address" in source


def test_a_replica_starts_its_server_by_this_name() -> None:
    assert serve_http._start is start_asgi_http_server
    source = inspect.getsource(replica.Replica._maybe_start_direct_ingress_servers)
    assert "await start_asgi_http_server(" in source


async def test_uvicorn_looks_for_proxies_before_each_request() -> None:
    """Where it no longer does, there is nothing to be done."""
    config = Config(lambda: None, factory=True, log_config=None)
    config.load()
    assert isinstance(config.loaded_app, ProxyHeadersMiddleware)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
async def test_whatever_loopback_address_the_service_has(patched, host: str) -> None:
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"here"})

    options = HTTPOptions(host=host, port=free_port())
    task, server = await replica.start_asgi_http_server(
        app, options, event_loop=asyncio.get_running_loop(), enable_so_reuseport=False
    )
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{options.port}/")
    assert answer.text == "here"
    assert not isinstance(server.config.loaded_app, ProxyHeadersMiddleware)
    server.should_exit = True
    await task
