"""What KubeRay's operator refuses in code, where no schema says it (KubeRay 1.7)."""

import re
from collections.abc import Callable, Iterator

from serve_app.tools.kube.documents import Document, get
from serve_app.tools.kube.findings import Place, Problem
from serve_app.tools.kube.ray_cluster import FAULT_TOLERANCE as _FT
from serve_app.tools.kube.ray_cluster import RayCluster

_REFUSED = "the operator refuses the resource"
Rule = Callable[[Document, RayCluster], Iterator[Problem]]


def check(document: Document, cluster: RayCluster) -> Iterator[Problem]:
    """All rules."""
    for rule in _RULES:
        yield from rule(document, cluster)


def _names(document: Document, cluster: RayCluster) -> Iterator[Problem]:
    limit = 47 if document.kind != "RayCluster" else 63
    place: Place = ("metadata", "name")
    if len(document.name) > limit:
        yield Problem(place, f"{len(document.name)} characters, at most {limit} are allowed", _REFUSED)
    if document.name and not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", document.name):
        yield Problem(
            place, f"'{document.name}' is no DNS-1035 label: a-z, 0-9 and '-', a letter first", _REFUSED
        )
    if get(document.data, "apiVersion") == "ray.io/v1alpha1":
        yield Problem(
            ("apiVersion",),
            "ray.io/v1alpha1 goes away in KubeRay 1.9",
            fix="apiVersion: ray.io/v1",
            severity="warning",
        )
    if cluster.head.get("headService", "metadata", "name") is not None:
        place = (*cluster.head.place, "headService", "metadata", "name")
        yield Problem(place, "the head service's name is the operator's", _REFUSED, "leave it out")
    timeout = get(document.data, "metadata", "annotations", "ray.io/initializing-timeout")
    if timeout is not None and not _duration(str(timeout)):
        place = ("metadata", "annotations", "ray.io/initializing-timeout")
        yield Problem(place, f"'{timeout}' is neither a duration (30m) nor seconds", _REFUSED)


def _duration(text: str) -> bool:
    return bool(re.fullmatch(r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+|[1-9]\d*", text))


def _groups(document: Document, cluster: RayCluster) -> Iterator[Problem]:
    for group in cluster.groups:
        if not group.get("template", "spec", "containers"):
            yield Problem(group.pod, "a group needs a container", _REFUSED)
    for group in cluster.workers:
        least, most = group.get("minReplicas"), group.get("maxReplicas")
        if not cluster.autoscaled and (least is None or most is None):
            yield Problem(
                group.place, "without autoscaling a group needs minReplicas and maxReplicas", _REFUSED
            )
        for key in ("replicas", "minReplicas", "maxReplicas"):
            if isinstance(value := group.get(key), int) and value < 0:
                yield Problem((*group.place, key), f"{value} is negative", _REFUSED)
        if isinstance(least, int) and isinstance(most, int) and least > most:
            yield Problem(
                (*group.place, "minReplicas"), f"{least} is more than maxReplicas {most}", _REFUSED
            )
        count = group.get("replicas")
        if all(isinstance(one, int) for one in (count, least, most)) and not least <= count <= most:
            yield Problem(
                (*group.place, "replicas"),
                f"{count} is not between minReplicas {least} and maxReplicas {most}",
                "the operator takes the nearest of the two",
                severity="warning",
            )


def _fault_tolerance(document: Document, cluster: RayCluster) -> Iterator[Problem]:
    options, head = cluster.fault_tolerance, cluster.head
    notes = get(document.data, "metadata", "annotations") or {}
    address = head.env_place("RAY_REDIS_ADDRESS")
    if options is None:
        if "RAY_REDIS_ADDRESS" in head.env:
            yield Problem(
                address, f"RAY_REDIS_ADDRESS without {_FT}", _REFUSED, f"set {_FT}.redisAddress"
            )
        return
    for key, what in (
        ("ray.io/ft-enabled", "says the same in the old way"),
        ("ray.io/external-storage-namespace", "belongs into externalStorageNamespace"),
    ):
        if key in notes:
            yield Problem(
                ("metadata", "annotations", key), f"beside {_FT} it {what}", _REFUSED, "leave it out"
            )
    for key in ("redis-password", "redis-username"):
        if key in (head.get("rayStartParams") or {}):
            place = (*head.place, "rayStartParams", key)
            yield Problem(place, f"beside {_FT} it must not be set", _REFUSED, f"{_FT}.redisPassword")
    for key in ("REDIS_PASSWORD", "RAY_REDIS_ADDRESS"):
        if key in head.env:
            yield Problem(
                head.env_place(key),
                f"{key} beside {_FT}",
                _REFUSED,
                "leave it out: the operator sets it",
            )
    place = (*cluster.place, _FT)
    if get(options, "storage") is not None and get(options, "backend") != "rocksdb":
        yield Problem((*place, "storage"), "only backend rocksdb has a storage", _REFUSED)
    if isinstance(get(options, "redisPassword", "value"), str):
        yield Problem(
            (*place, "redisPassword", "value"),
            "a password in plain text",
            "whoever reads the manifest has it",
            "redisPassword: {valueFrom: {secretKeyRef: {name: …, key: …}}}",
        )


def _autoscaler(document: Document, cluster: RayCluster) -> Iterator[Problem]:
    options: Place = (*cluster.place, "autoscalerOptions")
    version = get(cluster.data, "autoscalerOptions", "version")
    variable = "RAY_enable_autoscaler_v2"
    if variable in cluster.head.env:
        place = cluster.head.env_place(variable)
        if not cluster.autoscaled:
            yield Problem(place, f"{variable} without enableInTreeAutoscaling", _REFUSED)
        if version is not None:
            yield Problem(
                place, f"{variable} beside autoscalerOptions.version", _REFUSED, "leave it out"
            )
    idle = get(cluster.data, "autoscalerOptions", "idleTimeoutSeconds")
    if isinstance(idle, int) and idle < 0:
        yield Problem((*options, "idleTimeoutSeconds"), f"{idle} is negative", _REFUSED)
    for index, one in enumerate(get(cluster.data, "autoscalerOptions", "env") or []):
        if get(one, "name") == "KUBERAY_GEN_AUTOSCALER_START_CMD":
            yield Problem((*options, "env", index), "that variable is the operator's", _REFUSED)
    if not cluster.autoscaled:
        return
    for group in cluster.groups:
        policy = group.get("template", "spec", "restartPolicy")
        if version == "v2" and policy not in (None, "Never"):
            yield Problem(
                (*group.pod, "restartPolicy"),
                f"'{policy}': the autoscaler v2 needs Never",
                _REFUSED,
                "leave it out",
            )
    for group in cluster.workers:
        if group.get("suspend"):
            yield Problem((*group.place, "suspend"), "a suspended group with autoscaling", _REFUSED)
        if group.get("idleTimeoutSeconds") is not None and version != "v2":
            yield Problem(
                (*group.place, "idleTimeoutSeconds"),
                "a group's own idle time needs the autoscaler v2, named as such",
                _REFUSED,
                "autoscalerOptions: {version: v2}",
            )


def _authentication(document: Document, cluster: RayCluster) -> Iterator[Problem]:
    mode, version = get(cluster.data, "authOptions", "mode"), cluster.version
    place: Place = (*cluster.place, "authOptions")
    if mode == "token" and (version is None or version < (2, 52, 0)):
        yield Problem((*place, "mode"), "tokens need a rayVersion of 2.52.0 or newer", _REFUSED)
    if document.kind == "RayService" and get(cluster.data, "authOptions", "enableK8sTokenAuth"):
        yield Problem(
            (*place, "enableK8sTokenAuth"), "a RayService can't use Kubernetes' tokens", _REFUSED
        )


_RULES: tuple[Rule, ...] = (_names, _groups, _fault_tolerance, _autoscaler, _authentication)
