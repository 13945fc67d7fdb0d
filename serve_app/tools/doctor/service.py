"""Causes in a RayService itself: upgrades, versions, modes, refusals."""

from collections.abc import Iterator

from serve_app.tools.doctor.causes import Cause, Snapshot
from serve_app.tools.kube.ray_service import RayService

_MODES = ("RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_THROUGHPUT_OPTIMIZED")


def look(snapshot: Snapshot) -> Iterator[Cause]:
    """Through the service's status and spec."""
    if version := snapshot.ray.get("mismatch"):
        yield Cause(
            26, "two versions of Ray", str(version),
            "replicas import what the cluster has, and Serve's own calls differ between versions",
            "an image from this Tandem's lock for head and workers, and its rayVersion",
        )  # fmt: skip
    if not snapshot.service:
        return
    service = RayService(snapshot.service)
    yield from _refused(service)
    yield from _upgrade(snapshot, service)
    yield from _modes(service)
    if not service.status:
        yield Cause(
            95,
            "no operator looks after the service",
            "its status is empty",
            "KubeRay isn't installed, doesn't watch this namespace, or is down",
            "kubectl get pods -A -l app.kubernetes.io/name=kuberay-operator",
        )


def _refused(service: RayService) -> Iterator[Cause]:
    for condition in service.conditions:
        if condition.get("reason") in ("ValidationFailed", "InvalidSpec"):
            yield Cause(
                94, "the operator refuses the service", str(condition.get("message") or ""),
                next="tandem check rayservice.yaml",
            )  # fmt: skip


def _upgrade(snapshot: Snapshot, service: RayService) -> Iterator[Cause]:
    active, pending = service.active.name, service.pending.name
    if not pending or not active:
        return
    made = [
        str(one["metadata"].get("creationTimestamp"))
        for one in snapshot.clusters
        if one["metadata"]["name"] == pending
    ]
    yield Cause(
        25,
        f"an upgrade is under way: {active} serves, {pending} gets ready",
        f"since {made[0]}" if made else "",
        "requests move when all its applications run; what else stands here says what it waits for",
        f"{snapshot.kubectl} get pods -l ray.io/cluster={pending}",
    )


def _modes(service: RayService) -> Iterator[Cause]:
    groups = service.cluster.groups if service.cluster else []
    for name in _MODES:
        values = {group.env.get(name) for group in groups}
        if len(values) > 1:
            yield Cause(
                65,
                f"{name} differs between head and workers",
                ", ".join(map(str, values)),
                "proxies and replicas then speak past each other, and workers never become ready",
                "the same `env` in all groups; `tandem check` finds such things",
            )
