"""Ports and files of each node, where several nodes or instances share one machine."""

import os
from pathlib import Path

from serve_app.ports import Block

# A raylet ends when its agent hasn't come by then; Ray's 100 s are too few on a busy machine.
AGENT_PATIENCE = {"RAY_agent_register_timeout_ms": "300000"}


def haproxy_threads() -> str:
    """Threads for HAProxy where it shares the machine with everything else."""
    return str(max(1, min(4, (os.cpu_count() or 1) // 2)))


def places(shared: Block, own: Block, scratch: Path) -> dict[str, str]:
    """Ports and files for Ray Serve on one node, where several nodes are on one machine.

    `shared` has the ports of replicas, which Serve's controller gives out for all nodes of a cluster.
    """
    return {
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(shared.single[0]),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(shared.single[1]),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(shared.http.start),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(shared.http.stop - 1),
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(shared.grpc.start),
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(shared.grpc.stop - 1),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(own.single[2]),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(own.single[3]),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(scratch / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(scratch / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(scratch / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(scratch),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(scratch / "server-state"),
    }
