"""A RayService: what its fields ask for, and what KubeRay's operator says in its status."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serve_app.tools.kube.part import Looks
from serve_app.tools.kube.ray_cluster import RayCluster

INCREMENTAL = "NewClusterWithIncrementalUpgrade"
STRATEGIES = ("NewCluster", INCREMENTAL, "None")


@dataclass(frozen=True)
class ServedCluster(Looks):
    """What the status says of the active or of the pending cluster. Empty where there is none."""

    data: Mapping[str, Any]
    place = ()

    @property
    def name(self) -> str:
        """The RayCluster's, '' while there is none."""
        return self.text("rayClusterName")

    @property
    def applications(self) -> Mapping[str, Any]:
        """Serve's, by name, each with `status`, `message` and `serveDeploymentStatuses`."""
        return self.mapping("applicationStatuses")


@dataclass(frozen=True)
class RayService(Looks):
    """One resource of the kind. Every field of it may be missing, as in a file that nobody checked."""

    data: Mapping[str, Any]
    place = ()

    def spec(self, *path: str | int) -> Any:
        """A value of its spec, None where there is none."""
        return self.get("spec", *path)

    @property
    def cluster(self) -> RayCluster | None:
        """The cluster that it asks for."""
        return RayCluster.of({**self.data, "kind": "RayService"})

    @property
    def strategy(self) -> Any:
        """The upgradeStrategy's type as written, None for the operator's own choice."""
        return self.spec("upgradeStrategy", "type")

    @property
    def without_head(self) -> bool:
        """Whether the serve service leaves the head's pod out."""
        return bool(self.spec("excludeHeadPodFromServeSvc"))

    @property
    def deletion_delay(self) -> Any:
        """Seconds from a switch-over to the end of the old cluster, None for the operator's 60."""
        return self.spec("rayClusterDeletionDelaySeconds")

    @property
    def status(self) -> Mapping[str, Any]:
        """The operator's; empty where no operator looks after it."""
        return self.mapping("status")

    @property
    def conditions(self) -> list[Any]:
        """Of the status: mappings with `type`, `status`, `reason` and `message`."""
        return self.items("status", "conditions")

    @property
    def active(self) -> ServedCluster:
        """The cluster that requests go to."""
        return ServedCluster(self.mapping("status", "activeServiceStatus"))

    @property
    def pending(self) -> ServedCluster:
        """The one that gets ready to take over."""
        return ServedCluster(self.mapping("status", "pendingServiceStatus"))
