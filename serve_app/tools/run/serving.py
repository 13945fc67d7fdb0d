"""Ray and Serve with one config, and what is said of it."""

import json
import logging
import os
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serve_app.addresses import authority, is_loopback
from serve_app.internals.ray_start import FENCE
from serve_app.tools.stopping import stop_on_signals

_START_TIMEOUT_S = 300


def serve(config: dict[str, Any], path: Path) -> int:
    """Start Ray and Serve with the config that stands at `path`, and stay while they do; then 1."""
    import ray
    from ray import serve as ray_serve

    from serve_app.internals.serve_config import deploy
    from serve_app.tools.run.room import without_room

    http, grpc = config["http_options"], config["grpc_options"]
    local = is_loopback(http["host"])
    context = ray.init(
        address="local",
        num_cpus=max(os.cpu_count() or 1, 4),  # a laptop's cores are shared, not reserved
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        logging_level=logging.WARNING,
        runtime_env={"worker_process_setup_hook": FENCE} if local else None,
    )
    stop_on_signals()  # Ray has set handlers of its own
    for line in without_room(config, ray.cluster_resources()):
        print(line, file=sys.stderr, flush=True)
    ray_serve.start(
        proxy_location=config.get("proxy_location", "EveryNode"),
        http_options=http,
        grpc_options=grpc,
    )
    dashboard = f"http://{context.dashboard_url}"
    deploy(dashboard, config)
    if problem := _wait(ray_serve.status):
        print(problem, file=sys.stderr, flush=True)
        return 1
    url = f"http://{authority(http['host'], http['port'])}"
    _announce(url, authority(http["host"], grpc["port"]), dashboard, path)
    while ray.is_initialized() and any(node["Alive"] for node in ray.nodes()):
        time.sleep(1)
    print("Ray has stopped", file=sys.stderr)
    return 1


def _wait(status: Callable[[], Any]) -> str:
    """Wait until nothing is deploying; what keeps the Router from serving, or ''."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        apps = status().applications
        states = {name: app.status.value for name, app in apps.items()}
        if states and not any(state in ("DEPLOYING", "NOT_STARTED") for state in states.values()):
            break
        if time.monotonic() > deadline:
            return f"still not running after {_START_TIMEOUT_S} s: {states}"
        time.sleep(0.3)
    for name, app in apps.items():
        if app.status.value != "RUNNING":
            reasons = [app.message, *(d.message for d in app.deployments.values())]
            text = f"application '{name}' is {app.status.value}: " + "\n".join(filter(None, reasons))
            if "Router" in app.deployments or not app.deployments:
                return text
            print(text, file=sys.stderr, flush=True)
    return ""


def _announce(url: str, grpc: str, dashboard: str, path: Path) -> None:
    """What is served, and a line to try."""
    deadline = time.monotonic() + 15
    while True:  # the Router learns of a model within a second or two after Serve does
        index = _get(f"{url}/v2/repository/index", b"{}")
        if all(row["state"] == "READY" for row in index) or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    print(f"\nTandem serves\n  HTTP  {url}  (try it in a browser: {url}/docs)\n  gRPC  {grpc}\n")
    for row in index:
        state = row["state"] + (f": {row['reason']}" if row["reason"] else "")
        print(f"  {row['name']:<20} version {row['version'] or '-':<4} {state}")
    for route, verbs in _get(f"{url}/openapi.json")["paths"].items():
        if route.endswith("/infer") and "/versions/" not in route and "post" in verbs:
            body = verbs["post"]["requestBody"]["content"]["application/json"]["example"]
            print(f"\n  curl -s {url}{route} -d '{json.dumps(body, separators=(',', ':'))}'")
            break
    deploy = f"RAY_AUTH_MODE={os.environ['RAY_AUTH_MODE']} serve deploy -a {dashboard} {path}"
    print(f"\n  Changed {path}? Apply it with: {deploy}\n  Ctrl-C stops everything.\n", flush=True)


def _get(url: str, body: bytes | None = None) -> Any:
    # Without proxies: an environment that names one means it for other machines.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, body, timeout=10) as answer:
        return json.load(answer)
