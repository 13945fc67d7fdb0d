"""Ray's hooks into the processes of a node: its start, and each of its workers."""

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from serve_app.errors import ConfigError
from serve_app.internals.haproxy import haproxy_wrapper

# What each worker runs first, by Ray's `worker_process_setup_hook`.
FENCE = "serve_app.internals.grpc_servers.fence"
_FOLDER = "TANDEM_NODE_FOLDER"
_START_S = 300.0  # of a node


def on_loopback_by_hooks(folder: Path) -> Mapping[str, str]:
    """Variables for `ray start`: it and its workers then stay on 127.0.0.1. `folder` is the node's."""
    return {
        "RAY_START_HOOK": f"{__name__}.on_loopback",
        _FOLDER: str(folder),
        # worker_process_setup_hook for every job: Serve's has none that we could give it.
        "__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR": FENCE,
    }


def on_loopback(params: Any, head: bool) -> None:
    """RAY_START_HOOK, which runs inside `ray start` before it starts anything: keep the node here.

    `--node-ip-address` alone doesn't: Ray takes loopback for a mistake in a cluster, unless it is
    told that clusters are out of the question, which would refuse to start a worker.
    """
    from ray._private import services

    folder = Path(os.environ[_FOLDER])
    folder.mkdir(parents=True, exist_ok=True)
    params.node_ip_address = "127.0.0.1"
    services.resolve_ip_for_localhost = lambda host: host  # the head's address, for a worker
    patient()
    # For what this process starts.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ["RAY_SERVE_HAPROXY_BINARY_PATH"] = str(haproxy_wrapper(folder))


def patient() -> None:
    """A node that this process starts from now on has five minutes to do so. Ray's 30 seconds are too
    few where its processes share a busy machine's cores, and then it gives up with a traceback."""
    from ray._private import services

    look = services.get_node

    def get_node(address: str, node: str) -> Any:
        over = time.monotonic() + _START_S
        while True:
            try:
                return look(address, node)
            except RuntimeError:  # not yet
                if time.monotonic() > over or not _raylet_lives():
                    raise
            time.sleep(0.1)

    services.get_node = get_node


def _raylet_lives() -> bool:
    """Whether one that this process started does."""
    for one in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if one.name() == "raylet" and one.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def without_autoscaler() -> None:
    """Ray's next `ray.init` starts none: a process of 46 MB that looks, all the time, whether a cluster
    that is one machine needs others. `ray start` has `--no-monitor` for it."""
    from ray._private.node import Node

    Node.start_monitor = lambda self: None


class LateDashboard:
    """The dashboard of Ray's next `ray.init`, which waits for it else, for three seconds in which a core
    is idle: it begins when it is told to, beside Serve."""

    def __init__(self) -> None:
        from ray._private.node import Node

        begin, self._address = Node.start_api_server, Future[str]()

        def remembered(node: Any, **how: Any) -> None:
            self._begin = partial(begin, node, **how)
            self._node = node

        Node.start_api_server = remembered

    def start(self) -> None:
        """Once Ray is there."""
        threading.Thread(target=self._run, daemon=True).start()

    def look(self) -> None:
        """ConfigError where it can't start."""
        if self._address.done():
            self._address.result()

    def address(self) -> str:
        """Its host and port, when it is there. ConfigError where it can't start."""
        return self._address.result()

    def _run(self) -> None:
        try:
            self._begin()
            self._address.set_result(self._node.webui_url)
        except Exception as error:
            self._address.set_exception(ConfigError(f"Ray's dashboard can't start: {error}"))
        threading.Event().wait()  # Linux ends a child with the thread that started it


def options() -> frozenset[str]:
    """The names that `ray start` takes, without their dashes."""
    from ray.scripts.scripts import start  # 0.4 s

    return frozenset(
        name.lstrip("-") for one in start.params for name in (*one.opts, *one.secondary_opts)
    )
