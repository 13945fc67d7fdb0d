"""What KServe's webhook refuses of a component's scaling: by HPA, by KEDA, by Knative."""

from collections.abc import Iterator
from typing import Any

from serve_app.tools.kube.findings import Problem
from serve_app.tools.kube.part import Part
from serve_app.tools.kube.quantity import quantity

_REFUSED = "KServe refuses it"
_CLASS = "autoscaling.knative.dev/class"


def check(part: Part, mode: Any, scaler: Any, notes: dict[Any, Any]) -> Iterator[Problem]:
    """By the mode and the scaler that annotations name; without a mode it takes Knative's rules."""
    if mode == "Standard":
        if scaler == "hpa":
            yield from _hpa(part)
        elif scaler == "keda":
            yield from _keda(part)
    elif notes.get(_CLASS) == "hpa.autoscaling.knative.dev":
        yield from _hpa(part)
    elif mode in ("Knative", "Serverless", None):
        yield from _knative(part)


def _wrong(part: Part, what: str, fix: str, *at: str | int) -> Problem:
    return Problem((*part.place, *at), what, _REFUSED, fix)


def _hpa(part: Part) -> Iterator[Problem]:
    metric = part.get("scaleMetric")
    if metric not in (None, "cpu", "memory"):
        yield _wrong(part, f"HPA takes cpu or memory, not {metric}", "scaleMetric: cpu", "scaleMetric")
    target = part.number("scaleTarget")
    if target is not None and metric == "memory" and target < 1:
        yield _wrong(part, f"{target} MiB is no target", "", "scaleTarget")
    for one in part.parts("autoScaling", "metrics"):
        if one.get("type") != "Resource":
            yield _wrong(one, f"HPA takes Resource, not {one.get('type')}", "type: Resource", "type")
        elif not isinstance(one.get("resource"), dict):
            yield _wrong(one, "a metric of type Resource has a `resource`", "")


def _keda(part: Part) -> Iterator[Problem]:
    if part.get("scaleMetric") is not None:
        fix = "autoScaling: {metrics: […]}"
        yield _wrong(part, "KEDA doesn't take scaleMetric", fix, "scaleMetric")
    for one in part.parts("autoScaling", "metrics"):
        kind = one.get("type")
        key = {"Resource": "resource", "External": "external", "PodMetric": "podmetric"}.get(str(kind))
        if key is None:
            yield _wrong(one, f"KEDA takes Resource, External or PodMetric, not {kind}", "", "type")
        elif not isinstance(one.get(key), dict):
            yield _wrong(one, f"a metric of type {kind} has a `{key}`", "")
        elif key == "resource":
            yield from _resource(one.at(key))
        else:
            yield from _queried(one.at(key))


def _resource(one: Part) -> Iterator[Problem]:
    name, kind = one.get("name"), one.get("target", "type")
    kinds = {"cpu": ("Utilization",), "memory": ("AverageValue", "Utilization")}.get(str(name))
    if kinds is None:
        yield _wrong(one, f"a resource is cpu or memory, not {name}", "", "name")
    elif kind not in kinds:
        what = f"a target of {name} is of type {' or '.join(kinds)}, not {kind}"
        yield _wrong(one, what, "", "target", "type")
    else:
        yield from _target(one.at("target"))
        if kind == "AverageValue":
            try:
                size = quantity(one.get("target", "averageValue"))
            except ValueError:
                return
            if size < 2**20:
                yield _wrong(one, "less than 1 MiB is no target", "", "target", "averageValue")


def _queried(one: Part) -> Iterator[Problem]:
    if not one.get("metric", "query"):
        yield _wrong(one, "a query is wanted", "", "metric", "query")
    if one.get("target", "value") is None:
        yield _wrong(one, "a target's `value` is wanted", "value: 4", "target", "value")


def _target(one: Part) -> Iterator[Problem]:
    key = {"Utilization": "averageUtilization", "AverageValue": "averageValue"}.get(
        str(one.get("type")), "value"
    )
    number = one.get(key)
    if number is None:
        yield _wrong(one, f"a target of this type has `{key}`", "")
    elif key == "averageUtilization" and not (isinstance(number, int) and 1 <= number <= 100):
        yield _wrong(one, f"{number} is no utilization: 1 to 100", "", key)


def _knative(part: Part) -> Iterator[Problem]:
    fix = "serving.kserve.io/deploymentMode: Standard, among the annotations"
    if part.get("deploymentStrategy") is not None:
        what = "only Standard mode has it, and it has to be said"
        yield _wrong(part, what, fix, "deploymentStrategy")
    metric = part.get("scaleMetric")
    # Without a mode it is the cluster's, which may be Standard.
    if metric in ("cpu", "memory"):
        yield _wrong(part, f"Knative takes concurrency or rps, not {metric}", fix, "scaleMetric")
    target = part.number("scaleTarget")
    if metric == "rps" and target is not None and target < 1:
        yield _wrong(part, f"{target} requests per second is no target", "", "scaleTarget")
