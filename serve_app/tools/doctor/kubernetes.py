"""Asking for a RayService through kubectl: the resource, and all that stands around it."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from serve_app.errors import ConfigError
from serve_app.tools.doctor import agent
from serve_app.tools.doctor.causes import Json, Snapshot
from serve_app.tools.doctor.happened import events as sorted_events
from serve_app.tools.doctor.times import clock, moment
from serve_app.tools.kube.documents import get
from serve_app.tools.kube.kubectl import Kubectl, NotThere
from serve_app.tools.kube.pods import Pod

_APPLICATIONS = "/api/serve/applications/"
# Within the head, which has the token in its environment.
ASK = (
    'wget -qO- -T 10 --header "Authorization: Bearer $RAY_AUTH_TOKEN" '
    f"http://127.0.0.1:8265{_APPLICATIONS}"
)


def from_kubernetes(
    name: str, namespace: str, kubectl: Kubectl | None = None, now: datetime | None = None
) -> Snapshot:
    """A RayService, with its clusters, pods and their events. ConfigError says why it can't be asked."""
    kubectl = kubectl or Kubectl(namespace)
    found = Snapshot(name, namespace)
    gone: NotThere | None = None
    try:
        found.service = kubectl.get("rayservices.ray.io", name)
    except NotThere as error:
        gone = error
    clusters = _list(found, kubectl, "rayclusters.ray.io")
    found.clusters = [one for one in clusters if _of(one, name)]
    names = {one["metadata"]["name"] for one in found.clusters}
    foreign = {one["metadata"]["name"] for one in clusters} - names
    all_pods = [Pod(one) for one in _list(found, kubectl, "pods")]
    pods = [
        pod
        for pod in all_pods
        if pod.cluster in names or (_named(pod.cluster, name) and pod.cluster not in foreign)
    ]
    found.pods = [pod.data for pod in pods]
    if gone and not found.clusters and not found.pods:
        raise gone
    found.redis = _redis(found, kubectl, all_pods) if all_pods else None
    about = [*pods, *map(Pod, found.redis or [])]
    found.events = _events(found, kubectl, {name, *names, *(pod.name for pod in about)}, all_pods)
    found.whole = _optional(lambda: kubectl.get("namespace", namespace)) or {}
    found.logs = {pod.name: _log(kubectl, pod) for pod in pods if pod.died or pod.ended}
    if found.service and not get(found.service, "metadata", "deletionTimestamp"):
        one = kubectl.through(f"{name}-serve-svc:8000", "/v2/repository/changes")
        found.ray = (
            {"changes": {one["router"]: one}} if isinstance(one, dict) and "router" in one else {}
        )
        _ask_serve(found, kubectl, pods)
    here, youngest = now or datetime.now(UTC), max(_moments(found), default="")
    last = sorted_events(found.events)[-1].at if found.events else ""
    found.now = clock(here, youngest, last)
    return found


def _log(kubectl: Kubectl, pod: Pod) -> str:
    """The end of it, and not of it alone: Ray's other processes speak after the one that ended."""
    few = kubectl.last_log(pod.name, pod.died)
    return (few and not agent.late(few) and kubectl.last_log(pod.name, pod.died, 400)) or few


def _list(found: Snapshot, kubectl: Kubectl, kind: str) -> list[Any]:
    """All of a kind; none, and a word of it, where they can't be had."""
    try:
        return kubectl.list(kind)
    except NotThere:
        return []
    except ConfigError as error:
        found.unseen.append(f"{kind} can't be read ({str(error).splitlines()[0]})")
        return []


def _optional(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except ConfigError:
        return None


def _events(found: Snapshot, kubectl: Kubectl, known: set[str], pods: list[Pod]) -> list[Json]:
    claims = {claim for pod in pods for claim in pod.claims}
    return [
        one
        for one in _list(found, kubectl, "events")
        if (one.get("involvedObject") or {}).get("name") in known | claims
    ]


def _of(cluster: Json, service: str) -> bool:
    owners = cluster["metadata"].get("ownerReferences") or []
    labels = cluster["metadata"].get("labels") or {}
    owned = any(one.get("kind") == "RayService" and one.get("name") == service for one in owners)
    return owned or (
        labels.get("ray.io/originated-from-crd") == "RayService"
        and labels.get("ray.io/originated-from-cr-name") == service
    )


def _named(cluster: str, service: str) -> bool:
    """Whether it has a name as the operator makes them for this service: it may be gone itself."""
    return bool(re.fullmatch(rf"{re.escape(service)}-[a-z0-9]{{5}}", cluster))


def _redis(found: Snapshot, kubectl: Kubectl, pods: list[Pod]) -> list[Any] | None:
    """The pods behind the service of Redis; None where it isn't a service of this namespace."""
    for cluster in found.clusters:
        address = str(get(cluster, "spec", "gcsFaultToleranceOptions", "redisAddress") or "")
        host, *domain = address.rpartition("://")[2].partition(":")[0].split(".")
        if not host or (domain and domain[0] != found.namespace):
            continue
        services = _optional(lambda: kubectl.list("services"))
        if services is None:
            return None
        named = [one for one in services if one["metadata"]["name"] == host]
        selector = get(named[0], "spec", "selector") if named else None
        if named and not selector:  # endpoints that somebody keeps by hand, or ExternalName
            return None
        return [pod.data for pod in pods if selector and selector.items() <= dict(pod.labels).items()]
    return None


def _ask_serve(found: Snapshot, kubectl: Kubectl, pods: list[Pod]) -> None:
    """What each cluster's dashboard says, by way of the API server, or within the head's pod."""
    heads = [pod for pod in pods if pod.role == "head" and pod.ready and not pod.leaves]
    for head in heads:
        said = kubectl.through(f"{head.cluster}-head-svc:8265", _APPLICATIONS)
        if not isinstance(said, dict):
            box = next(iter(head.requests), "ray-head")
            said = kubectl.inside(head.name, box, "sh", "-c", ASK)
        if isinstance(said, dict) and "applications" in said:
            found.serves[head.cluster] = said
        else:
            found.unheard = "its dashboard asks for a token, and `pods/exec` isn't allowed here"


def _moments(found: Snapshot) -> Iterator[str]:
    """Every moment in the answers, but those that pods will have to be gone by."""
    todo: list[Any] = [found.service, found.clusters, found.pods, found.events]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            for key, value in one.items():
                if isinstance(value, str) and key.endswith(("Time", "At", "Timestamp")):
                    if key != "deletionTimestamp" and moment(value):
                        yield value
                else:
                    todo.append(value)
        elif isinstance(one, list):
            todo.extend(one)
