"""Asking: a Ray through its dashboard and its HTTP port, a RayService through kubectl."""

import contextlib
import importlib.metadata
import json
import urllib.error
import urllib.request

from serve_app.errors import ConfigError
from serve_app.tools.dashboard import Dashboard, token
from serve_app.tools.doctor.causes import Json, Snapshot
from serve_app.tools.kube.kubectl import Kubectl
from serve_app.tools.kube.pods import Pod

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def from_ray(address: str) -> Snapshot:
    """A Ray whose dashboard is at `address`. ConfigError says why it can't be asked."""
    dashboard = Dashboard(address, token())
    try:
        serve = dashboard.serve()
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise ConfigError(
                f"{address} refuses the token: set RAY_AUTH_TOKEN (KubeRay's is in the secret of the "
                "cluster's name, key auth_token)"
            ) from None
        raise ConfigError(f"{address} answers {error.code}: is that Ray's dashboard?") from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no dashboard at {address} ({error}): --address, or is Ray running?"
        ) from None
    return Snapshot("Serve", ray={"serve": serve, **_version(dashboard), **_models(serve)})


def _version(dashboard: Dashboard) -> Json:
    """Whether the cluster's Ray is the one that Tandem is locked to."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        theirs, ours = dashboard.get("/api/version")["ray_version"], importlib.metadata.version("ray")
        if theirs != ours:
            return {"mismatch": f"the cluster runs Ray {theirs}, this Tandem is locked to {ours}"}
    return {}


def _models(serve: Json) -> Json:
    """What the Router says at the port that Serve names, if it says anything."""
    options = serve.get("http_options") or {}
    host = options.get("host") or "127.0.0.1"
    url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{options.get('port', 8000)}"  # noqa: S104
    if not serve.get("applications"):
        return {}
    try:
        with _opener.open(f"{url}/v2", timeout=10) as answer:
            if json.load(answer).get("name") != "tandem":
                return {"http": f"{url}/v2 is another server's"}
        with _opener.open(f"{url}/v2/repository/index", b"{}", timeout=10) as answer:
            return {"index": json.load(answer)}
    except urllib.error.HTTPError as error:
        return {"http": f"{url}/v2 answers {error.code}"}
    except (OSError, ValueError, AttributeError) as error:
        return {"http": f"{url}/v2: {error}"}


def from_kubernetes(name: str, namespace: str) -> Snapshot:
    """A RayService, with its clusters, pods and their events. ConfigError says why it can't be asked."""
    kubectl = Kubectl(namespace)
    service = kubectl.get("rayservices.ray.io", name)
    clusters = [one for one in kubectl.list("rayclusters.ray.io") if _of(one, name)]
    names = {one["metadata"]["name"] for one in clusters}
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
    return Snapshot(name, namespace, {}, service, clusters, [pod.data for pod in pods], events, logs)


def _of(cluster: Json, service: str) -> bool:
    owners = cluster["metadata"].get("ownerReferences") or []
    return any(one.get("kind") == "RayService" and one.get("name") == service for one in owners)
