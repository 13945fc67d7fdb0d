"""Runs inside `ray start`, before it starts anything: RAY_START_HOOK."""

import os
from pathlib import Path
from typing import Any

from serve_app.internals.haproxy import haproxy_wrapper

FOLDER = "TANDEM_NODE_FOLDER"


def on_loopback(params: Any, head: bool) -> None:
    """Keep the node on 127.0.0.1.

    `--node-ip-address` alone doesn't: Ray takes loopback for a mistake in a cluster, unless it is
    told that clusters are out of the question, which would refuse to start a worker.
    """
    from ray._private import services

    folder = Path(os.environ[FOLDER])
    folder.mkdir(parents=True, exist_ok=True)
    params.node_ip_address = "127.0.0.1"
    services.resolve_ip_for_localhost = lambda host: host  # the head's address, for a worker
    # For what this process starts.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ["RAY_SERVE_HAPROXY_BINARY_PATH"] = str(haproxy_wrapper(folder))
