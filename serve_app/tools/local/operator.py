"""The part of KubeRay's operator that decides: in place, or a second cluster and a switch-over."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from serve_app.tools.local.cluster import Cluster
from serve_app.tools.local.front import Front
from serve_app.tools.local.launch import Launch
from serve_app.tools.local.manifest import Manifest
from serve_app.tools.ray_token import own_token


class Operator:
    """Keeps one RayService as its manifest says. `tick` it about once a second.

    `redis`: the address of one, for a manifest that has `gcsFaultToleranceOptions`.
    """

    def __init__(
        self, manifest: Manifest, folder: Path, launch: Launch, front: Front, redis: str = ""
    ) -> None:
        self._redis = redis
        self.token = own_token()
        self._wanted = manifest
        self._folder, self._launch, self._front = folder, launch, front
        self.active: Cluster | None = None
        self.pending: Cluster | None = None
        self._old: list[tuple[float, Cluster]] = []  # when to end each

    def apply(self, manifest: Manifest) -> Iterator[str]:
        """`kubectl apply` of a changed manifest."""
        newest = self.pending or self.active
        if newest is None or manifest.grown_from(newest.manifest):
            yield "applied in place"
        elif manifest.upgrade == "None":
            groups = newest.manifest.groups
            manifest = replace(manifest, groups=groups, token=newest.manifest.token)
            yield "upgradeStrategy None: the cluster stays as it is"
        else:
            yield "the cluster's spec has changed: a second cluster, then a switch-over"
        self._wanted = manifest

    def tick(self) -> Iterator[str]:
        """One turn; says what it did."""
        yield from self._clusters()
        for cluster in filter(None, (self.active, self.pending)):
            yield from cluster.tick()
        if self.pending and self.pending.running and (nodes := self.pending.ready()):
            yield from self._switch(self.pending, len(nodes))
        if self.active:
            self._front.show(self.active.ready(), self.active.head)
        elif self.pending:  # its dashboard says why it doesn't serve
            self._front.show((), self.pending.head)
        yield from self._endings()

    def _clusters(self) -> Iterator[str]:
        """A change goes to the newest cluster; an upgrade leaves the active one as it was."""
        newest = self.pending or self.active
        if newest and self._wanted.grown_from(newest.manifest):
            newest.manifest = self._wanted
            return
        if self.pending:
            yield f"{self.pending.name} is out of date before it served"
            self._end(self.pending, 0)
        if self.active and self._wanted.grown_from(self.active.manifest):
            self.active.manifest, self.pending = self._wanted, None  # taken back
            return
        self.pending = Cluster(self._wanted, self._folder, self._launch, self.token, self._redis)
        yield f"{self.pending.name} is made"

    def _switch(self, to: Cluster, nodes: int) -> Iterator[str]:
        old, self.active, self.pending = self.active, to, None
        # New connections go to the new cluster; those that there are end with the old one.
        self._front.show(to.ready(), to.head)
        yield f"{to.name} serves, with {nodes} node{'s' if nodes > 1 else ''}"
        if old:
            yield f"{old.name} ends in {old.manifest.delay:g} s"
            self._end(old, old.manifest.delay)

    def _end(self, cluster: Cluster, delay: float) -> None:
        self._old.append((time.monotonic() + delay, cluster))

    def _endings(self) -> Iterator[str]:
        for due, cluster in list(self._old):
            if time.monotonic() >= due:
                cluster.leave()
            if cluster.gone:
                self._old.remove((due, cluster))
                yield f"{cluster.name} is gone"

    @property
    def clusters(self) -> list[Cluster]:
        return [*filter(None, (self.active, self.pending)), *(cluster for _, cluster in self._old)]
