"""A small Serve of Ray's own, looked at from inside: what Tandem's replicas will find in one.

`found` gives, by place, what was found under each name, or the error. Nothing of Tandem's serves in
it, so that it says what Ray has.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from ray import serve
from ray.serve._private import client

from serve_app.internals import serve_client
from serve_app.internals.ray_start import patient
from serve_app.ports import free_port, own_block
from serve_app.tools.run.environment import PROXY_CHECKS
from serve_app.tools.shared_machine import AGENT_PATIENCE, places
from tests.contracts.inside import MODEL, Ingress, Model

ROOT = Path(__file__).parents[2]
MOST = 7  # requests in a replica
MAXCONN = 1000  # within what any machine lets a process open
TOKEN = "a-token-of-this-test-alone-0123456789"


def found() -> dict[str, Any]:
    """What is there, by place; from a Serve of its own, which is gone afterwards."""
    # Not pytest's folder: HAProxy's sockets lie in it, and their paths have to be short.
    with tempfile.TemporaryDirectory(prefix="td-", dir="/tmp") as folder:
        return _found(Path(folder))


def _found(folder: Path) -> dict[str, Any]:
    script = "import sys; from tests.contracts.live import main; main(sys.argv[1])"
    with (folder / "log").open("w+") as log:
        ended = subprocess.run(
            [sys.executable, "-c", script, str(folder / "found.json")],
            env=environment(folder), cwd=ROOT, stdout=log, stderr=log, timeout=500, check=False,
        )  # fmt: skip
        log.seek(0)
        assert ended.returncode == 0, log.read()[-4000:]
    answer: dict[str, Any] = json.loads((folder / "found.json").read_text())
    (config,) = folder.glob("*/haproxy.cfg")  # one for each node
    return {**answer, "haproxy": {"config": config.read_text().splitlines()}}


def main(file: str) -> None:
    """Start, look, stop; in a process of its own."""
    import ray

    patient()
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    try:
        options = {
            "port": free_port(),
            "grpc_servicer_functions": ["tests.contracts.inside:add_service"],
        }
        port = free_port()
        http = {"host": "127.0.0.1", "port": port}
        there = serve_client.start({"http_options": http, "grpc_options": options})
        client.HTTP_PROXY_TIMEOUT = 300  # of `serve.run`, on a machine that is busy
        assert there(300)
        no_cpus = {"num_cpus": 0}
        late: Any = serve.ingress(None)(Ingress)
        ingress = serve.deployment(late, max_ongoing_requests=MOST, ray_actor_options=no_cpus)
        model = serve.deployment(Model, max_ongoing_requests=MOST, ray_actor_options=no_cpus)
        # The one with a route first: Serve waits for its HAProxy to have a backend, and where the first
        # application has none, it now and then waits in vain.
        serve.run(ingress.bind(), name="tandem", route_prefix="/")
        serve.run(model.bind(), name=MODEL, route_prefix=None)
        Path(file).write_bytes(_asked(f"http://127.0.0.1:{port}/"))
    finally:
        serve.shutdown()
        ray.shutdown()


def _asked(url: str) -> bytes:
    """By Serve's HAProxy, which learns a little later where the replica is."""
    for _ in range(300):
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.get(url, timeout=60)
            if answer.status_code == 200:
                return answer.content
        time.sleep(0.1)
    raise TimeoutError(url)


def environment(folder: Path) -> dict[str, str]:
    """For the process that runs `main`: the mode that Tandem runs in, and ports that are free."""
    block = own_block()
    return {
        **os.environ,
        **places(block, block, folder),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
        "RAY_SERVE_HAPROXY_MAXCONN": str(MAXCONN),
        **PROXY_CHECKS,
        **AGENT_PATIENCE,
        "PYTHONPATH": str(ROOT),
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "tests.contracts.inside:middlewares",
    }
