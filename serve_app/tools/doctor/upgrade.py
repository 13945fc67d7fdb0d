"""A cluster that is being made: the first one, or the next one beside the one that serves."""

from collections.abc import Iterator
from typing import Any

from serve_app.tools.doctor.causes import Cause
from serve_app.tools.doctor.seen import Seen, before
from serve_app.tools.kube.documents import get
from serve_app.tools.kube.pods import Pod
from serve_app.tools.kube.quantity import quantity
from serve_app.tools.kube.ray_service import INCREMENTAL

_HASH = "ray.io/hash-without-replicas-and-workers-to-delete"
_CHANGED = "RayService.spec.rayClusterConfig was changed again before the switch-over"


def look(seen: Seen) -> Iterator[Cause]:
    """At the pending cluster."""
    if not seen.service.status or not (seen.pending or not seen.active):
        return
    if not seen.active:
        yield _starting(seen)
    else:
        yield _upgrading(seen)


def _starting(seen: Seen) -> Cause:
    since = str(get(seen.snapshot.service, "metadata", "creationTimestamp") or "")
    what = _step(seen, seen.pending) if seen.pending else "the operator makes its cluster"
    return Cause(
        15, what, "\n".join(_state(seen, seen.pending)),
        "pods come up, Ray starts on them, then Serve, then the applications", seen.snapshot.watch,
        since, "when all applications run and a worker takes requests", "starting", wait=True,
    )  # fmt: skip


def _step(seen: Seen, name: str) -> str:
    """What comes next."""
    head = next(iter(seen.heads(name)), None)
    up = seen.of_cluster(name, "HeadPodReady").get("status") == "True"
    if not (seen.blind and up) and (head is None or head.ready is not True):
        return f"waits for the head{f', pod {head.name}' if head else ''}"
    applications = seen.applications(name)
    if not applications:
        return "the head is up; waits for Serve, to which the operator hands the applications"
    waiting = [app for app, one in applications.items() if one.get("status") != "RUNNING"]
    if waiting:
        return f"waits for applications: {', '.join(waiting)}"
    return "all applications run; waits for a worker that takes requests"


def _upgrading(seen: Seen) -> Cause:
    condition = seen.condition("UpgradeInProgress")
    began = str(condition.get("lastTransitionTime") or "") if condition.get("status") == "True" else ""
    active, pending = seen.active, seen.pending
    others = _others(seen, began)
    evidence = [f"{pending}: {_step(seen, pending)}", *_state(seen, pending), *_shares(seen)]
    if others:
        evidence = [_third(seen, others), *evidence]
    delay = seen.service.deletion_delay
    ends = f"when all applications run on {pending}: requests move there, and {active} ends "
    ends += f"{60 if delay is None else delay} s later"
    what = f"{pending} gets ready to take over from {active}"
    if seen.condition("RollbackInProgress").get("status") == "True":
        what = f"an upgrade is being taken back: requests move from {pending} to {active} again"
        ends = f"when all requests are with {active} again"
    return Cause(
        17, what, "\n".join(evidence),
        "what else stands here says what it waits for" + (f"; {_CHANGED}" if others else ""),
        f"wait; {seen.snapshot.kubectl} get pods -l ray.io/cluster={pending} -w shows how it goes",
        began or seen.made(pending), ends, "upgrading", wait=True,
    )  # fmt: skip


def _others(seen: Seen, began: str) -> list[str]:
    """Clusters that this upgrade had begun to make before the pending one."""
    known = {one["metadata"]["name"] for one in seen.snapshot.clusters}
    known |= {pod.cluster for pod in seen.pods}
    known |= {
        one.cluster
        for one in seen.events
        if one.reason == "CreatedRayCluster" and began and not before(one.at, began)
    }
    return sorted(
        name
        for name in known - {seen.active, seen.pending, ""}
        if not before(seen.made(name) or _first(seen, name), seen.made(seen.active))
    )


def _first(seen: Seen, name: str) -> str:
    return min((pod.created for pod in seen.pods if pod.cluster == name), default="")


def _third(seen: Seen, others: list[str]) -> str:
    """Why there is one more cluster than an upgrade has."""
    leaving = [pod.name for pod in seen.pods if pod.cluster in others]
    text = f"it is the {'third' if len(others) == 1 else 'next'} cluster: {', '.join(others)} was being "
    text += "made when the spec changed again, and KubeRay makes a new one for every change"
    hashes = {
        get(seen.cluster(one), "metadata", "annotations", _HASH) for one in (seen.active, seen.pending)
    }
    if len(hashes) == 1 and None not in hashes:
        text += f", even back to what {seen.active} has"
    if leaving:
        text += f"; still there of it: {', '.join(leaving)}"
    return text


def _state(seen: Seen, name: str) -> list[str]:
    """How far a cluster is, and what it takes."""
    found = []
    for pod in [*seen.heads(name), *seen.workers(name)]:
        if pod.ready is not True:
            found.append(f"pod {pod.name} {_how(pod)}")
    status = get(seen.cluster(name), "status") or {}
    if status.get("desiredCPU") not in (None, "0"):
        cpus = f"{quantity(status['desiredCPU']):g} CPU"
        found.append(f"in all it asks for {cpus} and {status.get('desiredMemory')} of memory")
    for app, one in seen.applications(name).items():
        if one.get("status") != "RUNNING":
            found.append(f"application '{app}' is {one.get('status')}")
    return found


def _how(pod: Pod) -> str:
    if not pod.placed:
        return "has no machine yet"
    if pod.condition("Initialized").get("status") == "False":
        return "waits for the head" if pod.role == "worker" else "is being prepared"
    waiting = (pod.ray.get("state") or {}).get("waiting") or {}
    return f"is not up yet ({waiting['reason']})" if waiting.get("reason") else "starts"


def _shares(seen: Seen) -> list[str]:
    """Of an upgrade step by step: how many of the requests are where."""
    if seen.service.strategy != INCREMENTAL:
        return []
    parts: Any = seen.service.active.data, seen.service.pending.data
    shares = [one.get("trafficRoutedPercent") for one in parts]
    if None in shares:
        return []
    return [f"{shares[0]} % of the requests go to {seen.active}, {shares[1]} % to {seen.pending}"]
