"""What Ray is told by variables, which it reads at import."""

import os
from pathlib import Path

from serve_app.addresses import is_loopback
from serve_app.internals.grpc_servers import GRPC_ADDRESS
from serve_app.internals.haproxy import haproxy_wrapper
from serve_app.ports import own_block
from serve_app.tools.shared_machine import AGENT_PATIENCE, haproxy_threads, places

# Of gRPC, in proxies; a Router knows its own `maxBodyBytes`. The default of that, and some.
GRPC_MESSAGES = {"RAY_SERVE_GRPC_MAX_MESSAGE_SIZE": str(65 * 2**20)}
# A worker's output, one line per request among it, is rotated where Ray is told how.
LOG_FILES = {"RAY_ROTATION_MAX_BYTES": str(128 * 2**20), "RAY_ROTATION_BACKUP_COUNT": "3"}

PROXY_CHECKS = {
    # Of proxies and of HAProxy's managers, which Serve replaces when three of them failed; else 10 s.
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
    # From when a proxy is asked for until it is ready. After Serve's 5 s it is killed, which on a busy
    # machine only costs another start; and `serve.start` fails when its proxy was.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "300",
}
# In replicas V2 requests skip Serve's wrapping of each; in proxies they wait for their bodies.
MIDDLEWARES = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.ingress.fast_path:middlewares"}

# The mode that everything but tests is meant to run in; rayservice.yaml sets the same.
HIGH_THROUGHPUT = {
    **GRPC_MESSAGES,
    **PROXY_CHECKS,
    # Idle ones cost next to nothing; `haproxy_bounds` says what becomes of them, and it takes no
    # more than the process may have files for.
    "RAY_SERVE_HAPROXY_MAXCONN": "16384",
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(2**31 - 1),
    **MIDDLEWARES,
    # Serve's counts then come from the Router, not from a process that reads a log line of
    # HAProxy's for every request.
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
    # A user_config that changes takes a replica off HAProxy's list for a turn or two of Serve's
    # controller. HAProxy is told of changes so much later, and then that there was none.
    "RAY_SERVE_HAPROXY_BROADCAST_COALESCE_S": "0.5",
    # Large tensors: fewer, larger reads, and no waiting for HTTP/2 windows.
    "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": str(2**16),
    "RAY_SERVE_HAPROXY_H2_FE_INITIAL_WINDOW_SIZE": str(2**20),
    # Calls on one connection. With 100 those that wait for one model keep all others of their client's,
    # or of a gateway's, from being sent: what a Router holds is what decides.
    "RAY_SERVE_HAPROXY_H2_FE_MAX_CONCURRENT_STREAMS": "4096",
}


def environment(scratch: Path, grpc: str, mode: str) -> dict[str, str]:
    """What Ray is told: ports that collide with nobody, loopback, and the high-throughput mode.

    `grpc` is where gRPC is to be heard, as `host:port`.
    """
    local = is_loopback(grpc.rpartition(":")[0].strip("[]"))
    own = own_block()
    variables = {
        **GRPC_MESSAGES,
        **MIDDLEWARES,
        **PROXY_CHECKS,
        # No other Router serves meanwhile: each model answers as soon as it is loaded.
        "TANDEM_ANSWER_EARLY": "1",
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",  # it would swallow request lines that look alike
        **AGENT_PATIENCE,
        "RAY_worker_niceness": "0",  # Ray's 15 lets every other process of the machine go first
        # A turn of Serve's controller takes 6 ms; ten a second slowed models beside it by a tenth.
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.3",
        # Workers for the first driver, which nobody uses, and Ray ends again.
        "RAY_prestart_worker_first_driver": "0",
        # The dashboard starts beside all the rest; Ray's minute is too few on a busy machine.
        "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "300",
        # Workers that nobody uses, one per core: replicas never take them, having an environment of
        # their own. Each is 40 MB and a wake-up every 10 ms.
        "RAY_num_workers_soft_limit": "0",
        # The log monitor looks for new files this often; else ten times a second.
        "RAY_LOG_MONITOR_MANY_FILES_THRESHOLD": "0",
        "LOG_NAME_UPDATE_INTERVAL_S": "1",
        **LOG_FILES,
        "METRICS_RECORD_INTERVAL_S": "60",  # of the dashboard's own memory, 40 ms each time
        # Nobody's load balancer but HAProxy watches this instance, which takes half a second to be
        # told and another to act; Serve's 30 s would outlast every stop.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
    }
    if local:
        variables["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # the node's address is 127.0.0.1
        variables[GRPC_ADDRESS] = grpc
    if mode == "high-throughput":
        variables |= HIGH_THROUGHPUT | {
            "RAY_SERVE_HAPROXY_NBTHREAD": haproxy_threads(),
            "RAY_SERVE_HAPROXY_BINARY_PATH": str(haproxy_wrapper(scratch, narrow=local)),
        }
    variables |= places(own, own, scratch)
    # What the user set for Ray on purpose stays.
    return {name: os.environ.get(name, value) for name, value in variables.items()}


def python_path() -> str:
    """Where Ray's workers look for a user's class: in the working directory too, as with `serve run`."""
    set_by_user = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return os.pathsep.join(dict.fromkeys([*set_by_user, os.getcwd()]))
