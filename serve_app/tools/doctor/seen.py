"""A service on Kubernetes as its resources show it: which cluster serves, which is being made, whose
pods are whose. Looks alone, no judgement."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from serve_app.tools.doctor.causes import Json, Snapshot
from serve_app.tools.doctor.happened import Event, Lost, events, lost
from serve_app.tools.doctor.times import seconds
from serve_app.tools.kube.documents import get
from serve_app.tools.kube.pods import Pod
from serve_app.tools.kube.ray_cluster import FAULT_TOLERANCE, RayCluster
from serve_app.tools.kube.ray_service import RayService


class Seen:
    """Over one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.service = RayService(snapshot.service)
        self.active, self.pending = self.service.active.name, self.service.pending.name
        self.kept = [name for name in (self.active, self.pending) if name]  # clusters that are to stay

    @cached_property
    def events(self) -> list[Event]:
        return events(self.snapshot.events)

    @cached_property
    def lost(self) -> list[Lost]:
        return list(lost(self.events))

    @cached_property
    def pods(self) -> list[Pod]:
        """Those that are there, those that have been told to go among them."""
        return list(map(Pod, self.snapshot.pods))

    @property
    def blind(self) -> bool:
        """Whether pods couldn't be looked at: then there are none here, whatever there is."""
        return any(one.startswith("pods ") for one in self.snapshot.unseen)

    @property
    def ending(self) -> str:
        """Since when the namespace is being deleted, '' where it isn't."""
        whole = str(get(self.snapshot.whole, "metadata", "deletionTimestamp") or "")
        said = (
            str(one.get("lastTransitionTime"))
            for cluster in self.snapshot.clusters
            for one in get(cluster, "status", "conditions") or []
            if "because it is being terminated" in str(one.get("message"))
        )
        return whole or next(said, "")

    def cluster(self, name: str) -> Json:
        """The RayCluster of that name, empty where it isn't there."""
        found = self.snapshot.clusters
        return next((one for one in found if one["metadata"]["name"] == name), {})

    def made(self, name: str) -> str:
        """When a RayCluster was made."""
        return str(get(self.cluster(name), "metadata", "creationTimestamp") or "")

    def condition(self, kind: str) -> Mapping[str, Any]:
        """Of the service, empty where it isn't there."""
        return _condition(self.service.conditions, kind)

    def of_cluster(self, name: str, kind: str) -> Mapping[str, Any]:
        """A condition of a RayCluster."""
        return _condition(get(self.cluster(name), "status", "conditions") or [], kind)

    def provisioned(self, name: str) -> str:
        """When all pods of a cluster had been ready for the first time, '' before that."""
        found = self.of_cluster(name, "RayClusterProvisioned")
        return str(found.get("lastTransitionTime") or "") if found.get("status") == "True" else ""

    def heads(self, name: str) -> list[Pod]:
        """A cluster's head, once it is there and as long as it stays."""
        return self._of(name, "head")

    def workers(self, name: str) -> list[Pod]:
        """Those that stay."""
        return self._of(name, "worker")

    def leaving(self, name: str) -> list[Pod]:
        """Workers that have been told to go."""
        return [one for one in self.pods if one.cluster == name and one.role == "worker" and one.leaves]

    def _of(self, name: str, role: str) -> list[Pod]:
        return [one for one in self.pods if (one.cluster, one.role) == (name, role) and not one.leaves]

    def wanted(self, name: str) -> int:
        """How many workers a cluster is to have."""
        number = get(self.cluster(name), "status", "desiredWorkerReplicas")
        return number if isinstance(number, int) else 0

    def ray_cluster(self, name: str) -> RayCluster | None:
        """What a cluster was made from; the autoscaler sets its numbers of workers."""
        return RayCluster.of({**self.cluster(name), "kind": "RayCluster"})

    def keeps_state(self, name: str) -> bool:
        """Whether its head's state outlives the head."""
        cluster = self.cluster(name)
        notes = get(cluster, "metadata", "annotations") or {}
        return bool(get(cluster, "spec", FAULT_TOLERANCE) or notes.get("ray.io/ft-enabled") == "true")

    def applications(self, name: str) -> Mapping[str, Any]:
        """Of a cluster's Serve: its own word, else the operator's, which is a little older."""
        said = self.snapshot.serves.get(name)
        if said is not None:
            return {app: one or {} for app, one in (said.get("applications") or {}).items()}
        return self.told(name)

    def told(self, name: str) -> Mapping[str, Any]:
        """The same by the operator."""
        one = self.service.active if name == self.active else self.service.pending
        found = one.applications if name in self.kept else {}
        return {app: said or {} for app, said in found.items()}

    def since_event(self, reason: str, of: str) -> str:
        """When something last happened to what has that name."""
        return next((e.at for e in reversed(self.events) if (e.reason, e.of) == (reason, of)), "")


def _condition(conditions: Iterable[Any], kind: str) -> Mapping[str, Any]:
    return next((one for one in conditions if one.get("type") == kind), {})


def before(first: str, second: str) -> bool:
    """Whether one moment is known to be before another."""
    between = seconds(first, second)
    return between is not None and between > 0
