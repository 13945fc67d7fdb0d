"""One Ray node of this machine: what a pod's container would run, with ports of its own."""

import socket
from collections.abc import Mapping
from pathlib import Path

from serve_app.internals.ray_start import on_loopback_by_hooks
from serve_app.ports import Block, own_block
from serve_app.processes import Program
from serve_app.tools.local.launch import Launch
from serve_app.tools.local.manifest import NodeGroup
from serve_app.tools.shared_machine import AGENT_PATIENCE, haproxy_threads, places

_HERE = "127.0.0.1"


class Node:
    """A pod's container. Nothing runs before `start`."""

    def __init__(
        self,
        name: str,
        group: NodeGroup,
        folder: Path,
        launch: Launch,
        given: Mapping[str, str],
        block: Block | None = None,
    ) -> None:
        self.name, self.group = name, group
        self.head = group.name == "head"
        self.log = folder / f"{name}.log"
        self._folder = folder / f"n{len(list(folder.iterdir()))}"  # short: sockets lie in it
        self._folder.mkdir()
        self.block = block or own_block()
        self._launch, self._given = launch, given
        self._program: Program | None = None
        self.leaving = False  # asked to end

    @property
    def http_port(self) -> int:
        """Of its proxy: HTTP."""
        return self.block.single[4]

    @property
    def grpc_port(self) -> int:
        """Of its proxy: gRPC."""
        return self.block.single[5]

    @property
    def dashboard_port(self) -> int:
        """A head's."""
        return self.block.single[7]

    @property
    def listens(self) -> bool:
        """A head's: whether others can join."""
        with socket.socket() as probe:
            return probe.connect_ex((_HERE, self.block.single[6])) == 0

    def start(self, head: "Node") -> None:
        """Run `ray start`, and don't wait."""
        env = self._environment(head)
        start = ["--block", *(["--head"] if self.head else [])]
        start += [f"--{key}={value}" for key, value in self._parameters(head).items()]
        command = self._launch.command(self.name, self.group.image, env, start)
        whole = self._launch.environment(env)
        self._program = Program(command, self.log, env=whole, inherit=False)
        self._program.start()

    def _parameters(self, head: "Node") -> dict[str, str]:
        single = self.block.single
        found = {
            **self.group.params,
            "node-ip-address": _HERE,
            "temp-dir": str(self._folder / "ray"),
            "dashboard-agent-listen-port": str(single[9]),
            "metrics-export-port": str(single[10]),
            "min-worker-port": "0",  # any that is free: the nodes have one address
            "max-worker-port": "0",
        }
        if not self.head:
            return found | {"address": f"{_HERE}:{head.block.single[6]}"}
        return found | {
            "port": str(single[6]),
            "dashboard-host": _HERE,
            "dashboard-port": str(single[7]),
            "ray-client-server-port": str(single[8]),
        }

    def _environment(self, head: "Node") -> dict[str, str]:
        """The container's and the operator's variables, then what one machine for all nodes needs."""
        return {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_SERVE_HAPROXY_NBTHREAD": haproxy_threads(),
            **self.group.env,
            **self._given,
            **places(head.block, self.block, self._folder),
            "RAY_SERVE_WORKER_PROXY_HTTP_PORT": str(self.http_port),
            "RAY_SERVE_WORKER_PROXY_GRPC_PORT": str(self.grpc_port),
            **on_loopback_by_hooks(self._folder),
            **AGENT_PATIENCE,
        }

    @property
    def began(self) -> bool:
        """Whether it was started."""
        return self._program is not None

    @property
    def alive(self) -> bool:
        """Whether `ray start` runs."""
        return self._program is not None and self._program.alive

    def ask_to_leave(self) -> None:
        """What Kubernetes does first: SIGTERM. Ray drains, and ends."""
        if not self.leaving and self._program is not None:
            self._program.terminate()
        self.leaving = True

    def kill(self) -> None:
        """All its processes at once, without a word."""
        self._launch.kill(self.name)
        if self._program is not None:
            self._program.kill()

    def last_words(self) -> str:
        """The end of its log, and where the rest is."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n  ".join([*lines[-5:], f"({self.log})"])

    @property
    def pids(self) -> list[int]:
        return [one.pid for one in self._program.family()] if self._program else []
