"""A pod as Kubernetes describes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pod:
    """One pod, with what its status says."""

    data: Mapping[str, Any]

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return str((self.data.get("metadata") or {}).get("name"))

    @property
    def labels(self) -> Mapping[str, Any]:
        """Its labels; KubeRay's are `ray.io/cluster`, `ray.io/node-type` and others."""
        return (self.data.get("metadata") or {}).get("labels") or {}

    @property
    def _status(self) -> Mapping[str, Any]:
        return self.data.get("status") or {}

    @property
    def conditions(self) -> list[Any]:
        """Mappings with `type`, `status` and `message`."""
        return self._status.get("conditions") or []

    @property
    def ready(self) -> bool | None:
        """What the condition Ready says, None where it isn't known."""
        said = {one.get("type"): one.get("status") for one in self.conditions}
        return {"True": True, "False": False}.get(str(said.get("Ready")))

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
    def requests(self) -> dict[str, Mapping[str, Any]]:
        """What each container asks the scheduler for, by the container's name."""
        containers = (self.data.get("spec") or {}).get("containers") or []
        return {
            str(one.get("name")): (one.get("resources") or {}).get("requests") or {}
            for one in containers
        }
