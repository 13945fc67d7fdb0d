"""What the API server refuses in Kubernetes' own kinds beyond their schemas, as tables (Kubernetes 1.33,
pkg/apis/*/validation). Pods have rules of their own: `pod_specs`."""

import re
from collections.abc import Iterator

from serve_app.tools.check import schedules
from serve_app.tools.check.containers import Problems, one_of
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Problem
from serve_app.tools.kube.part import Looks, Part

_REFUSED = "the API server refuses it"
_SERVICE = {
    "spec type": ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    "spec sessionAffinity": ("None", "ClientIP"),
    "spec externalTrafficPolicy": ("Cluster", "Local"),
    "spec internalTrafficPolicy": ("Cluster", "Local"),
    "spec ipFamilyPolicy": ("SingleStack", "PreferDualStack", "RequireDualStack"),
}
_UPDATE = ("RollingUpdate", "OnDelete")
_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
_RECLAIM, _BIND = ("Retain", "Delete", "Recycle"), ("Immediate", "WaitForFirstConsumer")
_SUBJECTS, _RBAC = ("User", "Group", "ServiceAccount"), ("rbac.authorization.k8s.io",)
# By kind and path: the words that may stand there. `*` is each entry of a list.
_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "Service": _SERVICE,
    "Deployment": {"spec strategy type": ("Recreate", "RollingUpdate")},
    "StatefulSet": {
        "spec updateStrategy type": _UPDATE, "spec podManagementPolicy": ("OrderedReady", "Parallel"),
    },
    "DaemonSet": {"spec updateStrategy type": _UPDATE},
    "Job": {"spec completionMode": ("NonIndexed", "Indexed")},
    "CronJob": {"spec concurrencyPolicy": ("Allow", "Forbid", "Replace")},
    "PersistentVolumeClaim": {"spec accessModes *": _MODES, "spec volumeMode": ("Filesystem", "Block")},
    "PersistentVolume": {
        "spec accessModes *": _MODES, "spec volumeMode": ("Filesystem", "Block"),
        "spec persistentVolumeReclaimPolicy": _RECLAIM,
    },
    "StorageClass": {"reclaimPolicy": _RECLAIM, "volumeBindingMode": _BIND},
    "Ingress": {"spec rules * http paths * pathType": ("Exact", "Prefix", "ImplementationSpecific")},
    "NetworkPolicy": {"spec policyTypes *": ("Ingress", "Egress")},
    "RoleBinding": {
        "roleRef kind": ("Role", "ClusterRole"), "roleRef apiGroup": _RBAC, "subjects * kind": _SUBJECTS,
    },
    "ClusterRoleBinding": {
        "roleRef kind": ("ClusterRole",), "roleRef apiGroup": _RBAC, "subjects * kind": _SUBJECTS,
    },
    "PodDisruptionBudget": {
        "spec unhealthyPodEvictionPolicy": ("IfHealthyBudget", "AlwaysAllow"),
    },
    "HorizontalPodAutoscaler": {
        "spec metrics * type": ("Object", "Pods", "Resource", "ContainerResource", "External"),
    },
    "PriorityClass": {"preemptionPolicy": ("Never", "PreemptLowerPriority")},
}  # fmt: skip
_COUNTS = ("replicas", "revisionHistoryLimit", "minReadySeconds", "parallelism", "completions",
           "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "minAvailable",
           "maxUnavailable", "successfulJobsHistoryLimit", "failedJobsHistoryLimit",
           "startingDeadlineSeconds")  # fmt: skip
_HELD = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "PodDisruptionBudget")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_OWN = re.compile(r"[a-z0-9]*|.*\.k8s\.io")


def check(document: Document) -> Iterator[Problem]:
    """All rules of the kind."""
    if not _OWN.fullmatch(document.group):
        return
    whole = Part((), document.data)
    for place, what in _all(document.kind, whole):
        yield Problem(place, what, _REFUSED)


def service_words(spec: Part) -> Problems:
    """Of a service that an operator makes."""
    yield from one_of(spec, {at.removeprefix("spec "): words for at, words in _SERVICE.items()})


def _all(kind: str, whole: Part) -> Problems:
    for path, words in _WORDS.get(kind, {}).items():
        yield from _one_of(whole, path.split(), words)
    for key in _COUNTS if kind in _HELD else ():
        if (number := whole.number("spec", key)) is not None and number < 0:
            yield ("spec", key), f"{number} is negative"
    if kind in ("ConfigMap", "Secret"):
        for part in ("data", "binaryData", "stringData"):
            for key in whole.mapping(part):
                if not _KEY.fullmatch(str(key)):
                    yield (part, key), f"'{key}' is no key: letters, digits, '-', '_' and '.'"
    elif kind == "Service":
        yield from _service(whole)
    elif kind == "HorizontalPodAutoscaler":
        yield from _scaler(whole.at("spec"))
    elif kind == "PodDisruptionBudget":
        if None not in (whole.get("spec", "minAvailable"), whole.get("spec", "maxUnavailable")):
            yield ("spec",), "minAvailable and maxUnavailable exclude each other"
    elif kind == "CronJob" and (
        schedule := schedules.broken(whole.text("spec", "schedule") or "@daily")
    ):
        yield ("spec", "schedule"), f"'{schedule}' is no schedule"


def _one_of(part: Looks, path: list[str], words: tuple[str, ...]) -> Problems:
    if "*" not in path:
        yield from one_of(part, {" ".join(path): words})
        return
    at = path.index("*")
    for index, one in enumerate(part.items(*path[:at])):
        place = (*part.place, *path[:at], index)
        if path[at + 1 :]:
            yield from _one_of(Part(place, one), path[at + 1 :], words)
        elif isinstance(one, str) and one not in words:
            yield place, f"'{one}' is none of {', '.join(words)}"


def _service(whole: Part) -> Problems:
    name, spec = whole.text("metadata", "name"), whole.at("spec")
    if name and not _LABEL.fullmatch(name):
        yield ("metadata", "name"), f"'{name}' is no service's name: a-z, 0-9 and '-', a letter first"
    outside = spec.text("type") == "ExternalName"
    closed = bool(spec.mapping()) and spec.get("ports") in (None, [])
    if closed and not outside and spec.text("clusterIP") != "None":
        yield ("spec", "ports"), "no port; a service without one is headless (clusterIP: None)"
    if outside and not spec.text("externalName"):
        yield ("spec", "externalName"), "required for the type ExternalName"
    seen = set()
    for port in spec.parts("ports"):
        same = port.number("port"), port.text("protocol") or "TCP"
        if same in seen:
            yield (*port.place, "port"), f"another {same[0]}/{same[1]} came before"
        seen.add(same)


def _scaler(spec: Part) -> Problems:
    least, most = spec.number("minReplicas"), spec.number("maxReplicas")
    for key, number, lowest in (("minReplicas", least, 0), ("maxReplicas", most, 1)):
        if number is not None and number < lowest:
            yield ("spec", key), f"{number} is less than {lowest}"
    if most is not None and (1 if least is None else least) > most >= 1:
        yield ("spec", "minReplicas"), f"{1 if least is None else least} is more than maxReplicas {most}"
