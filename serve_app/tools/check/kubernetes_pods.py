"""What the API server refuses in a pod, or in what makes pods, beyond its schema (Kubernetes 1.33,
pkg/apis/core/validation). An operator's pods are refused when it makes them."""

from collections.abc import Iterable
from dataclasses import replace

from serve_app.tools.check import rules as the
from serve_app.tools.check.json_schema import Validator, violations
from serve_app.tools.check.kubernetes_containers import LABEL, NO_LABEL, SECCOMP
from serve_app.tools.check.kubernetes_containers import table as of_containers
from serve_app.tools.check.metadata import LABELS
from serve_app.tools.check.rules import Parts, Resource, Rule, Table
from serve_app.tools.kube.findings import Place, Problem
from serve_app.tools.kube.part import Looks, Part

OPERATORS = "the API server refuses the pods when the operator makes them"
_TEMPLATE: Place = ("spec", "template")
_OWN: dict[str, Place] = {
    "Pod": (),
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"), _TEMPLATE),
}
_SELECTING = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
_KSERVES: dict[str, tuple[Place, ...]] = {
    "InferenceService": tuple(("spec", part) for part in ("predictor", "transformer", "explainer")),
    "ServingRuntime": (("spec",),),
    "ClusterServingRuntime": (("spec",),),
}
_NO_CONTAINER = ("workerSpec", "nodeSelector", "affinity", "securityContext", "labels", "annotations",
                 "dnsConfig", "overhead", "logger", "batcher", "autoScaling")  # fmt: skip
_BY_THE_OPERATOR = ("shared-mem", "ray-logs", "ray-tls", "ray-token", "gcs-storage")
_METADATA = Validator({"properties": {"labels": LABELS}})
_KEYS = ("In", "NotIn", "Exists", "DoesNotExist")


def _kinds(resource: Resource) -> Iterable[Part]:
    """The templates of Kubernetes' own kinds."""
    own = resource.document.group in ("", "apps", "batch") and resource.kind in _OWN
    return [resource.whole.at(*_OWN[resource.kind])] if own else []


def _kserves(resource: Resource) -> Iterable[Part]:
    """Components. What is missing in them KServe fills in, from a runtime."""
    return [resource.whole.at(*place) for place in _KSERVES.get(resource.kind, ())]


def _kserves_models(resource: Resource) -> Iterable[Part]:
    """`model`, or a framework's name: a container of which KServe fills in the rest."""
    parts = ((one, name, inner) for one in _kserves(resource) for name, inner in one.mapping().items())
    return [one.at(name) for one, name, inner in parts
            if isinstance(inner, dict) and name not in _NO_CONTAINER]  # fmt: skip


def _within(kind: str, pods: Parts) -> Parts:
    """The expressions of a kind of affinity, wherever they stand within."""

    def walk(part: Part) -> Iterable[Part]:
        for key, value in part.mapping().items():
            inner = [part.at(key)] if isinstance(value, dict) else part.parts(key)
            yield from part.parts(key) if key == "matchExpressions" else ()
            for one in inner if key != "matchExpressions" else ():
                yield from walk(one)

    return lambda resource: [found for pod in pods(resource) for found in walk(pod.at("affinity", kind))]


def _lost_mounts(pods: Parts) -> Parts:
    """Mounts of volumes that their pod hasn't."""

    def parts(resource: Resource) -> Iterable[Looks]:
        claims = resource.whole.parts("spec", "volumeClaimTemplates")
        there = {one.text("metadata", "name") for one in claims}
        there |= set(_BY_THE_OPERATOR) if resource.cluster.data else set()
        for pod in pods(resource):
            known = there | {one.text("name") for one in pod.parts("volumes")}
            mounts = the.below(lambda _, pod=pod: [pod], "initContainers * volumeMounts *",  # type: ignore[misc]
                           "containers * volumeMounts *")(resource)  # fmt: skip
            yield from (one for one in mounts if one.text("name") and one.text("name") not in known)

    return parts


def _several_types(volume: Looks, _: Resource) -> str:
    kinds = [str(key) for key, value in volume.mapping().items() if key != "name" and value is not None]
    return " and ".join(kinds) if len(kinds) > 1 else ""


def _namesake(container: Looks, resource: Resource) -> str:
    """A container of the pod's start with this one's name; of one list `first_of` says it."""
    *pod, which, _ = container.place
    before = Part((), resource.document.data).at(*pod).items("initContainers")
    name = container.text("name")
    same = which == "containers" and name and any(Part((), one).get("name") == name for one in before)
    return name if same else ""


def _restarts(template: Looks, resource: Resource) -> str:
    policy = template.text("spec", "restartPolicy")
    if resource.kind in _SELECTING and policy not in ("", "Always"):
        return f"a {resource.kind} restarts always, not '{policy}'"
    once = resource.kind in ("Job", "CronJob") and policy not in ("OnFailure", "Never")
    return f"a job takes OnFailure or Never, not {policy or 'Always, the default'}" if once else ""


def _unselected(resource: Resource) -> Iterable[Part]:
    """Labels that a selector asks for, and its pods have not."""
    wanted = resource.spec.at("selector", "matchLabels")
    for template in _kinds(resource) if resource.kind in _SELECTING else ():
        labels = template.mapping("metadata", "labels")
        yield from (
            wanted.at(key) for key, value in wanted.mapping().items() if labels.get(key) != value
        )


def _labels(group: Looks, _: Resource) -> Iterable[Problem]:
    at = (*group.place, "template", "metadata")
    for one in violations(_METADATA, group.mapping("template", "metadata")):
        yield replace(one, place=(*at, *one.place))


def _pods(pods: Parts, why: str) -> Table:
    """Of these pods' specs."""
    volumes, boxes = the.below(pods, "volumes *"), the.below(pods, "initContainers *", "containers *")
    return (
        (pods, why, (
            the.one_of("restartPolicy", "Always", "OnFailure", "Never"),
            the.one_of("dnsPolicy", "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
            SECCOMP,
            the.one_of("securityContext fsGroupChangePolicy", "OnRootMismatch", "Always"),
        )),
        (boxes, why, (the.first_of("name"), Rule("name", _namesake, "another '{}' came before"))),
        (volumes, why, (
            the.first_of("name"),
            the.like("name", LABEL, NO_LABEL),
            Rule("", _several_types, "a volume is of one type, here are {}"),
        )),
        (the.below(pods, "topologySpreadConstraints *"), why, (
            the.one_of("whenUnsatisfiable", "DoNotSchedule", "ScheduleAnyway"),
            the.at_least("maxSkew", 1),
        )),
        (the.below(pods, "tolerations *"), why, (
            the.one_of("operator", "Exists", "Equal", "Lt", "Gt"),
            the.one_of("effect", "NoSchedule", "PreferNoSchedule", "NoExecute"),
            Rule("value", lambda t, _: t.text("operator") == "Exists" and t.text("value"),
                 "operator Exists takes no value"),
            Rule("operator", lambda t, _: not t.text("key") and t.text("operator") != "Exists",
                 "without a key it must be Exists"),
            Rule("effect", lambda t, _: t.get("tolerationSeconds") is not None
                 and t.text("effect") != "NoExecute", "tolerationSeconds is for the effect NoExecute"),
        )),
        (_within("nodeAffinity", pods), why, (the.one_of("operator", *_KEYS, "Gt", "Lt"),)),
        (_within("podAffinity", pods), why, (the.one_of("operator", *_KEYS),)),
        (_within("podAntiAffinity", pods), why, (the.one_of("operator", *_KEYS),)),
    )  # fmt: skip


def _mounts(pods: Parts, why: str) -> Table:
    lost = Rule("name", lambda mount, _: mount.text("name"), "the pod has no volume '{}'")
    return ((_lost_mounts(pods), why, (lost,)),)


_own, _rays = the.below(_kinds, "spec"), the.below(the.groups, "template spec")
TABLE: Table = (
    *_pods(_own, the.API_SERVER), *_mounts(_own, the.API_SERVER),
    *of_containers(the.below(_own, "initContainers *", "containers *"), the.API_SERVER),
    *_pods(_rays, OPERATORS), *_mounts(_rays, OPERATORS),
    *of_containers(the.below(_rays, "initContainers *", "containers *"), OPERATORS),
    *_pods(_kserves, OPERATORS),
    *of_containers(the.below(_kserves, "initContainers *", "containers *"), OPERATORS, complete=False),
    *of_containers(_kserves_models, OPERATORS, complete=False),
    (_kinds, the.API_SERVER, (Rule("spec restartPolicy", _restarts),)),
    (_unselected, the.API_SERVER, (
        Rule("", lambda label, _: f"{label.place[-1]}: {label.data}", "its pods have not {}"),
    )),
    (the.groups, the.API_SERVER, (_labels,)),
)  # fmt: skip
