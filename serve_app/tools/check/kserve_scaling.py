"""What KServe refuses of how a component scales (KServe 0.20: validateAutoScalingCompExtension), by the
scaler that its annotations name."""

from collections.abc import Iterable

from serve_app.tools.check import rules as the
from serve_app.tools.check.kserve_parts import MODE, SCALER, components, mode_of
from serve_app.tools.check.rules import Parts, Resource, Rule, Table
from serve_app.tools.kube.part import Looks
from serve_app.tools.kube.quantity import exact

_KINDS = {"Resource": "resource", "External": "external", "PodMetric": "podmetric"}
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


def _unsaid(resource: Resource) -> Iterable[Looks]:
    """Components in the cluster's own mode, whichever that is."""
    return components(resource) if not mode_of(resource) else ()


def _unnamed(resource: Resource) -> Iterable[Looks]:
    """Components that Kubernetes' own autoscaler scales although nobody named it."""
    named = mode_of(resource) != "Standard" or resource.note(SCALER)
    return () if named else components(resource)


def _metrics(resource: Resource) -> Iterable[Looks]:
    return [one for c in _by("keda")(resource) for one in c.parts("autoScaling", "metrics")]


def _targets(resource: Resource) -> Iterable[Looks]:
    found = (one.at(_KINDS.get(one.text("type"), "")) for one in _metrics(resource))
    return [one for one in found if isinstance(one.data, dict)]


def _no_percentage(component: Looks, _: Resource) -> str:
    target, metric = component.number("scaleTarget"), component.text("scaleMetric") or "cpu"
    wrong = target is not None and (target > 100 or (metric in ("cpu", "memory") and target < 1))
    return str(target) if wrong else ""


def _none_at_all(component: Looks, _: Resource) -> str:
    target, metric = component.number("scaleTarget"), component.text("scaleMetric") or "cpu"
    return str(target) if target is not None and metric == "cpu" and target < 1 else ""


def _untold(metric: Looks, _: Resource) -> str:
    key = _KINDS.get(metric.text("type"))
    return f"'{key}' is needed for the type {metric.text('type')}" if key and not metric.get(key) else ""


def _wrong_type(source: Looks, _: Resource) -> str:
    allowed = {"cpu": ("Utilization",), "memory": ("AverageValue", "Utilization")}.get(
        source.text("name")
    )
    kind = source.text("target", "type")
    return f"'{kind}' is none of {', '.join(allowed)}" if allowed and kind not in allowed else ""


def _no_target(source: Looks, _: Resource) -> str:
    key = _TARGET.get(source.text("target", "type"), "")
    return key if key and source.get("target", key) is None else ""


def _no_share(source: Looks, _: Resource) -> str:
    share = source.number("target", "averageUtilization")
    wrong = source.text("target", "type") == "Utilization" and share is not None
    return str(share) if wrong and not 1 <= (share or 0) <= 100 else ""


def _too_little(source: Looks, _: Resource) -> str:
    value = source.get("target", "averageValue")
    try:
        small = source.text("name") == "memory" and value is not None and exact(value) < exact("1Mi")
    except ValueError:
        return ""  # said by the schema
    return str(value) if small and source.text("target", "type") == "AverageValue" else ""


def _outside(source: Looks) -> bool:
    """A metric that isn't a pod's own resource."""
    return source.place[-1] != "resource"


_STANDARD = f"{MODE}: Standard, among the annotations"
_KEDA, _HPA, _KPA = (the.refused(f"validateScaling{by}CompExtension") for by in ("Keda", "HPA", "KPA"))
TABLE: Table = (
    (_by("hpa"), _HPA, (
        the.one_of("scaleMetric", "cpu", "memory"),
        Rule("scaleTarget", _no_percentage, "{} is no utilization: 1 to 100"),
    )),
    (_unnamed, "", (
        Rule("scaleTarget", _none_at_all, "{} is no utilization: 1 or more",
             why="Kubernetes refuses the autoscaler that KServe makes"),
    )),
    (_by("kpa"), _KPA, (
        the.one_of("scaleMetric", "concurrency", "rps"),
        Rule("deploymentStrategy", the.is_set("deploymentStrategy"),
             "Knative replaces pods in its own way", "leave it out"),
        Rule("scaleTarget", lambda c, _: c.text("scaleMetric") == "rps" and
             (number := c.number("scaleTarget")) is not None and number < 1 and str(number),
             "{} is not above 0"),
    )),
    (_unsaid, "where the cluster's own mode is Knative, KServe refuses it", (
        Rule("deploymentStrategy", the.is_set("deploymentStrategy"), "only Standard mode has it",
             _STANDARD, severity="warning"),
        Rule("scaleMetric", lambda c, _: c.text("scaleMetric") in ("cpu", "memory")
             and c.text("scaleMetric"), "{}: Knative takes concurrency or rps", _STANDARD,
             severity="warning"),
    )),
    (_by("keda"), _KEDA, (
        Rule("scaleMetric", the.is_set("scaleMetric"), "KEDA doesn't read it",
             "autoScaling: {metrics: […]}"),
    )),
    (_metrics, _KEDA, (the.one_of("type", *_KINDS), Rule("", _untold, "{}"))),
    (_targets, _KEDA, (
        Rule("name", lambda s, _: not _outside(s) and s.get("name") not in ("cpu", "memory")
             and f"'{s.get('name')}' is none of cpu, memory"),
        Rule("target type", _wrong_type, "{}"),
        Rule("target", _no_target, "'{}' is needed for its type"),
        Rule("target averageUtilization", _no_share, "{} is no utilization: 1 to 100"),
        Rule("target averageValue", _too_little, "{} is less than 1Mi"),
        Rule("metric", lambda s, _: _outside(s) and not s.text("metric", "query"), "a query is needed"),
        Rule("target", lambda s, _: _outside(s) and s.get("target", "value") is None,
             "a `value` is needed, the threshold"),
    )),
)  # fmt: skip
