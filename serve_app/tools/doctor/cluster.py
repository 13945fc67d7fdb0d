"""Causes in a RayService's own status: upgrades, versions, modes, refusals."""

from collections.abc import Iterator
from typing import Any

from serve_app.tools.doctor.causes import Cause, Json, Snapshot

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
    status = snapshot.service.get("status") or {}
    yield from _refused(snapshot, status)
    yield from _upgrade(snapshot, status)
    yield from _modes(snapshot.service)
    if not status:
        yield Cause(
            95,
            "no operator looks after the service",
            "its status is empty",
            "KubeRay isn't installed, doesn't watch this namespace, or is down",
            "kubectl get pods -A -l app.kubernetes.io/name=kuberay-operator",
        )


def _refused(snapshot: Snapshot, status: Json) -> Iterator[Cause]:
    for condition in status.get("conditions") or []:
        if condition.get("reason") in ("ValidationFailed", "InvalidSpec"):
            yield Cause(
                94, "the operator refuses the service", str(condition.get("message") or ""),
                next="tandem check rayservice.yaml",
            )  # fmt: skip


def _upgrade(snapshot: Snapshot, status: Json) -> Iterator[Cause]:
    pending = (status.get("pendingServiceStatus") or {}).get("rayClusterName")
    active = (status.get("activeServiceStatus") or {}).get("rayClusterName")
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


def _modes(service: Json) -> Iterator[Cause]:
    spec = ((service.get("spec") or {}).get("rayClusterConfig")) or {}
    groups = [spec.get("headGroupSpec") or {}, *(spec.get("workerGroupSpecs") or [])]
    for name in _MODES:
        values = {_env(group).get(name) for group in groups}
        if len(values) > 1:
            yield Cause(
                65,
                f"{name} differs between head and workers",
                ", ".join(map(str, values)),
                "proxies and replicas then speak past each other, and workers never become ready",
                "the same `env` in all groups; `tandem check` finds such things",
            )


def _env(group: Json) -> dict[str, Any]:
    containers = ((group.get("template") or {}).get("spec") or {}).get("containers") or [{}]
    return {one.get("name"): one.get("value") for one in containers[0].get("env") or []}


def notes(snapshot: Snapshot) -> list[str]:
    """What is as it should be, and worth saying."""
    said = []
    for pod in snapshot.pods:
        labels = (pod.get("metadata") or {}).get("labels") or {}
        ready = {one["type"]: one["status"] for one in (pod.get("status") or {}).get("conditions") or []}
        if labels.get("ray.io/node-type") == "worker" and ready.get("Ready") == "False":
            said.append(
                f"{pod['metadata']['name']} is NotReady: a worker without a replica is, by design"
            )
    return said
