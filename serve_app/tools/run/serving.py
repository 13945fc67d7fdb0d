"""Ray and Serve with one config, and what is said of it."""

import contextlib
import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from serve_app.addresses import authority, is_loopback
from serve_app.errors import NOT_HERE, ConfigError
from serve_app.internals.ray_start import FENCE, LateDashboard
from serve_app.tools import clusters, routers
from serve_app.tools.run.startup import PATIENCE_S, Apps, Startup, explained_models, settled
from serve_app.tools.serve_names import named, router_of
from serve_app.tools.stopping import lives_with, stop_on_signals

_RAY = ("gcs_server", "raylet")  # without one of them nothing can change, and soon nothing runs
_GRPC_S = 30  # for its port to be led to a Router, after HTTP's
_PROXIES_S = 300  # Serve's own minute is too few where its processes share a busy machine's cores
_UNHEARD_S = 120  # then Ray is taken for dead, while it starts


def serve(config: dict[str, Any], path: Path, scratch: Path) -> int:
    """Start Ray and Serve with the config that stands at `path`, and stay; 1 when nothing is served.

    In `scratch` are Ray's files, and others find out there how to speak to it.
    """
    import ray

    from serve_app.internals import serve_client
    from serve_app.internals.ray_auth import credentials
    from serve_app.internals.ray_start import patient, without_autoscaler
    from serve_app.tools.run.room import without_room

    http, grpc = config["http_options"], config["grpc_options"]
    local, folder = is_loopback(http["host"]), scratch / "ray"
    without_autoscaler()
    patient()
    late = LateDashboard()
    ray.init(
        address="local",
        num_cpus=max(os.cpu_count() or 1, 4),  # a laptop's cores are shared, not reserved
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        logging_level=logging.WARNING,
        _temp_dir=str(folder),
        runtime_env={"worker_process_setup_hook": FENCE} if local else None,
    )
    stop_on_signals()  # Ray has set handlers of its own
    children = psutil.Process().children(recursive=True)
    lives_with([one for one in children if one.name() in _RAY])
    for line in without_room(config, ray.cluster_resources()):
        print(line, file=sys.stderr, flush=True)
    late.start()
    proxies = serve_client.start(config)
    token = credentials().decode().removeprefix("Bearer ")
    if reason := serve_client.deploy(config):
        raise ConfigError(f"Serve refuses {path}: {reason}")
    try:
        dashboard = _ready(proxies, late)
    except ConfigError as error:
        _say(str(error))  # before Ray is stopped, which may end this process, too
        return 1
    clusters.note(scratch, dashboard, token, path)
    startup, began = Startup(_router(config)), time.monotonic()
    if not _started(startup, began):
        return 1
    url, logs = f"http://{authority(http['host'], http['port'])}", folder / "session_latest" / "logs"
    grpc_at = authority(http["host"], grpc["port"])
    over_grpc = bool(grpc.get("grpc_servicer_functions"))
    places = _Places(url, grpc_at, over_grpc, dashboard, _metrics(ray.nodes()), logs)
    _announce(places, path, startup.waiting, explained_models(config, startup.waiting))
    while True:
        time.sleep(1)
        if startup.waiting and time.monotonic() - began > PATIENCE_S:
            _look(startup, began)
            if not startup.waiting:
                _say("no application is under way any more")


def _ready(proxies: Callable[[float], bool], late: LateDashboard) -> str:
    """The dashboard's URL, once it and Serve's proxies are there; ConfigError for what isn't."""
    over = time.monotonic() + _PROXIES_S
    while not proxies(1):
        late.look()
        if time.monotonic() > over:
            raise ConfigError(f"Serve's proxies aren't there after {_PROXIES_S} s")
    return f"http://{late.address()}"


def _router(config: dict[str, Any]) -> str:
    return next((name for name, one in named(config) if router_of(one) is not None), "")


def _started(startup: Startup, began: float) -> bool:
    """Wait until there is something to announce; False when there won't be."""
    heard = time.monotonic()
    while time.monotonic() - heard < _UNHEARD_S:
        apps = _look(startup, began)
        heard = time.monotonic() if apps else heard
        if startup.lost(apps):
            return False
        if startup.serves(apps, time.monotonic() - began):
            return True
        time.sleep(0.3)
    _say("Serve's controller doesn't answer any more")
    return False


def _look(startup: Startup, began: float) -> Apps:
    from ray.exceptions import RayError

    from serve_app.internals.serve_client import applications

    try:
        apps = applications()
    except RayError:  # busy; whether it lives is asked elsewhere
        return {}
    for line in startup.look(apps, time.monotonic() - began):
        _say(line)
    return apps


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class _Places(NamedTuple):
    """Where it can be reached: `grpc` is host:port, the others are URLs."""

    url: str
    grpc: str
    over_grpc: bool  # whether anybody is there
    dashboard: str
    metrics: str
    logs: Path


def _announce(
    places: _Places, path: Path, waiting: Mapping[str, str], explained: frozenset[str]
) -> None:
    """What is served, and a line to try."""
    url = places.url
    deadline = time.monotonic() + PATIENCE_S
    while True:  # models are loaded one after the other, in applications, too
        index: list[dict[str, str]] = []
        with contextlib.suppress(OSError, ValueError):  # the proxy comes a moment later than the Router
            index = routers.index(url)
        if settled(index, waiting, explained) or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    deadline = time.monotonic() + _GRPC_S
    while places.over_grpc and not routers.live(places.grpc) and time.monotonic() < deadline:
        time.sleep(0.2)
    print(f"\nTandem serves\n  HTTP  {url}  (try it in a browser: {url}/docs)\n  gRPC  {places.grpc}")
    print(f"  Ray   {places.dashboard}  (its dashboard)\n  metrics for Prometheus  {places.metrics}\n")
    resting = sum(row["reason"] == NOT_HERE for row in index)
    for row in (row for row in index if row["reason"] != NOT_HERE):
        state = row["state"] + (f": {row['reason']}" if row["reason"] else "")
        print(f"  {row['name']:<20} version {row['version'] or '-':<4} {state}")
    if resting:
        print(f"  {resting} models aren't in memory: a request for one loads it")
    with contextlib.suppress(OSError, ValueError):
        _print_example(url, {row["name"] for row in index if row["state"] == "READY"})
    if waiting:
        print(f"\n  Still on the way: {', '.join(waiting)}; the others are served meanwhile.")
    print(f"\n  Changed {path}? Apply it with: {_command(path)}")
    print(f"  Ctrl-C stops everything. Logs, until then: {places.logs}\n", flush=True)


def _print_example(url: str, ready: Container[str]) -> None:
    """Of a model that says what it takes: of others it would be a guess that they refuse."""
    for route, verbs in routers.get(f"{url}/openapi.json")["paths"].items():
        if not route.endswith("/infer") or "/versions/" in route or "post" not in verbs:
            continue
        if route.split("/")[3] not in ready:
            continue
        if routers.get(url + route.removesuffix("/infer")).get("inputs"):
            body = verbs["post"]["requestBody"]["content"]["application/json"]["example"]
            print(f"\n  curl -s {url}{route} -d '{json.dumps(body, separators=(',', ':'))}'")
            break


def _metrics(nodes: list[dict[str, Any]]) -> str:
    """Where Ray's agent on this machine, which is all of the cluster, exports them."""
    return f"http://{nodes[0]['NodeManagerAddress']}:{nodes[0]['MetricsExportPort']}/metrics"


def _command(path: Path) -> str:
    """Works in any shell, in any folder."""
    return shlex.join([*_tandem(), "deploy", str(path.resolve())])


def _tandem() -> list[str]:
    """This very program; its environment may not be on another shell's PATH."""
    own = Path(sys.executable).with_name("tandem")
    return [str(own)] if own.exists() else [sys.executable, "-m", "serve_app"]
