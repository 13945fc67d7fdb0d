"""What the API server refuses in Kubernetes' own kinds beyond their schemas (Kubernetes 1.33,
pkg/apis/*/validation), and in services that an operator makes. Pods have rules of their own."""

import re
from collections.abc import Iterable, Iterator

from serve_app.tools.check import rules as the
from serve_app.tools.check import schedules
from serve_app.tools.check.kubernetes_pods import OPERATORS
from serve_app.tools.check.rules import Parts, Resource, Row, Rule, Table
from serve_app.tools.kube.part import Looks, Part

_UPDATE = ("RollingUpdate", "OnDelete")
_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
_RECLAIM, _BIND = ("Retain", "Delete", "Recycle"), ("Immediate", "WaitForFirstConsumer")
_SUBJECTS, _RBAC = ("User", "Group", "ServiceAccount"), "rbac.authorization.k8s.io"
_COUNTS = ("replicas", "revisionHistoryLimit", "minReadySeconds", "parallelism", "completions",
           "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "minAvailable",
           "maxUnavailable", "successfulJobsHistoryLimit", "failedJobsHistoryLimit",
           "startingDeadlineSeconds")  # fmt: skip
_HELD = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "PodDisruptionBudget")
_SERVICES = (
    the.one_of("type", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    the.one_of("sessionAffinity", "None", "ClientIP"),
    the.one_of("externalTrafficPolicy", "Cluster", "Local"),
    the.one_of("internalTrafficPolicy", "Cluster", "Local"),
    the.one_of("ipFamilyPolicy", "SingleStack", "PreferDualStack", "RequireDualStack"),
)


def _kind(*kinds: str) -> Parts:
    """The whole of a document of these kinds, if it is of a group of Kubernetes' own."""
    own = re.compile(r"[a-z0-9]*|.*\.k8s\.io")
    return lambda r: the.kind(*kinds)(r) if own.fullmatch(r.document.group) else []


def _words(kinds: str, at: str, *known: str) -> Row:
    """A word at a path, or, where it ends in `[]` or has a `*`, at each of some."""
    around, star, key = at.rpartition(" * ")
    if at.endswith("[]"):
        return the.below(_kind(*kinds.split()), at), the.API_SERVER, (the.one_of("", *known),)
    parts = the.below(_kind(*kinds.split()), f"{around} *") if star else _kind(*kinds.split())
    return parts, the.API_SERVER, (the.one_of(key, *known),)


def _keys(resource: Resource) -> Iterable[Part]:
    """Of a ConfigMap or a Secret."""
    for one in _kind("ConfigMap", "Secret")(resource):
        for part in ("data", "binaryData", "stringData"):
            yield from (one.at(part, key) for key in one.mapping(part))


def _no_port(service: Looks, _: Resource) -> bool:
    closed = bool(service.mapping("spec")) and service.get("spec", "ports") in (None, [])
    outside = service.text("spec", "type") == "ExternalName"
    return closed and not outside and service.text("spec", "clusterIP") != "None"


def _same_port(port_: Looks, resource: Resource) -> str:
    """Another that listens on the same number."""

    def listens(one: Looks) -> tuple[int | None, str]:
        return one.number("port"), one.text("protocol") or "TCP"

    before = (one for one in resource.spec.parts("ports") if one.place < port_.place)
    own = listens(port_)
    return f"{own[0]}/{own[1]}" if any(listens(one) == own for one in before) else ""


def _made(resource: Resource) -> Iterator[Looks]:
    """Services that KubeRay's operator makes."""
    if resource.cluster.data:
        yield from (
            resource.spec.at("serveService", "spec"),
            resource.cluster.head.at("headService", "spec"),
        )


def _most(scaler: Looks) -> int | None:
    return scaler.number("spec", "maxReplicas")


def _least(scaler: Looks) -> int:
    number = scaler.number("spec", "minReplicas")
    return 1 if number is None else number


_SERVICE = (
    the.like("metadata name", "[a-z]([-a-z0-9]{0,61}[a-z0-9])?",
         "'{}' is no service's name: a-z, 0-9 and '-', a letter first"),
    Rule("spec ports", _no_port, "no port; a service without one is headless (clusterIP: None)"),
    Rule("spec externalName", lambda s, _: s.text("spec", "type") == "ExternalName"
         and not s.text("spec", "externalName"), "required for the type ExternalName"),
)  # fmt: skip
_SERVICE_PORT = (
    the.first_of("name"),
    the.port("port"),
    the.port("targetPort"),
    the.one_of("protocol", *the.PROTOCOLS),
    Rule("", lambda p, r: len(list(r.spec.parts("ports"))) > 1 and not p.text("name"),
         "of several ports each needs a name"),
    Rule("port", _same_port, "another {} came before"),
)  # fmt: skip
_SCALER = (
    Rule("spec minReplicas", lambda s, _: _least(s) < 0 and str(_least(s)), "{} is less than 0"),
    Rule("spec maxReplicas", lambda s, _: (most := _most(s)) is not None and most < 1 and str(most),
         "{} is less than 1"),
    Rule("spec minReplicas", lambda s, _: (most := _most(s)) is not None and _least(s) > most >= 1
         and f"{_least(s)} is more than maxReplicas {most}"),
)  # fmt: skip
TABLE: Table = (
    _words("Deployment", "spec strategy type", "Recreate", "RollingUpdate"),
    _words("StatefulSet DaemonSet", "spec updateStrategy type", *_UPDATE),
    _words("StatefulSet", "spec podManagementPolicy", "OrderedReady", "Parallel"),
    _words("Job", "spec completionMode", "NonIndexed", "Indexed"),
    _words("CronJob", "spec concurrencyPolicy", "Allow", "Forbid", "Replace"),
    _words("PersistentVolumeClaim PersistentVolume", "spec accessModes []", *_MODES),
    _words("PersistentVolumeClaim PersistentVolume", "spec volumeMode", "Filesystem", "Block"),
    _words("PersistentVolume", "spec persistentVolumeReclaimPolicy", *_RECLAIM),
    _words("StorageClass", "reclaimPolicy", *_RECLAIM),
    _words("StorageClass", "volumeBindingMode", *_BIND),
    _words("Ingress", "spec rules * http paths * pathType", "Exact", "Prefix", "ImplementationSpecific"),
    _words("NetworkPolicy", "spec policyTypes []", "Ingress", "Egress"),
    _words("RoleBinding", "roleRef kind", "Role", "ClusterRole"),
    _words("ClusterRoleBinding", "roleRef kind", "ClusterRole"),
    _words("RoleBinding ClusterRoleBinding", "roleRef apiGroup", _RBAC),
    _words("RoleBinding ClusterRoleBinding", "subjects * kind", *_SUBJECTS),
    _words("PodDisruptionBudget", "spec unhealthyPodEvictionPolicy", "IfHealthyBudget", "AlwaysAllow"),
    _words("HorizontalPodAutoscaler", "spec metrics * type", "Object", "Pods", "Resource",
           "ContainerResource", "External"),
    _words("PriorityClass", "preemptionPolicy", "Never", "PreemptLowerPriority"),
    (_kind(*_HELD), the.API_SERVER, tuple(the.at_least(f"spec {key}", 0) for key in _COUNTS)),
    (_keys, the.API_SERVER, (
        Rule("", lambda part, _: not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", str(part.place[-1]))
             and part.place[-1], "'{}' is no key: letters, digits, '-', '_' and '.'"),
    )),
    (_kind("Service"), the.API_SERVER, _SERVICE),
    (the.below(_kind("Service"), "spec"), the.API_SERVER, _SERVICES),
    (the.below(_kind("Service"), "spec ports *"), the.API_SERVER, _SERVICE_PORT),
    (_made, OPERATORS, _SERVICES),
    (_kind("HorizontalPodAutoscaler"), the.API_SERVER, _SCALER),
    (the.below(_kind("PodDisruptionBudget"), "spec"), the.API_SERVER, (
        Rule("", lambda b, _: None not in (b.get("minAvailable"), b.get("maxUnavailable")),
             "minAvailable and maxUnavailable exclude each other"),
    )),
    (_kind("CronJob"), the.API_SERVER, (
        Rule("spec schedule", lambda c, _: schedules.broken(c.text("spec", "schedule") or "@daily"),
             "'{}' is no schedule"),
    )),
)  # fmt: skip
