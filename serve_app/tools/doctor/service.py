"""Causes in a RayService itself and in its operator: refusals, versions, modes, quotas, Redis."""

from collections.abc import Iterator

from serve_app.tools.doctor.causes import Cause, Snapshot
from serve_app.tools.doctor.happened import Event
from serve_app.tools.doctor.seen import Seen
from serve_app.tools.doctor.times import seconds
from serve_app.tools.kube.documents import get
from serve_app.tools.kube.pods import Pod
from serve_app.tools.kube.ray_cluster import FAULT_TOLERANCE
from serve_app.tools.kube.ray_service import RayService

_MODES = ("RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_THROUGHPUT_OPTIMIZED")
_OPERATOR = "kubectl get pods -A -l app.kubernetes.io/name=kuberay-operator"
_GO_ON = """'{"spec":{"suspend":false}}'"""
_HANDED = ("FailedToUpdateServeApplications", "UpdatedServeApplications")
_YOUNG_S = 30
SILENT = 14
_FEW = 4  # the first try fails while Serve is being started, as do one or two on a slow machine


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
    seen = Seen(snapshot)
    yield from _refused(snapshot, seen.service)
    yield from _suspended(snapshot, seen)
    yield from _operator(snapshot, seen)
    yield from _modes(snapshot, seen.service)
    yield from _quota(snapshot, seen)
    yield from _config(snapshot, seen)
    yield from _redis(snapshot, seen)
    yield from _silent(snapshot, seen)


def _refused(snapshot: Snapshot, service: RayService) -> Iterator[Cause]:
    for condition in service.conditions:
        if condition.get("reason") in ("ValidationFailed", "InvalidSpec"):
            yield Cause(
                94, "the operator refuses the service", str(condition.get("message") or ""),
                next=snapshot.redeploy, since=str(condition.get("lastTransitionTime") or ""),
            )  # fmt: skip
        elif condition.get("reason") == "InitializingTimeout":
            yield Cause(
                46, "it wasn't ready in time, and the operator has given up",
                str(condition.get("message") or ""),
                "the annotation ray.io/initializing-timeout says how long it may take",
                f"what else stands here says what kept it; {snapshot.redeploy}",
                str(condition.get("lastTransitionTime") or ""),
            )  # fmt: skip


def _suspended(snapshot: Snapshot, seen: Seen) -> Iterator[Cause]:
    for kind in ("Suspended", "Suspending"):
        condition = seen.condition(kind)
        if condition.get("status") == "True":
            patch = f"{snapshot.kubectl} patch rayservice {snapshot.name} --type=merge -p {_GO_ON}"
            yield Cause(
                97, "it was told to hold, and has no cluster", str(condition.get("message") or ""),
                "`suspend: true` stands in its spec", patch,
                str(condition.get("lastTransitionTime") or ""), state="suspended",
            )  # fmt: skip
            return


def _operator(snapshot: Snapshot, seen: Seen) -> Iterator[Cause]:
    """Whether it looks after the service, and has seen what was asked for last."""
    asked, done = (
        get(seen.service.data, "metadata", "generation"),
        seen.service.status.get("observedGeneration"),
    )
    made = str(get(seen.service.data, "metadata", "creationTimestamp") or "")
    age = seconds(made, snapshot.now)
    if not seen.service.status and age is not None and age < _YOUNG_S:
        yield Cause(
            15, "the operator hasn't looked at it yet", "its status is empty", "it takes a few seconds",
            snapshot.watch, made, "with the operator's next look", "starting", wait=True,
        )  # fmt: skip
    elif not seen.service.status:
        yield Cause(
            95, "no operator looks after the service", "its status is empty",
            "KubeRay isn't installed, doesn't watch this namespace, or is down", _OPERATOR,
            made,
        )  # fmt: skip
    elif isinstance(asked, int) and isinstance(done, int) and done < asked:
        yield Cause(
            24, "the operator hasn't taken in the last change",
            f"generation {asked} was asked for, it knows {done}",
            "it takes a few seconds; where it doesn't come, the operator is down",
            f"wait; {_OPERATOR}", ends="with its next look", state="changing", wait=True,
        )  # fmt: skip


def _modes(snapshot: Snapshot, service: RayService) -> Iterator[Cause]:
    groups = service.cluster.groups if service.cluster else []
    for name in _MODES:
        values = {group.env.get(name) for group in groups}
        if len(values) > 1:
            yield Cause(
                65, f"{name} differs between head and workers", ", ".join(map(str, values)),
                "proxies and replicas then speak past each other, and workers never become ready",
                f"the same `env` in all groups: {snapshot.redeploy}",
            )  # fmt: skip


def _quota(snapshot: Snapshot, seen: Seen) -> Iterator[Cause]:
    """Pods that may not be made, as long as some are missing."""
    for name in seen.kept:
        said = seen.of_cluster(name, "ReplicaFailure")
        message = str(said.get("message") or "") if said.get("status") == "True" else ""
        short = not seen.heads(name) or len(seen.workers(name)) < seen.wanted(name)
        short = short and not seen.blind
        told = [one.message for one in seen.events if "exceeded quota" in one.message and one.of == name]
        if "exceeded quota" in message or (told and short):
            yield Cause(
                85, "the namespace's quota is used up", message or told[-1],
                "an upgrade needs both clusters' share at once",
                f"{snapshot.kubectl} describe resourcequota; raise it, or use the incremental upgrade",
                str(said.get("lastTransitionTime") or ""),
            )  # fmt: skip
        elif message and short and "being terminated" not in message:
            yield Cause(
                84, f"pods of {name} can't be made", message, "the API server refuses them",
                f"{snapshot.kubectl} describe raycluster {name}",
                str(said.get("lastTransitionTime") or ""),
            )  # fmt: skip


def _config(snapshot: Snapshot, seen: Seen) -> Iterator[Cause]:
    """Whether the operator could hand its config to Serve."""
    for name in seen.kept:
        tries = [one for one in seen.events if one.cluster == name and one.reason in _HANDED]
        failed: list[Event] = []
        for one in tries:
            failed = [*failed, one] if one.reason.startswith("Failed") else []
        head = next(iter(seen.heads(name)), None)
        if not failed or head is None or not head.ready:
            continue
        message = failed[-1].message.rpartition("err: ")[2]
        if " 400 " in message or "ValidationError" in message or "Bad Request" in message:
            yield Cause(
                49, "Serve refuses the config", message, "what was there before goes on",
                snapshot.redeploy, failed[0].at, state="refused" if name == seen.active else "",
            )  # fmt: skip
        elif sum(one.times for one in failed) >= _FEW:
            yield Cause(
                67, f"the operator doesn't reach the dashboard of {name}", message,
                "a network policy between the operator's namespace and the head (port 8265), or a "
                "dashboard that is down", f"{snapshot.kubectl} get networkpolicies; "
                f"{snapshot.kubectl} logs {head.name} --tail=50", failed[0].at,
            )  # fmt: skip


def _redis(snapshot: Snapshot, seen: Seen) -> Iterator[Cause]:
    """Whether the Redis that heads keep their state in is there, where it is in this namespace."""
    cluster = seen.ray_cluster(seen.pending or seen.active)
    if snapshot.redis is None or cluster is None or not cluster.get(FAULT_TOLERANCE):
        return
    pods = list(map(Pod, snapshot.redis))
    if any(pod.ready and not pod.leaves for pod in pods):
        return
    address = cluster.get(FAULT_TOLERANCE, "redisAddress")
    states = [
        f"pod {pod.name} is {pod.phase or 'unknown'}, not ready {pod.said}".strip() for pod in pods
    ]
    yield Cause(
        83, f"Redis at {address} isn't there", "\n".join(states) or "no pod is behind its service",
        "a head that can't reach it ends, and none can start; workers serve on as long as they live",
        f"{snapshot.kubectl} get pods,pvc; {snapshot.kubectl} get statefulset",
    )  # fmt: skip


def _silent(snapshot: Snapshot, seen: Seen) -> Iterator[Cause]:
    """A service that had served, and of which no worker takes requests."""
    ready = seen.condition("Ready")
    if seen.active and ready.get("status") == "False" and ready.get("reason") == "ZeroServeEndpoints":
        yield Cause(
            SILENT, "no worker takes requests", str(ready.get("message") or ""),
            "a worker does when Serve's proxy on it answers its probe",
            f"{snapshot.watch}; {snapshot.kubectl} describe pods -l ray.io/cluster={seen.active}",
            str(ready.get("lastTransitionTime") or ""), "when one is ready again", "away", wait=True,
        )  # fmt: skip
