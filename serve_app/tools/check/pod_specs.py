"""What the API server refuses in a pod, or in what makes pods, beyond its schema (Kubernetes 1.33,
pkg/apis/core/validation). An operator's pods are refused when it makes them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from serve_app.tools.check.containers import LABEL, Problems, container, distinct, one_of
from serve_app.tools.check.json_schema import Validator, violations
from serve_app.tools.check.kubernetes_rules import service_words
from serve_app.tools.check.metadata import LABELS
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Place, Problem
from serve_app.tools.kube.part import Looks, Part
from serve_app.tools.kube.ray_cluster import RayCluster

_REFUSED = "the API server refuses it"
_OPERATORS = "the API server refuses the pods when the operator makes them"
_TEMPLATE: Place = ("spec", "template")
_OWN: dict[str, Place] = {
    "Pod": (),
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"), _TEMPLATE),
}
_GROUPS = ("", "apps", "batch")
_SELECTING = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
_KSERVES: dict[str, tuple[Place, ...]] = {
    "InferenceService": tuple(("spec", part) for part in ("predictor", "transformer", "explainer")),
    "ServingRuntime": (("spec",),),
    "ClusterServingRuntime": (("spec",),),
}
_NO_CONTAINER = ("workerSpec", "nodeSelector", "affinity", "securityContext", "labels", "annotations",
                 "dnsConfig", "overhead", "logger", "batcher", "autoScaling")  # fmt: skip
_WORDS = {
    "restartPolicy": ("Always", "OnFailure", "Never"),
    "dnsPolicy": ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    "securityContext seccompProfile type": ("RuntimeDefault", "Unconfined", "Localhost"),
    "securityContext fsGroupChangePolicy": ("OnRootMismatch", "Always"),
}
_KEYS = ("In", "NotIn", "Exists", "DoesNotExist")
_EXPRESSIONS = {
    "nodeAffinity": (*_KEYS, "Gt", "Lt"), **dict.fromkeys(("podAffinity", "podAntiAffinity"), _KEYS),
}  # fmt: skip
_OPERATORS_VOLUMES = ("shared-mem", "ray-logs", "ray-tls", "ray-token", "gcs-storage")
_SPREAD = {"whenUnsatisfiable": ("DoNotSchedule", "ScheduleAnyway")}
_TOLERATION = {
    "operator": ("Exists", "Equal", "Lt", "Gt"),
    "effect": ("NoSchedule", "PreferNoSchedule", "NoExecute"),
}
_METADATA = Validator({"properties": {"labels": LABELS}})


def check(document: Document, cluster: RayCluster | None) -> Iterator[Problem]:
    """All of a document's pods, and its ports if it is a service."""
    whole = Part((), document.data)
    kind = document.kind
    if kind in _OWN and document.group in _GROUPS:
        template = whole.at(*_OWN[kind])
        yield from _said(
            _pod(template.at("spec"), whole.parts("spec", "volumeClaimTemplates")), _REFUSED
        )
        yield from _said(_kind(kind, whole, template), _REFUSED)
    elif kind == "Service" and not document.group:
        yield from _said(_service(whole.at("spec")), _REFUSED)
    elif cluster:
        for group in cluster.groups:
            at = (*group.place, "template", "metadata")
            for one in violations(_METADATA, group.mapping("template", "metadata")):
                yield replace(one, place=(*at, *one.place))
            yield from _said(_pod(group.at("template", "spec"), there=_OPERATORS_VOLUMES), _OPERATORS)
        services = whole.at("spec", "serveService", "spec"), cluster.head.at("headService", "spec")
        for service in services:
            yield from _said(service_words(service), _OPERATORS)
    for place in _KSERVES.get(kind, ()):
        yield from _said(_pod(whole.at(*place), complete=False, whole=False), _OPERATORS)
        for name, one in whole.mapping(*place).items():
            # `model`, or a framework's name: a container of which KServe fills in the rest.
            if isinstance(one, dict) and name not in _NO_CONTAINER:
                yield from _said(container(whole.at(*place, name), complete=False), _OPERATORS)


def _said(found: Problems, why: str) -> Iterator[Problem]:
    for place, what in found:
        yield Problem(place, what, why)


def _pod(
    pod: Part,
    claims: Iterable[Part] = (),
    complete: bool = True,
    whole: bool = True,
    there: tuple[str, ...] = (),
) -> Problems:
    """`complete`: nobody puts an image, a handler of a probe into it; `whole`: nor volumes, but those
    that are `there`."""
    yield from one_of(pod, _WORDS)
    boxes = [*pod.parts("initContainers"), *pod.parts("containers")]
    yield from distinct(boxes, "name")
    volumes = list(pod.parts("volumes"))
    yield from distinct(volumes, "name")
    for one in volumes:
        yield from _volume(one)
    names = {one.text("name") for one in volumes} | {one.text("metadata", "name") for one in claims}
    names |= set(there)
    for box in boxes:
        yield from container(box, complete)
        for mount in box.parts("volumeMounts") if whole else ():
            if mount.text("name") and mount.text("name") not in names:
                yield (*mount.place, "name"), f"the pod has no volume '{mount.text('name')}'"
    for one in pod.parts("topologySpreadConstraints"):
        yield from one_of(one, _SPREAD)
        if (skew := one.number("maxSkew")) is not None and skew < 1:
            yield (*one.place, "maxSkew"), f"{skew} is not above 0"
    for one in pod.parts("tolerations"):
        yield from _toleration(one)
    for kind, words in _EXPRESSIONS.items():
        for one in _expressions(pod.at("affinity", kind)):
            yield from one_of(one, {"operator": words})


def _volume(one: Looks) -> Problems:
    if (name := one.text("name")) and not LABEL.fullmatch(name):
        yield (*one.place, "name"), f"'{name}' is no DNS label: a-z, 0-9 and '-'"
    kinds = [str(key) for key, value in one.mapping().items() if key != "name" and value is not None]
    if len(kinds) > 1:
        yield one.place, f"a volume is of one type, here are {' and '.join(kinds)}"


def _expressions(part: Part) -> Iterator[Part]:
    """Those of selectors, wherever they stand within."""
    for key, value in part.mapping().items():
        if key == "matchExpressions":
            yield from part.parts(key)
        elif isinstance(value, dict):
            yield from _expressions(part.at(key))
        else:
            for one in part.parts(key):
                yield from _expressions(one)


def _toleration(one: Looks) -> Problems:
    yield from one_of(one, _TOLERATION)
    if one.text("operator") == "Exists" and one.text("value"):
        yield (*one.place, "value"), "operator Exists takes no value"
    if not one.text("key") and one.text("operator") != "Exists":
        yield (*one.place, "operator"), "without a key it must be Exists"
    if one.get("tolerationSeconds") is not None and one.text("effect") != "NoExecute":
        yield (*one.place, "effect"), "tolerationSeconds is for the effect NoExecute"


def _kind(kind: str, whole: Part, template: Part) -> Problems:
    policy, labels = template.text("spec", "restartPolicy"), template.mapping("metadata", "labels")
    place = (*template.place, "spec", "restartPolicy")
    if kind in _SELECTING:
        if policy not in ("", "Always"):
            yield place, f"a {kind} restarts always, not '{policy}'"
        wanted = whole.mapping("spec", "selector", "matchLabels")
        for key, value in wanted.items():
            if labels.get(key) != value:
                there = ("spec", "selector", "matchLabels", key)
                yield there, f"its pods have not {key}: {value}"
    elif kind in ("Job", "CronJob") and policy not in ("OnFailure", "Never"):
        yield place, f"a job takes OnFailure or Never, not {policy or 'Always, the default'}"


def _service(spec: Part) -> Problems:
    ports = list(spec.parts("ports"))
    yield from distinct(ports, "name")
    for one in ports:
        for key in ("port", "targetPort"):
            number = one.number(key)
            if number is not None and not 0 < number < 65536:
                yield (*one.place, key), f"{number} is no port: 1 to 65535"
        yield from one_of(one, {"protocol": ("TCP", "UDP", "SCTP")})
        if len(ports) > 1 and not one.text("name"):
            yield one.place, "of several ports each needs a name"
