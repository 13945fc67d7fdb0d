"""The same rollout for others: KServe's `spec.canary`, Argo Rollouts and Flagger. Pure.

None of them tests what Tandem tests: their rules compare a value with a threshold now and then, with
error rates that nobody states. `notes` say what is lost on the way.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serve_app.config import Metric, Rollout
from serve_app.releases.rollout.promql import Unknown, difference

Object = dict[str, Any]
_INTERVAL_S = 60
_FAILURES = 3  # of measurements, after which it is rolled back
_FLAGGER_LONGEST = 10_000
_SHARE_OF_PODS = "setWeight is a share of the pods until a trafficRouting is added"


@dataclass(frozen=True)
class Export:
    """Objects to apply, and what they can't say."""

    objects: list[Object]
    notes: list[str] = field(default_factory=list)


def kserve(model: str, config: Rollout, baseline: str, predictors: Mapping[str, Object]) -> Export:
    """One InferenceService for each step, to be applied one after the other, and one for the promotion:
    KServe has neither steps nor an analysis. `predictors`: by version, what stands below `predictor`.
    """
    notes = ["KServe splits, and decides nothing: apply the next step, or the first one again, by hand"]
    old, promoted = predictors[baseline], predictors[config.version]
    new = {"name": f"v{config.version}", **promoted}
    if "model" in new:  # the CRD asks for what KServe calls the container otherwise
        new["model"] = {"name": "kserve-container", **new["model"]}
    specs: list[Object] = [
        {"predictor": old, "canary": [{"trafficPercent": _percent(step.weight), "predictor": new}]}
        for step in config.steps
    ]
    annotations = {"serving.kserve.io/deploymentMode": "Standard"}
    objects = [
        _object("serving.kserve.io/v1beta1", "InferenceService", _dns(model), spec, annotations)
        for spec in [*specs, {"predictor": promoted}]
    ]
    return Export(objects, notes + _whole(config))


def argo(model: str, config: Rollout, baseline: str, prometheus: str) -> Export:
    """A Rollout of the Deployment that is called as the model, and the AnalysisTemplate that it runs."""
    name, notes, steps = _dns(model), [*_whole(config), _SHARE_OF_PODS], list[Object]()
    for index, step in enumerate(config.steps):
        steps.append({"setWeight": _percent(step.weight)})
        if step.duration is not None:
            steps.append({"pause": {"duration": f"{math.ceil(step.duration)}s"}})
        if step.pause or step.duration is None:
            steps.append({"pause": {}})
        if step.requests is not None:
            notes.append(
                f"steps[{index}].requests: Argo Rollouts counts none"
                + ("" if step.duration else ": it waits until somebody promotes")
            )
    measured, left = _measured(model, config, baseline, prometheus)
    metrics: list[Object] = [
        {
            "name": metric.called,
            "interval": f"{_interval(metric)}s",
            "failureLimit": _FAILURES,
            "successCondition": f"len(result) == 0 || isNaN(result[0]) || result[0] < {bound:g}",
            "provider": {"prometheus": {"address": address, "query": query}},
        }
        for metric, address, query, bound in measured
    ]
    template: Object = {"metrics": metrics}
    if dry := [{"metricName": m.called} for m, *_ in measured if m.dry_run or config.dry_run]:
        template["dryRun"] = dry
    canary = {"steps": steps, "analysis": {"templates": [{"templateName": f"{name}-rollout"}]}}
    spec = {
        "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "strategy": {"canary": canary},
    }
    return Export(
        [
            _object("argoproj.io/v1alpha1", "Rollout", name, spec),
            _object("argoproj.io/v1alpha1", "AnalysisTemplate", f"{name}-rollout", template),
        ],
        notes + left + _always(config),
    )


def flagger(model: str, config: Rollout, baseline: str, prometheus: str) -> Export:
    """A Canary of the Deployment that is called as the model, and a MetricTemplate for each metric."""
    name, notes = _dns(model), _whole(config)
    longest = max((step.duration or 0 for step in config.steps), default=0) or _INTERVAL_S
    interval = min(math.ceil(longest), _FLAGGER_LONGEST)
    if any(step.duration != interval or step.requests for step in config.steps):
        notes.append(f"Flagger's steps are all of one length, here {interval} s, and count no requests")
    if any(step.pause for step in config.steps):
        notes.append("Flagger pauses by a webhook (confirm-traffic-increase), which isn't made here")
    weights = sorted({_percent(step.weight) for step in config.steps} - {0})
    if config.steps[0].weight == 0:
        notes.append("steps[0].weight: Flagger has no step of 0 %; it can mirror instead")
    measured, left = _measured(model, config, baseline, prometheus)
    templates, checks = list[Object](), list[Object]()
    for metric, address, query, bound in measured:
        if metric.dry_run:
            notes.append(f"{metric.called}: Flagger has no dry run, so it is left out")
            continue
        called = _dns(f"{name}-{metric.called}")
        provider = {"type": "prometheus", "address": address}
        templates.append(
            _object(
                "flagger.app/v1beta1", "MetricTemplate", called, {"provider": provider, "query": query}
            )
        )
        checks.append(
            {
                "name": metric.called, "interval": f"{_interval(metric)}s",
                "templateRef": {"name": called}, "thresholdRange": {"max": float(f"{bound:g}")},
            }
        )  # fmt: skip
    analysis = {
        "interval": f"{interval}s", "threshold": _FAILURES, "stepWeights": weights or [1],
        "metrics": checks,
    }  # fmt: skip
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "service": {"port": 8000},
        "analysis": analysis,
    }
    if config.dry_run:
        spec["skipAnalysis"] = True
        notes.append("Flagger has no dry run: skipAnalysis promotes without looking")
    canary = _object("flagger.app/v1beta1", "Canary", name, spec)
    return Export([*templates, canary], notes + left + _always(config))


def _measured(
    model: str, config: Rollout, baseline: str, prometheus: str
) -> tuple[list[tuple[Metric, str, str, float]], list[str]]:
    """Of each metric: where to ask, the query, and the bound below which it is fine."""
    found, notes = list[tuple[Metric, str, str, float]](), list[str]()
    for metric in config.metrics:
        try:
            query, bound = difference(metric, model, config.version, baseline, _interval(metric))
        except Unknown as unknown:
            notes.append(f"{metric.called}: {unknown}, so it is left out")
        else:
            found.append((metric, metric.address or prometheus, query, bound))
    return found, notes


def _interval(metric: Metric) -> int:
    asked = metric.interval if metric.kind in ("expression", "prometheus") else _INTERVAL_S
    return max(1, round(asked))


def _whole(config: Rollout) -> list[str]:
    return [
        f"steps[{index}].weight: {step.weight:g} % is {_percent(step.weight)} % there"
        for index, step in enumerate(config.steps)
        if step.weight != _percent(step.weight)
    ]


def _always(config: Rollout) -> list[str]:
    return [
        f"alpha {config.alpha:g} and beta {config.beta:g} have no counterpart: {_FAILURES} failed "
        "measurements are a rollback",
        f"inconclusive: {config.inconclusive.then} has none: what fails no measurement is promoted",
    ]


def _percent(weight: float) -> int:
    return 0 if weight == 0 else max(1, round(weight))


def _dns(name: str) -> str:
    """A name that Kubernetes takes, of one that a URL takes."""
    kept = "".join(one if one.isalnum() else "-" for one in name.lower())
    return kept.strip("-")[:63].rstrip("-")


def _object(
    api: str, kind: str, name: str, spec: Object, annotations: Mapping[str, str] | None = None
) -> Object:
    metadata: Object = {"name": name}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}
