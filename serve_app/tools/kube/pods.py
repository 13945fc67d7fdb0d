"""A pod as Kubernetes describes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from serve_app.tools.kube.part import Looks


@dataclass(frozen=True)
class Pod(Looks):
    """One pod, with what its status says."""

    data: Mapping[str, Any]
    place = ()

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return self.text("metadata", "name")

    @property
    def labels(self) -> Mapping[str, Any]:
        """Its labels; KubeRay's are `ray.io/cluster`, `ray.io/node-type` and others."""
        return self.mapping("metadata", "labels")

    @property
    def cluster(self) -> str:
        """The RayCluster whose pod it is, '' for none."""
        return self.text("metadata", "labels", "ray.io/cluster")

    @property
    def role(self) -> str:
        """`head`, `worker`, `redis-cleanup`, or ''."""
        return self.text("metadata", "labels", "ray.io/node-type")

    @property
    def created(self) -> str:
        """When it was made."""
        return self.text("metadata", "creationTimestamp")

    @property
    def leaves(self) -> str:
        """When it will have to be gone, '' for one that stays."""
        return self.text("metadata", "deletionTimestamp")

    @property
    def grace(self) -> int:
        """Seconds from being told to go to having to be gone."""
        return self.number("metadata", "deletionGracePeriodSeconds") or 0

    @property
    def told_to_go(self) -> str:
        """When it was told to, '' for one that stays."""
        try:
            last = datetime.fromisoformat(self.leaves)
        except ValueError:
            return ""
        return (last - timedelta(seconds=self.grace)).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def phase(self) -> str:
        """Pending, Running, Succeeded, Failed or ''."""
        return self.text("status", "phase")

    @property
    def placed(self) -> str:
        """The machine it is on."""
        return self.text("spec", "nodeName")

    @property
    def said(self) -> str:
        """Why the kubelet ended it (Evicted, say), and its message."""
        return ": ".join(filter(None, (self.text("status", "reason"), self.text("status", "message"))))

    @property
    def claims(self) -> list[str]:
        """The volume claims that it uses."""
        found = (one.text("persistentVolumeClaim", "claimName") for one in self.parts("spec", "volumes"))
        return list(filter(None, found))

    @property
    def conditions(self) -> list[Any]:
        """Mappings with `type`, `status` and `message`."""
        return self.items("status", "conditions")

    def condition(self, kind: str) -> Mapping[str, Any]:
        """One of them, empty where it isn't there."""
        return next((one for one in self.conditions if one.get("type") == kind), {})

    @property
    def ready(self) -> bool | None:
        """What the condition Ready says, None where it isn't known."""
        return {"True": True, "False": False}.get(str(self.condition("Ready").get("status")))

    @property
    def ray(self) -> Mapping[str, Any]:
        """The status of Ray's container, empty while it has none."""
        name, statuses = self.get("spec", "containers", 0, "name"), self._statuses
        own = [one for one in statuses if one.get("name") == name]
        found: Mapping[str, Any] = (own or statuses or [{}])[0]
        return found

    @property
    def started(self) -> str:
        """When Ray's container was started, the last time; when the pod was made before that."""
        state = self.ray.get("state") or {}
        running = state.get("running") or state.get("terminated") or {}
        return str(running.get("startedAt") or self.created)

    @property
    def _statuses(self) -> list[Any]:
        return self.items("status", "containerStatuses")

    @property
    def containers(self) -> list[Any]:
        """The status of each container, those of its start first."""
        return [*self.items("status", "initContainerStatuses"), *self._statuses]

    @property
    def died(self) -> bool:
        """Whether one of its containers has ended before and was started again."""
        return any((one.get("lastState") or {}).get("terminated") for one in self._statuses)

    @property
    def ended(self) -> bool:
        """Whether one of its containers has ended and stays so (`restartPolicy: Never`)."""
        ended = [(one.get("state") or {}).get("terminated") or {} for one in self._statuses]
        return any(one.get("exitCode") for one in ended)

    @property
    def requests(self) -> dict[str, Mapping[str, Any]]:
        """What each container asks the scheduler for, by the container's name."""
        boxes = self.parts("spec", "containers")
        return {one.text("name"): one.mapping("resources", "requests") for one in boxes}
