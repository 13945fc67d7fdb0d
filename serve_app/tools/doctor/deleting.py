"""A service that is being deleted: what that waits for, and what ends it when it would wait for ever."""

from collections.abc import Iterator

from serve_app.tools.doctor.causes import Cause, Json
from serve_app.tools.doctor.seen import Seen
from serve_app.tools.kube.documents import get
from serve_app.tools.kube.pods import Pod

_REDIS = "ray.io/gcs-ft-redis-cleanup-finalizer"
_OWN = "ray.io/rayservice-finalizer"
_LIMIT = "ray.io/gcs-ft-deletion-timeout"  # seconds, KubeRay's 300 without it
_NO_FINALIZERS = """-p '{"metadata":{"finalizers":null}}'"""
_NOTHING = "What is gone with Redis needs no cleaning; a Redis elsewhere keeps the keys of this cluster"


def look(seen: Seen) -> Iterator[Cause]:
    """Nothing where it is to stay."""
    if not seen.snapshot.namespace:
        return
    service = seen.snapshot.service
    going = str(get(service, "metadata", "deletionTimestamp") or "")
    if service and not going and not seen.ending:
        return
    since = seen.ending or going or _told(seen)
    draining = [pod for pod in seen.pods if pod.leaves]
    held = [one for one in seen.snapshot.clusters if _REDIS in _finalizers(one)]
    staying = [pod for pod in seen.pods if not pod.leaves and pod.role in ("head", "worker")]
    if held and not draining and not staying:
        for cluster in held:
            yield _held(seen, cluster, since)
        return
    if service and not seen.snapshot.clusters and not draining and not staying:
        yield _left(seen, since)
        return
    evidence = _pods(draining) if draining else ""
    evidence = evidence or ", ".join(f"RayCluster {one['metadata']['name']} is there" for one in held)
    if not draining and not staying and not held:
        evidence = "; ".join(_remaining(seen)) or "the operator's finalizer is left"
    yield Cause(
        99, f"{_what(seen)}and what runs stops" if seen.ending else "what runs stops", evidence,
        "pods finish what they have; then the operator takes its finalizers off",
        f"wait; {seen.snapshot.kubectl} get pods,rayclusters,rayservices shows what is left",
        since, _last(draining), "deleting", wait=True,
    )  # fmt: skip


def _what(seen: Seen) -> str:
    return f"its namespace {seen.snapshot.namespace} is, " if seen.ending else ""


def _left(seen: Seen, since: str) -> Cause:
    """The resource alone: its operator has a second's work to do, if there is one."""
    kubectl, name = seen.snapshot.kubectl, seen.snapshot.name
    return Cause(
        98, f"{_what(seen)}only the RayService is left",
        "\n".join(["finalizers: " + ", ".join(_finalizers(seen.snapshot.service)), *_remaining(seen)]),
        f"the operator takes {_OWN} off when no RayCluster is there any more",
        f"wait; where no operator runs: {kubectl} patch rayservice {name} --type=merge {_NO_FINALIZERS}",
        since, "with the operator's next look", "deleting", wait=True,
    )  # fmt: skip


def _held(seen: Seen, cluster: Json, since: str) -> Cause:
    """By a finalizer that waits for a job which removes the cluster's keys from Redis."""
    name, kubectl = cluster["metadata"]["name"], seen.snapshot.kubectl
    jobs = [pod for pod in seen.pods if pod.role == "redis-cleanup"]
    commands = []
    if seen.snapshot.service and not get(seen.snapshot.service, "metadata", "deletionTimestamp"):
        commands.append(f"{kubectl} delete rayservice {seen.snapshot.name} --wait=false")
    if not get(cluster, "metadata", "deletionTimestamp"):  # or the operator puts it on again
        commands.append(f"{kubectl} delete raycluster {name} --wait=false")
    commands.append(f"{kubectl} patch raycluster {name} --type=merge {_NO_FINALIZERS}")
    evidence = [f"its finalizer {_REDIS} is there, no pod of it is left", *_remaining(seen)]
    if seen.ending:
        why = (
            "the finalizer waits for a job that removes the cluster's keys from Redis, and nothing new "
        )
        why += f"may be made in a namespace that is being deleted: it stays Terminating. {_NOTHING}"
    else:
        evidence += [f"the job's pod {pod.name} is {pod.phase or 'unknown'}" for pod in jobs]
        why = f"it waits for a job that removes the cluster's keys from Redis. {_NOTHING}"
    command = " && ".join(commands)
    limit = get(cluster, "metadata", "annotations", _LIMIT) or 300
    told = get(cluster, "metadata", "deletionTimestamp")
    return Cause(
        99, f"{_what(seen)}but RayCluster {name} is held back", "\n".join(evidence), why,
        command if seen.ending else f"wait; to end it at once: {command}", since,
        f"KubeRay 1.7 and newer take it off {limit} s after the RayCluster was told to go ({told})"
        if told else "",
        "deleting", wait=not seen.ending,
    )  # fmt: skip


def _remaining(seen: Seen) -> Iterator[str]:
    """What the namespace says is left in it, or what has the service's finalizer."""
    kinds = (
        "NamespaceContentRemaining",
        "NamespaceFinalizersRemaining",
        "NamespaceDeletionContentFailure",
    )
    for one in get(seen.snapshot.whole, "status", "conditions") or []:
        if one.get("type") in kinds and one.get("status") == "True":
            yield str(one.get("message"))
    if not seen.snapshot.whole and _OWN in _finalizers(seen.snapshot.service):
        yield f"the RayService's finalizer {_OWN} waits for its clusters"


def _finalizers(resource: Json) -> list[str]:
    return get(resource, "metadata", "finalizers") or []


def _pods(pods: list[Pod]) -> str:
    return f"{len(pods)} pods stop: " + ", ".join(pod.name for pod in pods)


def _last(pods: list[Pod]) -> str:
    return (
        f"at {max(pod.leaves for pod in pods)} at the latest, when the last pod's grace is over"
        if pods
        else ""
    )


def _told(seen: Seen) -> str:
    """When the pods were told to go: their grace before they have to be gone."""
    times = [pod.told_to_go for pod in seen.pods]
    clusters = [str(get(one, "metadata", "deletionTimestamp") or "") for one in seen.snapshot.clusters]
    return min([one for one in (*times, *clusters) if one], default="")
