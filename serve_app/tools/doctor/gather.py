"""Asking: a Ray through its dashboard and its HTTP port, a RayService through kubectl."""

import contextlib
import importlib.metadata
import urllib.error

from serve_app.tools import clusters, routers
from serve_app.tools.dashboard import Dashboard
from serve_app.tools.doctor.causes import Json, Snapshot
from serve_app.tools.kube.kubectl import Kubectl
from serve_app.tools.kube.pods import Pod


def from_ray(address: str | None) -> Snapshot:
    """A Ray whose dashboard is at `address`, else as `clusters.find`. ConfigError: it can't be asked."""
    dashboard, serve = clusters.ask(clusters.find(address))
    return Snapshot("Serve", ray={"serve": serve, **_version(dashboard), **_models(serve)})


def _version(dashboard: Dashboard) -> Json:
    """Whether the cluster's Ray is the one that Tandem is locked to."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        theirs, ours = dashboard.get("/api/version")["ray_version"], importlib.metadata.version("ray")
        if theirs != ours:
            return {"mismatch": f"the cluster runs Ray {theirs}, this Tandem is locked to {ours}"}
    return {}


def _models(serve: Json) -> Json:
    """What the Routers say at the port that Serve names, if they say anything."""
    url = routers.url_of(serve)
    if not serve.get("applications"):
        return {}
    try:
        if routers.get(f"{url}/v2").get("name") != "tandem":
            return {"http": f"{url}/v2 is another server's"}
        return {"index": routers.index(url), "changes": routers.changes(url, serve)}
    except urllib.error.HTTPError as error:
        return {"http": f"{url}/v2 answers {error.code}"}
    except (OSError, ValueError, AttributeError) as error:
        return {"http": f"{url}/v2: {error}"}


def from_kubernetes(name: str, namespace: str) -> Snapshot:
    """A RayService, with its clusters, pods and their events. ConfigError says why it can't be asked."""
    kubectl = Kubectl(namespace)
    service = kubectl.get("rayservices.ray.io", name)
    owned = [one for one in kubectl.list("rayclusters.ray.io") if _of(one, name)]
    names = {one["metadata"]["name"] for one in owned}
    found = map(Pod, kubectl.list("pods"))
    pods = [pod for pod in found if pod.labels.get("ray.io/cluster") in names]
    known = {name, *names, *(pod.name for pod in pods)}
    events = [
        one
        for one in kubectl.list("events")
        if (one.get("involvedObject") or {}).get("name") in known
        or "exceeded quota" in str(one.get("message"))
    ]
    logs = {pod.name: kubectl.last_log(pod.name) for pod in pods if pod.died}
    one = kubectl.through(f"{name}-serve-svc:8000", "/v2/repository/changes")
    ray = {"changes": {one["router"]: one}} if isinstance(one, dict) and "router" in one else {}
    return Snapshot(name, namespace, ray, service, owned, [pod.data for pod in pods], events, logs)


def _of(cluster: Json, service: str) -> bool:
    owners = cluster["metadata"].get("ownerReferences") or []
    return any(one.get("kind") == "RayService" and one.get("name") == service for one in owners)
