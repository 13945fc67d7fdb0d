"""What the API server refuses in a pod, or in what makes pods, beyond its schema (Kubernetes 1.33,
pkg/apis/core/validation). An operator's pods are refused when it makes them."""

from collections.abc import Iterable
from dataclasses import replace

from serve_app.tools.check import rules as the
from serve_app.tools.check.json_schema import Validator, violations
from serve_app.tools.check.kserve_parts import FRAMEWORKS, RUNTIMES, components
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
_BY_THE_OPERATOR = ("shared-mem", "ray-logs", "ray-tls", "ray-token", "gcs-storage")
_METADATA = Validator({"properties": {"labels": LABELS}})
_BOXES = ("initContainers *", "containers *")
_KEYS = ("In", "NotIn", "Exists", "DoesNotExist")


def _kinds(resource: Resource) -> Iterable[Part]:
    """The templates of Kubernetes' own kinds."""
    own = resource.document.group in ("", "apps", "batch") and resource.kind in _OWN
    return [resource.whole.at(*_OWN[resource.kind])] if own else []


def _within(kind: str, pods: Parts) -> Parts:
    """The expressions of a kind of affinity, wherever they stand within."""

    def walk(part: Part) -> Iterable[Part]:
        for key, value in part.mapping().items():
            inner = [part.at(key)] if isinstance(value, dict) else part.parts(key)
            yield from part.parts(key) if key == "matchExpressions" else ()
            for one in inner if key != "matchExpressions" else ():
                yield from walk(one)

    return lambda resource: [found for pod in pods(resource) for found in walk(pod.at("affinity", kind))]


def _lost(mount: Looks, resource: Resource) -> bool:
    """Of a volume that its pod hasn't."""
    volumes = resource.whole.at(*mount.place[:-4]).parts("volumes")
    claims = resource.whole.parts("spec", "volumeClaimTemplates")
    there = [
        "",
        *(one.text("metadata", "name") for one in claims),
        *(one.text("name") for one in volumes),
    ]
    return mount.text("name") not in [*there, *(_BY_THE_OPERATOR if resource.cluster.data else ())]


def _several_types(volume: Looks, _: Resource) -> str:
    types = [str(key) for key, value in volume.mapping().items() if key != "name" and value is not None]
    return " and ".join(types) if len(types) > 1 else ""


def _namesake(container: Looks, resource: Resource) -> str:
    """A container of the pod's start with this one's name; of one list `first_of` says it."""
    *pod, which, _ = container.place
    before = resource.whole.at(*pod).parts("initContainers") if which == "containers" else ()
    name = container.text("name")
    return name if name in [one.get("name") for one in before] else ""


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
    volumes, boxes = the.below(pods, "volumes *"), the.below(pods, *_BOXES)
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


_MOUNTS = (Rule("name", _lost, "the pod has no volume '{}'"),)
# KServe fills in what is missing in components, from a runtime; so, too, in a model's container.
_kserves = (components, the.of(*RUNTIMES))
_models = the.below(components, "model", *FRAMEWORKS, "art")
_own, _rays = the.below(_kinds, "spec"), the.below(the.groups, "template spec")
TABLE: Table = (
    *_pods(_own, the.API_SERVER), *of_containers(the.below(_own, *_BOXES), the.API_SERVER),
    (the.below(_own, *(f"{box} volumeMounts *" for box in _BOXES)), the.API_SERVER, _MOUNTS),
    *_pods(_rays, OPERATORS), *of_containers(the.below(_rays, *_BOXES), OPERATORS),
    (the.below(_rays, *(f"{box} volumeMounts *" for box in _BOXES)), OPERATORS, _MOUNTS),
    *(row for parts in _kserves for row in _pods(parts, OPERATORS)),
    *(row for parts in (*(the.below(some, *_BOXES) for some in _kserves), _models)
      for row in of_containers(parts, OPERATORS, complete=False)),
    (_kinds, the.API_SERVER, (Rule("spec restartPolicy", _restarts),)),
    (_unselected, the.API_SERVER, (
        Rule("", lambda label, _: f"{label.place[-1]}: {label.data}", "its pods have not {}"),
    )),
    (the.groups, the.API_SERVER, (_labels,)),
)  # fmt: skip
