"""gRPC servers of a local instance: on loopback, on ports of their own.

Ray's own processes follow the node address; Serve's gRPC servers bind every interface. `fence` runs in
every Ray worker at its start and narrows them.
"""

import inspect
import os
from typing import Any

from grpc import _server
from grpc.aio import _server as aio_server

from serve_app.internals.serve_imports import light

# Where the service's own gRPC port is to be heard, when that is another loopback address.
GRPC_ADDRESS = "TANDEM_GRPC_ADDRESS"
_WILDCARDS = ("[::]", "0.0.0.0", "*", "")  # noqa: S104 - narrowed, not bound


def limit_received(size: int) -> None:
    """gRPC servers that Serve starts in this process from now on refuse messages of more bytes.

    After decompression, before there is memory for it, on every method and in streams. What they send
    may have any size. Serve's own limit, `RAY_SERVE_GRPC_MAX_MESSAGE_SIZE`, is for both ways.
    """
    from ray.serve._private.constants import DEFAULT_GRPC_SERVER_OPTIONS

    changed = {"grpc.max_receive_message_length": size, "grpc.max_send_message_length": -1}
    kept = [(name, value) for name, value in DEFAULT_GRPC_SERVER_OPTIONS if name not in changed]
    DEFAULT_GRPC_SERVER_OPTIONS[:] = [*kept, *changed.items()]


def fence() -> None:
    """Make gRPC servers of this process listen on loopback, on ports that are theirs alone; and Serve's
    import light.

    Serve asks for the latter with the text "0", which gRPC doesn't take for a number: replicas of two
    nodes, each with ports of its own on Serve's list, would share one and answer for each other.
    """
    for kind in (aio_server.Server, _server._Server):
        _narrow(kind)
    _own_ports(aio_server.Server)
    light()


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
    public = os.environ.get(GRPC_ADDRESS, "")

    def add_insecure_port(self: Any, address: str) -> int:
        host, _, port = address.rpartition(":")
        here = public if port == public.rpartition(":")[2] else f"127.0.0.1:{port}"
        return int(original(self, here if host in _WILDCARDS else address))

    kind.add_insecure_port = add_insecure_port
