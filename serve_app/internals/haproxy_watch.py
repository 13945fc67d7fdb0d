"""Watches one HAProxy: starts another when it was killed, ends it when it is nobody's any more.

Serve itself notices after three of its checks, and starts an HAProxy without routes then. Serve's
manager, whose child the killed one was, can't reload another: it is ended as soon as there is one, and
Serve's next manager takes over from that (`haproxy_start`). The standard library alone.
"""

import contextlib
import fcntl
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from serve_app.internals.haproxy_start import SERVED, answers, replaced, socket_of

_BEGINS_S = 30.0  # Serve waits no longer
# Serve kills HAProxy to stop it, and its manager within some tens of milliseconds.
_STOPPED_TOO_S = 1.0
# So much longer on a machine that is busy; within three seconds Serve itself gives the manager up.
_SLOWLY_S = 1.0
_LEASE_S = 120.0  # without a manager; Serve has a new one long before
_LOOK_S = 0.1


def main(binary: str, file: str, haproxy: str, manager: str, raylet: str, *options: str) -> None:
    """Of `haproxy_start`, which names file and binary so that nobody takes this for HAProxy."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started everything
    others = Process(int(manager)), Process(int(raylet))
    path = Path(file.removeprefix("file="))
    watch = Watch(binary.removeprefix("binary="), path, Process(int(haproxy)), *others)
    watch.run([one for one in options if one])


class Process:
    """One that isn't our child, and no later one of the same number."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = -1
        with contextlib.suppress(ProcessLookupError):
            self._descriptor = os.pidfd_open(pid)

    def ended(self, seconds: float = 0) -> bool:
        """Whether it has ended, or does within so many seconds."""
        return one_ends([self], seconds)

    def send(self, number: int) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def fileno(self) -> int:
        return self._descriptor


def one_ends(processes: list[Process], seconds: float | None) -> bool:
    """Wait until one of them has ended, or so long: whether one has."""
    if any(one.fileno() < 0 for one in processes):
        return True
    return bool(select.select(processes, [], [], seconds)[0])


class Watch:
    """An HAProxy that serves with `file`, its manager, and Ray's node, which outlives both."""

    def __init__(
        self, binary: str, file: Path, haproxy: Process, manager: Process, raylet: Process
    ) -> None:
        self._binary, self._text = binary, file.read_text()
        self._haproxy, self._manager, self._raylet = haproxy, manager, raylet
        self._served = file.with_name(file.name + SERVED)
        self._socket = socket_of(self._text)
        self._child: subprocess.Popen[bytes] | None = None

    def run(self, options: list[str]) -> None:
        """Until somebody else watches its successor, or there is to be none."""
        if not self._begun():
            return  # Serve says why
        replaced(self._served, self._text)
        over: float | None = None  # when its lease is
        while True:
            known = [self._haproxy, self._raylet] + ([] if over else [self._manager])
            left = max(0.0, over - time.monotonic()) if over else None
            in_time = one_ends(known, left)
            if self._raylet.ended() or not in_time:
                self._haproxy.send(signal.SIGTERM)
                return
            if self._haproxy.ended() and not self._again(options, had_manager=over is None):
                return
            over = over or time.monotonic() + _LEASE_S

    def _begun(self) -> bool:
        """Whether this HAProxy is the one that answers, before Serve gives it up."""
        until = time.monotonic() + _BEGINS_S
        while time.monotonic() < until and not self._haproxy.ended(_LOOK_S):
            if answering(self._socket) == self._haproxy.pid:
                return True
        return False

    def _again(self, options: list[str], had_manager: bool) -> bool:
        """Start another, unless this one was meant to end or has a successor."""
        if self._child is not None:
            self._child.wait()
        stopped = self._manager.ended(_STOPPED_TOO_S) and had_manager
        with locked(self._served):
            if stopped or answers(self._socket) or self._raylet.ended():
                return False
            command = [self._binary, "-db", "-f", str(self._served), *options]
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603
            self._haproxy = Process(self._child.pid)
            self._begun()
        if had_manager and self._manager.ended(_SLOWLY_S):
            self._haproxy.send(signal.SIGTERM)  # it was meant to end, by a Serve that had little time
            return False
        self._manager.send(signal.SIGKILL)
        return True


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """By one watch at a time: several may have lost theirs at once."""
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def answering(where: str) -> int:
    """The process that HAProxy's socket leads to; 0 where there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError), socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(5)
        asking.connect(where)
        asking.sendall(b"show info\n")
        said = b"".join(iter(lambda: asking.recv(2**16), b""))
        return int(said.partition(b"\nPid:")[2].split()[0])
    return 0
