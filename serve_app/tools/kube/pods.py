"""A pod as Kubernetes describes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class Pod:
    """One pod, with what its status says."""

    data: Mapping[str, Any]

    @property
    def _metadata(self) -> Mapping[str, Any]:
        return self.data.get("metadata") or {}

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return str(self._metadata.get("name"))

    @property
    def labels(self) -> Mapping[str, Any]:
        """Its labels; KubeRay's are `ray.io/cluster`, `ray.io/node-type` and others."""
        return self._metadata.get("labels") or {}

    @property
    def cluster(self) -> str:
        """The RayCluster whose pod it is, '' for none."""
        return str(self.labels.get("ray.io/cluster") or "")

    @property
    def role(self) -> str:
        """`head`, `worker`, `redis-cleanup`, or ''."""
        return str(self.labels.get("ray.io/node-type") or "")

    @property
    def created(self) -> str:
        """When it was made."""
        return str(self._metadata.get("creationTimestamp") or "")

    @property
    def leaves(self) -> str:
        """When it will have to be gone, '' for one that stays."""
        return str(self._metadata.get("deletionTimestamp") or "")

    @property
    def grace(self) -> int:
        """Seconds from being told to go to having to be gone."""
        return int(self._metadata.get("deletionGracePeriodSeconds") or 0)

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
        return str(self._status.get("phase") or "")

    @property
    def placed(self) -> str:
        """The machine it is on."""
        return str((self.data.get("spec") or {}).get("nodeName") or "")

    @property
    def said(self) -> str:
        """Why the kubelet ended it (Evicted, say), and its message."""
        words = (self._status.get("reason"), self._status.get("message"))
        return ": ".join(str(one) for one in words if one)

    @property
    def claims(self) -> list[str]:
        """The volume claims that it uses."""
        volumes = (self.data.get("spec") or {}).get("volumes") or []
        found = [(one.get("persistentVolumeClaim") or {}).get("claimName") for one in volumes]
        return [str(one) for one in found if one]

    @property
    def _status(self) -> Mapping[str, Any]:
        return self.data.get("status") or {}

    @property
    def conditions(self) -> list[Any]:
        """Mappings with `type`, `status` and `message`."""
        return self._status.get("conditions") or []

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
        spec = (self.data.get("spec") or {}).get("containers") or [{}]
        statuses = self._status.get("containerStatuses") or []
        own = [one for one in statuses if one.get("name") == spec[0].get("name")]
        found: Mapping[str, Any] = (own or statuses or [{}])[0]
        return found

    @property
    def started(self) -> str:
        """When Ray's container was started, the last time; when the pod was made before that."""
        state = self.ray.get("state") or {}
        running = state.get("running") or state.get("terminated") or {}
        return str(running.get("startedAt") or self.created)

    @property
    def containers(self) -> list[Any]:
        """The status of each container, those of its start first."""
        status = self._status
        return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]

    @property
    def died(self) -> bool:
        """Whether one of its containers has ended before and was started again."""
        statuses = self._status.get("containerStatuses") or []
        return any((one.get("lastState") or {}).get("terminated") for one in statuses)

    @property
    def ended(self) -> bool:
        """Whether one of its containers has ended and stays so (`restartPolicy: Never`)."""
        statuses = self._status.get("containerStatuses") or []
        ended = [(one.get("state") or {}).get("terminated") or {} for one in statuses]
        return any(one.get("exitCode") for one in ended)

    @property
    def requests(self) -> dict[str, Mapping[str, Any]]:
        """What each container asks the scheduler for, by the container's name."""
        containers = (self.data.get("spec") or {}).get("containers") or []
        return {
            str(one.get("name")): (one.get("resources") or {}).get("requests") or {}
            for one in containers
        }
