"""`tandem run`: Ray, Serve and a config on this machine, in the foreground, gone when it ends.

The environment is set before anything of Ray is imported: Ray reads most of it at import.
"""

import contextlib
import ctypes
import json
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml

from serve_app.errors import ConfigError
from serve_app.internals.haproxy import haproxy_wrapper
from serve_app.ports import own_block
from serve_app.tools.places import haproxy_threads, places

START_TIMEOUT_S = 300
STOP_STEP_S = 5  # for each of: Serve, Ray, what is left
FENCE = "serve_app.internals.grpc_servers.fence"
LOOPBACK = ("127.0.0.1", "localhost", "::1")

# The mode that everything but tests is meant to run in; rayservice.yaml sets the same.
HIGH_THROUGHPUT = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(2**31 - 1),
    # V2 requests skip Serve's wrapping of each request.
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.ingress.fast_path:middlewares",
    # Serve's counts then come from the Router, not from a process that reads a log line of
    # HAProxy's for every request.
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
    # A user_config that changes takes a replica off HAProxy's list for a turn or two of Serve's
    # controller. HAProxy is told of changes so much later, and then that there was none.
    "RAY_SERVE_HAPROXY_BROADCAST_COALESCE_S": "0.5",
    # Large tensors: fewer, larger reads, and no waiting for HTTP/2 windows.
    "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": str(2**16),
    "RAY_SERVE_HAPROXY_H2_FE_INITIAL_WINDOW_SIZE": str(2**20),
}


class _Stop(BaseException):
    """A signal asked for the end. Not an Exception: nothing on the way may swallow it."""


def run(path: Path, host: str | None, http_port: int | None, grpc_port: int | None, mode: str) -> int:
    """Serve until SIGINT or SIGTERM; everything started is stopped before this returns."""
    http, grpc = _addresses(path, host, http_port, grpc_port)
    scratch = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    try:
        os.environ.update(environment(scratch, http["host"], mode))
        from serve_app.tools.check import load_checked

        config = load_checked(path)
        config["http_options"] = {**(config.get("http_options") or {}), **http}
        config["grpc_options"] = {**(config.get("grpc_options") or {}), **grpc}
        for name, port in (("HTTP_PORT", http["port"]), ("GRPC_PORT", grpc["port"])):
            _must_be_free(http["host"], port, name)
        with everything_stopped():
            return _serve(config, path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _addresses(
    path: Path, host: str | None, http_port: int | None, grpc_port: int | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Command line over config file over defaults."""
    try:
        written = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    options: dict[str, Any] = written if isinstance(written, dict) else {}
    http, grpc = options.get("http_options") or {}, options.get("grpc_options") or {}
    return (
        {"host": host or http.get("host") or "127.0.0.1", "port": http_port or http.get("port") or 8000},
        {"port": grpc_port or grpc.get("port") or 9000},
    )


def environment(scratch: Path, host: str, mode: str) -> dict[str, str]:
    """What Ray is told: ports that collide with nobody, loopback, and the high-throughput mode."""
    own = own_block()
    variables = {
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",  # it would swallow request lines that look alike
        "RAY_worker_niceness": "0",  # Ray's 15 lets every other process of the machine go first
        # A turn of Serve's controller takes 6 ms; ten a second slowed models beside it by a tenth.
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.3",
        # Workers that nobody uses, one per core: replicas never take them, having an environment of
        # their own. Each is 40 MB and a wake-up every 10 ms.
        "RAY_num_workers_soft_limit": "0",
        # The log monitor looks for new files this often; else ten times a second.
        "RAY_LOG_MONITOR_MANY_FILES_THRESHOLD": "0",
        "LOG_NAME_UPDATE_INTERVAL_S": "1",
        "METRICS_RECORD_INTERVAL_S": "60",  # of the dashboard's own memory, 40 ms each time
        # Nobody's load balancer but HAProxy watches this instance, which takes half a second to be
        # told and another to act; Serve's 30 s would outlast every stop.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
    }
    if host in LOOPBACK:
        variables["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # the node's address is 127.0.0.1
    if mode == "high-throughput":
        variables |= HIGH_THROUGHPUT | {
            "RAY_SERVE_HAPROXY_NBTHREAD": haproxy_threads(),
            "RAY_SERVE_HAPROXY_BINARY_PATH": str(haproxy_wrapper(scratch, narrow=host in LOOPBACK)),
        }
    variables |= places(own, own, scratch)
    # What the user set for Ray on purpose stays.
    return {name: os.environ.get(name, value) for name, value in variables.items()}


def _must_be_free(host: str, port: int, name: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(f"{host}:{port} can't be used ({error.strerror}); set {name}") from None


def _serve(config: dict[str, Any], path: Path) -> int:
    import ray
    from ray import serve
    from ray.dashboard.modules.serve.sdk import ServeSubmissionClient

    http, grpc = config["http_options"], config["grpc_options"]
    local = http["host"] in LOOPBACK
    context = ray.init(
        address="local",
        num_cpus=max(os.cpu_count() or 1, 4),  # a laptop's cores are shared, not reserved
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        logging_level=logging.WARNING,
        runtime_env={"worker_process_setup_hook": "serve_app.internals.grpc_servers.fence"}
        if local
        else None,
    )
    _on_signals(_raise_stop)  # Ray has set handlers of its own
    serve.start(
        proxy_location=config.get("proxy_location", "EveryNode"),
        http_options=http,
        grpc_options=grpc,
    )
    dashboard = f"http://{context.dashboard_url}"
    ServeSubmissionClient(dashboard).deploy_applications(config)
    if problem := _wait(serve.status):
        print(problem, file=sys.stderr, flush=True)
        return 1
    _announce(f"http://{http['host']}:{http['port']}", f"{http['host']}:{grpc['port']}", dashboard, path)
    while ray.is_initialized() and any(node["Alive"] for node in ray.nodes()):
        time.sleep(1)
    print("Ray has stopped", file=sys.stderr)
    return 1


def _wait(status: Callable[[], Any]) -> str:
    """Wait until nothing is deploying; what keeps the Router from serving, or ''."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        apps = status().applications
        states = {name: app.status.value for name, app in apps.items()}
        if states and not any(state in ("DEPLOYING", "NOT_STARTED") for state in states.values()):
            break
        if time.monotonic() > deadline:
            return f"still not running after {START_TIMEOUT_S} s: {states}"
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


@contextlib.contextmanager
def everything_stopped() -> Iterator[None]:
    """Whatever happens inside, no process started in it outlives it."""
    # Orphans become children of this process, so that none can escape the last sweep.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    _on_signals(_raise_stop)
    try:
        yield
    except (_Stop, SystemError) as error:
        # Raised inside Ray's compiled code, _Stop comes out as the context of a SystemError.
        if not isinstance(error, _Stop) and not isinstance(error.__context__, _Stop):
            raise
        print("stopping", flush=True)
    finally:
        _on_signals(signal.SIG_IGN)
        _stop_all()


def _stop_all() -> None:
    import ray
    from ray import serve

    started = psutil.Process().children(recursive=True)
    for step in (serve.shutdown, ray.shutdown) if ray.is_initialized() else ():
        thread = threading.Thread(target=step, daemon=True)
        thread.start()
        thread.join(STOP_STEP_S)
    left = {*started, *psutil.Process().children(recursive=True)}
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                ask(process)
        _, alive = psutil.wait_procs(left, timeout=STOP_STEP_S / 2)
        left = set(alive)


def _raise_stop(*_: object) -> None:
    raise _Stop


def _on_signals(handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)
