"""An HAProxy that is killed, or whose manager is: by processes that stand for Ray's."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from serve_app.internals.haproxy import haproxy_wrapper
from serve_app.internals.haproxy_watch import answering
from serve_app.ports import free_port
from tests.contracts.rendered import GRPC, HTTP, group, rendered

# Starts what it is told, as Serve's manager does, and lives on; stops it when it reads a line, and ends.
MANAGER = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:])
sys.stdin.readline()
child.kill()
child.wait()
"""


class Node:
    """A folder, ports, something that is Ray's node, and managers one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._ports = {"grpc_port": free_port(), "other": (free_port(), free_port())}
        self.wrapper = haproxy_wrapper(folder)
        self.raylet = subprocess.Popen(["sleep", "600"])
        self.managers: list[subprocess.Popen[bytes]] = []
        self.socket = str(folder / "admin.sock")
        self.write(group("tandem", HTTP, free_port()), group("tandem", GRPC, free_port()))

    def write(self, *groups: object) -> None:
        """The configuration, as Serve has it now."""
        self.file = rendered(self.folder, *groups, http_port=self.port, **self._ports)  # type: ignore[arg-type]

    def manager(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A new one, whose HAProxy has begun."""
        before = answering(self.socket)
        command = [sys.executable, "-c", MANAGER, str(self.wrapper), "-db", "-f", str(self.file), "-dR"]
        environment = {**os.environ, "RAY_RAYLET_PID": str(self.raylet.pid)}
        made = subprocess.Popen([*command, *arguments], env=environment, stdin=subprocess.PIPE)
        self.managers.append(made)
        until(lambda: answering(self.socket) not in (0, before))
        until(lambda: (self.folder / "haproxy.cfg.served").exists())
        return made

    @property
    def haproxy(self) -> psutil.Process:
        return psutil.Process(answering(self.socket))

    def processes(self) -> list[psutil.Process]:
        """HAProxy's, and those that watch them."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if str(self.file) in line and "MANAGER" not in line and process.ppid() != 0:
                    found.append(process)
        return [one for one in found if one.pid not in {each.pid for each in self.managers}]

    def served(self) -> bool:
        """Whether somebody listens for clients."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            return True
        return False

    def close(self) -> None:
        for one in [self.raylet, *self.managers]:
            one.kill()
            one.wait()
            if one.stdin:
                one.stdin.close()
        until(lambda: not self.processes())


def until(true: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def node(tmp_path_factory):
    made = Node(tmp_path_factory.mktemp("n"))
    yield made
    made.close()


def test_one_that_is_killed_is_back_and_its_manager_makes_place(node):
    manager = node.manager()
    killed = node.haproxy
    killed.kill()
    until(lambda: not node.served())
    until(node.served)
    assert node.haproxy.pid != killed.pid
    assert manager.wait(20) == -signal.SIGKILL  # it could reload this one no more
    second = node.haproxy
    second.kill()  # nobody's child, and watched all the same
    until(lambda: answering(node.socket) not in (0, second.pid))
    third = node.haproxy
    node.manager()
    until(lambda: not third.is_running() or third.status() == psutil.STATUS_ZOMBIE)
    until(lambda: len(node.processes()) == 2)  # one, and who watches it


def test_a_new_manager_takes_over_from_one_that_was_killed(node):
    node.manager().kill()
    orphan = node.haproxy
    time.sleep(1)
    assert orphan.is_running()
    node.write()  # what a new manager knows at first
    assert "backend http-" not in node.file.read_text()
    node.manager()
    assert node.haproxy.pid != orphan.pid
    assert "backend http-tandem" in node.file.read_text()
    until(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE)
    until(lambda: len(node.processes()) == 2)


def test_nobody_is_refused_meanwhile(node):
    refused = 0
    node.manager().kill()
    before = node.haproxy.pid
    command = [str(node.wrapper), "-db", "-f", str(node.file), "-dR"]
    environment = {**os.environ, "RAY_RAYLET_PID": str(node.raylet.pid)}
    node.managers.append(subprocess.Popen([sys.executable, "-c", MANAGER, *command], env=environment,
                                          stdin=subprocess.PIPE))  # fmt: skip
    while answering(node.socket) in (0, before):
        refused += not node.served()
    for _ in range(50):
        refused += not node.served()
    assert refused == 0


def test_one_that_is_stopped_stays_so(node):
    manager = node.manager()
    assert manager.stdin is not None
    manager.stdin.write(b"\n")
    manager.stdin.flush()
    manager.wait(20)
    until(lambda: not node.processes())
    assert not node.served()


def test_a_reload_is_left_to_serve(node):
    node.manager()
    first = node.haproxy
    node.manager("-sf", str(first.pid), "-x", node.socket)
    until(lambda: not first.is_running() or first.status() == psutil.STATUS_ZOMBIE)
    until(lambda: len(node.processes()) == 2)
    assert all(one.poll() is None for one in node.managers)


def test_without_the_node_there_is_none(node):
    node.manager().kill()
    node.raylet.kill()
    node.raylet.wait()
    until(lambda: not node.processes())
    assert not node.served()


def test_one_that_cannot_start_is_not_tried_again(node):
    node.file.write_text(node.file.read_text() + "nonsense\n")
    command = [sys.executable, "-c", MANAGER, str(node.wrapper), "-db", "-f", str(node.file)]
    environment = {**os.environ, "RAY_RAYLET_PID": str(node.raylet.pid)}
    made = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    node.managers.append(made)
    assert made.stderr is not None
    line = b""
    while b"nonsense" not in line:
        line = made.stderr.readline()
        assert line
    made.stderr.close()
    until(lambda: not node.processes())
    assert made.poll() is None
