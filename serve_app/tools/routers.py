"""What the Routers of a service say of themselves, over the HTTP port that Serve names."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

from serve_app.addresses import authority

# Without proxies: an environment that names one means it for other machines.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_ASKED = 8  # times as often as there are Routers, at most: each connection may meet any of them


def url_of(serve: Mapping[str, Any]) -> str:
    """Where Serve's HTTP port is, by what the dashboard says of Serve."""
    options = serve.get("http_options") or {}
    host = options.get("host") or "127.0.0.1"
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - where all are heard
    return f"http://{authority(here, options.get('port') or 8000)}"


def get(url: str, body: bytes | None = None) -> Any:
    """JSON; OSError or ValueError where there is none. A POST where there is a body."""
    with _opener.open(url, body, timeout=10) as answer:
        return json.load(answer)


def index(url: str) -> list[dict[str, str]]:
    """The repository's index, by one of them."""
    rows: list[dict[str, str]] = get(f"{url}/v2/repository/index", b"{}")
    return rows


def changes(url: str, serve: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What each of them says of the last change, by its name; OSError or ValueError as `get`."""
    wanted = len(running(serve))
    found: dict[str, dict[str, Any]] = {}
    for _ in range(_ASKED * max(wanted, 1)):
        one = get(f"{url}/v2/repository/changes")
        found[one["router"]] = one
        if len(found) >= wanted:
            break
    return found


def running(serve: Mapping[str, Any]) -> set[str]:
    """The names of the Routers that run, by what the dashboard says of Serve."""
    return {
        replica["replica_id"]
        for app in (serve.get("applications") or {}).values()
        for replica in ((app.get("deployments") or {}).get("Router") or {}).get("replicas") or []
        if replica.get("state") == "RUNNING"
    }


def live(address: str) -> bool:
    """Whether a Router answers over gRPC at `host:port`, whatever it says. HAProxy leads ModelInfer
    another way than all else, each a moment after there is a Router."""
    import grpc

    away = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        for name in ("ServerLive", "ModelInfer"):
            ask = channel.unary_unary(f"/inference.GRPCInferenceService/{name}")
            try:
                # Of no model, so that it is refused; the Router's log has a line of it.
                ask(b"", timeout=2, metadata=[("x-request-id", "tandem-run-looks")])
            except grpc.RpcError as error:
                if error.code() in away:
                    return False
    return True
