"""Ports of this machine that nobody else is about to take."""

import random
import socket

from serve_app.errors import ConfigError

BLOCK = 200  # ports of one instance's replicas, half of them HTTP

# Above those of Ray's workers (10002 to 19999), below those the kernel lends to outgoing
# connections (from 32768 on): what it lends, a client may hold by the time a server comes for it.
_BLOCKS = range(20000, 30000, BLOCK)
_SINGLE = range(30000, 32768)
_given: set[int] = set()
_guards: list[socket.socket] = []


def free_port() -> int:
    """A port that nothing listens on right now, another one at each call."""
    for port in random.sample(_SINGLE, len(_SINGLE)):
        if port not in _given and _bound(port, keep=False):
            _given.add(port)
            return port
    raise ConfigError(f"no port is free between {_SINGLE.start} and {_SINGLE.stop}")


def own_block() -> int:
    """The first of `BLOCK` ports that no other instance on this machine uses while this one lives.

    Two that both start at Serve's 40000 would share it, and each get the other's requests: Serve
    asks gRPC for a port of its own with the text "0", which gRPC doesn't take for a number.
    """
    for first in _BLOCKS:
        if _bound(first, keep=True):
            return first
    raise ConfigError(f"no ports left for replicas between {_BLOCKS.start} and {_BLOCKS.stop}")


def _bound(port: int, *, keep: bool) -> bool:
    guard = socket.socket()
    try:
        guard.bind(("127.0.0.1", port))
    except OSError:
        guard.close()
        return False
    if keep:
        _guards.append(guard)  # until the process ends
    else:
        guard.close()
    return True
