"""What KServe refuses of how a component scales (KServe 0.20: validateAutoScalingCompExtension), by the
scaler that its annotations name."""

from collections.abc import Iterable

from serve_app.tools.check import rules as the
from serve_app.tools.check.kserve_parts import MODE, SCALER, components, mode_of
from serve_app.tools.check.rules import Parts, Resource, Rule, Table
from serve_app.tools.kube.part import Looks
from serve_app.tools.kube.quantity import amount

_KINDS = {"Resource": "resource", "External": "external", "PodMetric": "podmetric"}
_TYPES = {"cpu": ("Utilization",), "memory": ("AverageValue", "Utilization")}
_TARGET = {"Utilization": "averageUtilization", "AverageValue": "averageValue", "Value": "value"}


def _by(scaler: str) -> Parts:
    """Components that this one scales."""

    def parts(resource: Resource) -> Iterable[Looks]:
        knative = mode_of(resource) == "Knative"
        other = resource.note("autoscaling.knative.dev/class") == "hpa.autoscaling.knative.dev"
        named = resource.note(SCALER) if mode_of(resource) == "Standard" else ""
        found = ("hpa" if other else "kpa") if knative else named
        return components(resource) if found == scaler else ()

    return parts


def _metrics(resource: Resource) -> Iterable[Looks]:
    return [one for c in _by("keda")(resource) for one in c.parts("autoScaling", "metrics")]


def _targets(resource: Resource) -> Iterable[Looks]:
    found = (one.at(_KINDS.get(one.text("type"), "")) for one in _metrics(resource))
    return [one for one in found if isinstance(one.data, dict)]


def _utilized(resource: Resource) -> Iterable[Looks]:
    return [one for one in _targets(resource) if one.text("target", "type") == "Utilization"]


def _below(component: Looks, least: int) -> bool:
    target = component.number("scaleTarget")
    return target is not None and target < least


def _own(source: Looks) -> bool:
    """Whether it is a pod's own resource."""
    return source.place[-1] == "resource"


def _wrong_type(source: Looks, _: Resource) -> str:
    allowed = _TYPES.get(source.text("name"), ())
    kind = source.text("target", "type")
    return f"'{kind}' is none of {', '.join(allowed)}" if allowed and kind not in allowed else ""


def _too_little(source: Looks, _: Resource) -> bool:
    asked = source.text("target", "type") == "AverageValue" and source.text("name") == "memory"
    least = amount(source.get("target", "averageValue"))
    return asked and least is not None and least < 1024**2


_STANDARD = f"{MODE}: Standard, among the annotations"
_KEDA, _HPA, _KPA = (the.refused(f"validateScaling{by}CompExtension") for by in ("Keda", "HPA", "KPA"))
# Where Kubernetes' own autoscaler scales although nobody named it, and where the cluster says how.
_unnamed = the.where(components, lambda r: mode_of(r) == "Standard" and not r.note(SCALER))
_unsaid = the.where(components, lambda r: not mode_of(r))
TABLE: Table = (
    (_by("hpa"), _HPA, (
        the.one_of("scaleMetric", "cpu", "memory"),
        Rule("scaleTarget", lambda c, _: (c.number("scaleTarget") or 0) > 100
             or (c.text("scaleMetric") in ("", "cpu", "memory") and _below(c, 1)),
             "{} is no utilization: 1 to 100"),
    )),
    (_unnamed, "", (
        Rule("scaleTarget", lambda c, _: c.text("scaleMetric") in ("", "cpu") and _below(c, 1),
             "{} is no utilization: 1 or more",
             why="Kubernetes refuses the autoscaler that KServe makes"),
    )),
    (_by("kpa"), _KPA, (
        the.one_of("scaleMetric", "concurrency", "rps"),
        Rule("deploymentStrategy", the.is_set("deploymentStrategy"),
             "Knative replaces pods in its own way", "leave it out"),
        Rule("scaleTarget", lambda c, _: c.text("scaleMetric") == "rps" and _below(c, 1),
             "{} is not above 0"),
    )),
    (_unsaid, "where the cluster's own mode is Knative, KServe refuses it", (
        Rule("deploymentStrategy", the.is_set("deploymentStrategy"), "only Standard mode has it",
             _STANDARD, severity="warning"),
        Rule("scaleMetric", lambda c, _: c.text("scaleMetric") in ("cpu", "memory"),
             "{}: Knative takes concurrency or rps", _STANDARD, severity="warning"),
    )),
    (_by("keda"), _KEDA, (
        Rule("scaleMetric", the.is_set("scaleMetric"), "KEDA doesn't read it",
             "autoScaling: {metrics: […]}"),
    )),
    (_metrics, _KEDA, (
        the.one_of("type", *_KINDS),
        Rule("", lambda m, _: (key := _KINDS.get(m.text("type"))) and not m.get(key) and key,
             "'{}' is needed for the type {type}"),
    )),
    (_utilized, _KEDA, (
        the.between("target averageUtilization", 1, 100, "{} is no utilization: 1 to 100"),
    )),
    (_targets, _KEDA, (
        Rule("name", lambda s, _: _own(s) and s.get("name") not in _TYPES,
             "'{}' is none of cpu, memory"),
        Rule("target type", _wrong_type),
        Rule("target", lambda s, _: (key := _TARGET.get(s.text("target", "type"), ""))
             and s.get("target", key) is None and key, "'{}' is needed for its type"),
        Rule("target averageValue", _too_little, "{} is less than 1Mi"),
        Rule("metric", lambda s, _: not _own(s) and not s.text("metric", "query"), "a query is needed"),
        Rule("target", lambda s, _: not _own(s) and s.get("target", "value") is None,
             "a `value` is needed, the threshold"),
    )),
)  # fmt: skip
