"""What becomes of a cluster whose head ends, with a Redis and without."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serve_app.tools.local import cluster as module
from serve_app.tools.local.manifest import Manifest, NodeGroup


class Node:
    """A node whose processes the test ends."""

    def __init__(self, name: str, group: NodeGroup, *more: Any) -> None:
        _, _, self.given, block = more
        self.name, self.group = name, group
        self.block = block or object()
        self.alive = self.listens = self.began = self.leaving = False
        self.dashboard_port = self.http_port = self.grpc_port = 1

    def start(self, head: "Node") -> None:
        self.alive = self.began = self.listens = True
        self.joined = head

    def kill(self) -> None:
        self.alive = False

    def last_words(self) -> str:
        return "killed"


def made(monkeypatch: pytest.MonkeyPatch, redis: str, fault_tolerant: bool = True) -> module.Cluster:
    away = SimpleNamespace(deploy=lambda config: None, applications=dict)
    monkeypatch.setattr(module, "Node", Node)
    monkeypatch.setattr(module, "Dashboard", lambda *_: away)
    groups = tuple(NodeGroup(name, 1, {}, {}, "", "") for name in ("head", "cpu"))
    manifest = Manifest("x", groups, {}, False, True, "", 0, fault_tolerant)
    found = module.Cluster(manifest, Path(), None, "", redis)  # type: ignore[arg-type]
    list(found.tick())
    return found


def test_with_a_redis_the_workers_stay_and_the_next_head_has_its_address(monkeypatch) -> None:
    cluster = made(monkeypatch, "127.0.0.1:6379")
    head, (worker,) = cluster.head, cluster.workers
    head.alive = False  # type: ignore[misc]
    said = list(cluster.tick())
    assert "asks Redis" in said[0]
    assert (cluster.workers, worker.alive) == ([worker], True)
    assert cluster.head is not head
    assert cluster.head.alive
    assert cluster.head.block is head.block
    names = {one.given["RAY_external_storage_namespace"] for one in (head, cluster.head)}  # type: ignore
    assert names == {cluster.name}
    assert cluster.head.given["RAY_REDIS_ADDRESS"] == "127.0.0.1:6379"  # type: ignore[attr-defined]
    assert "RAY_REDIS_ADDRESS" not in worker.given  # type: ignore[attr-defined]
    # As the operator sets it: the head comes back before workers give up.
    assert worker.given["RAY_gcs_rpc_server_reconnect_timeout_s"] == "600"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("redis", "fault_tolerant"), [("", True), ("127.0.0.1:6379", False)])
def test_without_one_everything_begins_anew(monkeypatch, redis, fault_tolerant) -> None:
    cluster = made(monkeypatch, redis, fault_tolerant)
    head, (worker,) = cluster.head, cluster.workers
    assert not [name for name in head.given if "REDIS" in name]  # type: ignore[attr-defined]
    head.alive = False  # type: ignore[misc]
    list(cluster.tick())
    assert not worker.alive
    assert cluster.workers != [worker]
    assert cluster.head.block is not head.block
