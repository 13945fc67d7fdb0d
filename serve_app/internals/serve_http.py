"""Serve's HTTP server of a replica, where HAProxy and the replicas of the same node look for it.

Serve binds it to the service's own host, and they ask on 127.0.0.1: with another address of loopback,
127.0.0.2 or ::1, they would miss each other. And uvicorn looks for X-Forwarded-For in every request, to
say who the client is: HAProxy has a header of its own for that, which is read when somebody asks.
"""

from typing import Any

from ray._common.network_utils import get_localhost_ip
from ray.serve._private import replica
from ray.serve.config import HTTPOptions

from serve_app.addresses import is_loopback

_start = replica.start_asgi_http_server


def near_haproxy() -> None:
    """That of this process, when it is started."""
    replica.start_asgi_http_server = _started


async def _started(app: Any, http_options: HTTPOptions, **more: Any) -> Any:
    if is_loopback(http_options.host or ""):
        http_options = http_options.model_copy(update={"host": get_localhost_ip()})
    task, server = await _start(app, http_options, **more)
    server.config.proxy_headers = False  # which it reads when the task runs first
    return task, server
