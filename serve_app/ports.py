"""Ports of this machine that nobody else is about to take."""

import atexit
import os
import socket
from collections import deque
from dataclasses import dataclass

from serve_app.errors import ConfigError

# Above those of Ray's workers (10002 to 19999), below those the kernel lends to outgoing
# connections (from 32768 on): what it lends, a client may hold by the time a server comes for it.
_BLOCKS = range(20000, 30000, 200)
_SINGLES = range(30000, 32760, 46)
_singles: deque[int] = deque()
_guards: list[socket.socket] = []


def _let_go() -> None:
    _singles.clear()
    while _guards:
        _guards.pop().close()


atexit.register(_let_go)
os.register_at_fork(after_in_child=_let_go)  # a child takes its own; its parent goes on holding these


@dataclass(frozen=True)
class Block:
    """The ports from `first` on, which itself is held: no other instance gets these while we live."""

    first: int

    @property
    def http(self) -> range:
        """For replicas."""
        return range(self.first + 1, self.first + 90)

    @property
    def grpc(self) -> range:
        """For replicas."""
        return range(self.first + 90, self.first + 180)

    @property
    def single(self) -> range:
        """For whatever there is one of."""
        return range(self.first + 180, self.first + _BLOCKS.step)


def free_port() -> int:
    """A port that nothing listens on right now, and no other process is given while this one lives.

    Not one of the last calls', as long as others are free: who asked then may not listen yet.
    """
    for _ in range(len(_singles)):
        _singles.rotate(-1)
        if _bound(_singles[-1], keep=False):
            return _singles[-1]
    first = _own(_SINGLES)
    _singles.extend(range(first + 1, first + _SINGLES.step))
    return free_port()


def own_block() -> Block:
    """Ports that no other instance on this machine uses while this process lives.

    Two whose replicas both start at Serve's 40000 would share them, and each get the other's
    requests: Serve asks gRPC for a port of its own with the text "0", which gRPC doesn't take for
    a number.
    """
    return Block(_own(_BLOCKS))


def _own(blocks: range) -> int:
    """The first port of a block that is this process's from now on."""
    for first in blocks:
        if _bound(first, keep=True):
            return first
    raise ConfigError(f"no ports are left between {blocks.start} and {blocks.stop}")


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
