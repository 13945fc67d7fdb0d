"""Asking: a Ray through its dashboard and its HTTP port, a RayService through kubectl."""

import contextlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from serve_app.errors import ConfigError
from serve_app.tools.dashboard import Dashboard
from serve_app.tools.doctor.causes import Json, Snapshot

_TIMEOUT_S = 30
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def token() -> str:
    """Ray's, from where Ray's own clients take it; '' where there is none."""
    if value := os.environ.get("RAY_AUTH_TOKEN"):
        return value
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    with contextlib.suppress(OSError):
        return file.read_text().strip()
    return ""


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
    if shutil.which("kubectl") is None:
        raise ConfigError("no kubectl here; for a Ray that is within reach: tandem doctor --address URL")
    service = _get(namespace, "rayservices.ray.io", name)
    clusters = [one for one in _list(namespace, "rayclusters.ray.io") if _of(one, name)]
    names = {one["metadata"]["name"] for one in clusters}
    pods = [
        one
        for one in _list(namespace, "pods")
        if (one["metadata"].get("labels") or {}).get("ray.io/cluster") in names
    ]
    known = {name, *names, *(one["metadata"]["name"] for one in pods)}
    events = [
        one
        for one in _list(namespace, "events")
        if (one.get("involvedObject") or {}).get("name") in known
        or "exceeded quota" in str(one.get("message"))
    ]
    logs = {one["metadata"]["name"]: _log(namespace, one) for one in pods if _died(one)}
    return Snapshot(name, namespace, {}, service, clusters, pods, events, logs)


def _of(cluster: Json, service: str) -> bool:
    owners = cluster["metadata"].get("ownerReferences") or []
    return any(one.get("kind") == "RayService" and one.get("name") == service for one in owners)


def _died(pod: Json) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return any((one.get("lastState") or {}).get("terminated") for one in statuses)


def _log(namespace: str, pod: Json) -> str:
    done = _kubectl(namespace, "logs", pod["metadata"]["name"], "--previous", "--tail=40")
    return done.stdout if done.returncode == 0 else ""


def _get(namespace: str, kind: str, name: str) -> Json:
    found: Json = _json(namespace, kind, name)
    return found


def _list(namespace: str, kind: str) -> list[Any]:
    found: list[Any] = _json(namespace, kind)["items"]
    return found


def _json(namespace: str, *what: str) -> Any:
    done = _kubectl(namespace, "get", *what, "-o", "json")
    if done.returncode:
        raise ConfigError(_explained(done.stderr.strip(), namespace))
    return json.loads(done.stdout)


def _kubectl(namespace: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["kubectl", "-n", namespace, *arguments]
    try:
        return subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"`{' '.join(command)}` doesn't come back: is the cluster there?") from None


def _explained(error: str, namespace: str) -> str:
    if "doesn't have a resource type" in error:
        return (
            f"{error}\nKubeRay isn't installed: helm install kuberay-operator kuberay/kuberay-operator"
        )
    if "NotFound" in error:
        return f"{error}\nis it in another namespace? kubectl get rayservices -A"
    if "Forbidden" in error:
        return f"{error}\nthe role tandem-deployer of configs/k8s/base may look into {namespace}"
    if "refused" in error or "no configuration" in error or "Unable to connect" in error:
        return f"{error}\nkubectl has no cluster to ask: KUBECONFIG, `kubectl config get-contexts`"
    return error
