"""What the API server refuses in Kubernetes' own kinds beyond their schemas (Kubernetes 1.33,
pkg/apis/*/validation), and in services that an operator makes. Pods have rules of their own."""

import re
from collections.abc import Iterable
from math import inf

from serve_app.tools.check import rules as the
from serve_app.tools.check import schedules
from serve_app.tools.check.kubernetes_pods import OPERATORS
from serve_app.tools.check.rules import Parts, Resource, Row, Rule, Table
from serve_app.tools.kube.part import Looks

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
    around, _, key = at.rpartition(" * ")
    each = at if at.endswith("[]") else f"{around} *" if around else ""
    parts = _kind(*kinds.split())
    rule = the.one_of("" if each == at else key, *known)
    return the.below(parts, each) if each else parts, the.API_SERVER, (rule,)


def _no_port(service: Looks, _: Resource) -> bool:
    closed = bool(service.mapping("spec")) and service.get("spec", "ports") in (None, [])
    outside = service.text("spec", "type") == "ExternalName"
    return closed and not outside and service.text("spec", "clusterIP") != "None"


def _same_port(port_: Looks, resource: Resource) -> str:
    """Another that listens on the same number."""

    def listens(one: Looks) -> tuple[int | None, str]:
        return one.number("port"), one.text("protocol") or "TCP"

    before = [listens(one) for one in resource.spec.parts("ports") if one.place < port_.place]
    number, protocol = listens(port_)
    return f"{number}/{protocol}" if (number, protocol) in before else ""


def _made(resource: Resource) -> Iterable[Looks]:
    """Services that KubeRay's operator makes."""
    head = resource.cluster.head
    own = [resource.spec.at("serveService", "spec"), head.at("headService", "spec")]
    return own if resource.cluster.data else []


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
    the.value("minReplicas", int, lambda least: least >= 0, "{} is less than 0"),
    the.value("maxReplicas", int, lambda most: most >= 1, "{} is less than 1"),
    Rule("minReplicas",
         lambda s, _: (s.number("minReplicas") or 1) > (s.number("maxReplicas") or inf) > 0,
         "{minReplicas} is more than maxReplicas {maxReplicas}"),
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
    (the.below(_kind("ConfigMap", "Secret"), "data []", "binaryData []", "stringData []"),
     the.API_SERVER, (
        Rule("", lambda part, _: not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", str(part.place[-1]))
             and part.place[-1], "'{}' is no key: letters, digits, '-', '_' and '.'"),
    )),
    (_kind("Service"), the.API_SERVER, _SERVICE),
    (the.below(_kind("Service"), "spec"), the.API_SERVER, _SERVICES),
    (the.below(_kind("Service"), "spec ports *"), the.API_SERVER, _SERVICE_PORT),
    (_made, OPERATORS, _SERVICES),
    (the.below(_kind("HorizontalPodAutoscaler"), "spec"), the.API_SERVER, _SCALER),
    (the.below(_kind("PodDisruptionBudget"), "spec"), the.API_SERVER, (
        the.one_alone("", "{} exclude each other", "minAvailable", "maxUnavailable"),
    )),
    (_kind("CronJob"), the.API_SERVER, (
        Rule("spec schedule", lambda c, _: schedules.broken(c.text("spec", "schedule") or "@daily"),
             "'{}' is no schedule"),
    )),
)  # fmt: skip
