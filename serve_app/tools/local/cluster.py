"""One Ray cluster of this machine: a head, workers, and what Serve says on it."""

import itertools
import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serve_app.ports import Block
from serve_app.tools.dashboard import Dashboard, Refused, healthy
from serve_app.tools.local.launch import Launch
from serve_app.tools.local.manifest import Manifest, NodeGroup
from serve_app.tools.local.node import Node


class Cluster:
    """What the operator makes of a RayCluster, a little more at each `tick`."""

    def __init__(
        self, manifest: Manifest, folder: Path, launch: Launch, token: str, redis: str = ""
    ) -> None:
        self.manifest = manifest
        self._redis = redis if manifest.fault_tolerant else ""
        suffix = "".join(random.choices(string.ascii_lowercase, k=5))  # noqa: S311 - a name
        self.name = f"{manifest.name}-{suffix}"
        self._folder, self._launch = folder, launch
        self._token = token if manifest.token else ""
        self._numbers = itertools.count(1)
        self.workers: list[Node] = []
        self.applications: dict[str, Any] = {}
        self._taken: dict[str, Any] | None = None  # the serveConfigV2 that Serve has
        self._problem = ""  # why it hasn't the one it should
        self.head = self._node(manifest.groups[0])
        self.head.start(self.head)

    @property
    def nodes(self) -> list[Node]:
        """The head first."""
        return [self.head, *self.workers]

    def tick(self) -> Iterator[str]:
        """Bring what runs nearer to the manifest; says what was done."""
        yield from self._ended()
        for group in self.manifest.groups[1:]:
            yield from self._scaled(group)
        for node in self.workers:
            if not node.began and self.head.listens:
                node.start(self.head)
        yield from self._served()

    def _ended(self) -> Iterator[str]:
        """Pods that ended are made anew. With its head a cluster without Redis loses everything."""
        if not self.head.alive and self._redis:
            yield f"{self.head.name} has ended, the next one asks Redis: {self.head.last_words()}"
            self.head.kill()  # what it left behind
            self.head = self._node(self.manifest.groups[0], self.head.block)
            self.head.start(self.head)
        elif not self.head.alive:
            yield f"{self.head.name} has ended, and the cluster with it: {self.head.last_words()}"
            self.kill()
            self.workers, self.applications, self._taken = [], {}, None
            self.head = self._node(self.manifest.groups[0])
            self.head.start(self.head)
        for node in [node for node in self.workers if node.began and not node.alive]:
            node.kill()  # what it left behind
            self.workers.remove(node)
            yield f"{node.name} has ended" + ("" if node.leaving else f": {node.last_words()}")

    def _scaled(self, group: NodeGroup) -> Iterator[str]:
        here = [node for node in self.workers if node.group.name == group.name and not node.leaving]
        for _ in range(group.replicas - len(here)):
            self.workers.append(self._node(group))
            yield f"{self.workers[-1].name} is made"
        for node in here[group.replicas :]:
            node.ask_to_leave()
            yield f"{node.name} drains"

    def _served(self) -> Iterator[str]:
        dashboard = Dashboard(f"http://127.0.0.1:{self.head.dashboard_port}", self._token)
        wanted = self.manifest.serve_config
        try:
            if wanted != self._taken:
                dashboard.deploy(self._localized(wanted))
                self._taken, self._problem = wanted, ""
                yield f"{self.name}: Serve has taken serveConfigV2"
            self.applications = dashboard.applications()
        except Refused as error:
            if str(error) != self._problem:
                yield f"{self.name}: Serve refuses serveConfigV2: {error}"
            self._problem = str(error)
        except OSError:
            pass  # not up yet, or busy: the next turn

    def _localized(self, config: dict[str, Any]) -> dict[str, Any]:
        """With ports of the head's own: those of the config are the services'."""
        http = {**(config.get("http_options") or {}), "host": "127.0.0.1", "port": self.head.http_port}
        local = {**config, "http_options": http}
        if config.get("grpc_options"):
            local["grpc_options"] = {**config["grpc_options"], "port": self.head.grpc_port}
        return local

    @property
    def running(self) -> bool:
        """Whether every application of the config is."""
        names = [app["name"] for app in self.manifest.serve_config.get("applications") or []]
        states = {name: app["status"] for name, app in self.applications.items()}
        return self._taken == self.manifest.serve_config and {states.get(n) for n in names} == {
            "RUNNING"
        }

    def ready(self) -> list[Node]:
        """Nodes that the serve service takes: whose proxy says yes, the head only if it may."""
        may = self.workers if self.manifest.without_head else self.nodes
        return [node for node in may if node.alive and not node.leaving and healthy(node.http_port)]

    def leave(self) -> None:
        """SIGTERM to every node at once, as when Kubernetes deletes a cluster's pods."""
        for node in self.nodes:
            node.ask_to_leave()

    def kill(self) -> None:
        """All of it at once."""
        for node in self.nodes:
            node.kill()

    @property
    def gone(self) -> bool:
        """Whether nothing runs any more."""
        return not any(node.alive for node in self.nodes)

    def _node(self, group: NodeGroup, block: Block | None = None) -> Node:
        """`block`: the ports of the one before it, as a service's address stays."""
        name = f"{self.name}-{group.name}-{next(self._numbers)}"
        operators = {"RAY_CLUSTER_NAME": self.name, "RAY_AUTH_MODE": "disabled"}
        if self._token:
            operators |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self._token}
        if self._redis:
            operators |= {"RAY_gcs_rpc_server_reconnect_timeout_s": "600"}
        if self._redis and group.name == "head":
            operators |= {
                "RAY_REDIS_ADDRESS": self._redis, "RAY_external_storage_namespace": self.name,
            }  # fmt: skip
        return Node(name, group, self._folder, self._launch, operators, block)
