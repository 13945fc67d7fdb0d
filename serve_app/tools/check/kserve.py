"""KServe's resources, beyond their schemas (KServe 0.20 and its documentation)."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from serve_app.config import did_you_mean
from serve_app.tools.check import kserve_webhook
from serve_app.tools.kube.documents import Document, get, items
from serve_app.tools.kube.findings import Place, Problem, Severity

_MODE, _SCALER = "serving.kserve.io/deploymentMode", "serving.kserve.io/autoscalerClass"
_MODES, _SCALERS = ("Standard", "Knative", "ModelMesh"), ("hpa", "keda", "external", "none")
_OLD_MODES = {"RawDeployment": "Standard", "Serverless": "Knative"}
_OLD_PREDICTORS = (
    "tensorflow", "sklearn", "xgboost", "pytorch", "onnx", "triton", "lightgbm", "paddle", "pmml",
    "huggingface",
)  # fmt: skip
_NOTES: Place = ("metadata", "annotations")
_COMPONENTS = ("predictor", "transformer", "explainer")
_REFUSED = "KServe refuses it"
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_PREDICTOR: Place = ("spec", "predictor")


class _Service:
    """An InferenceService, as rules see it."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.mode, self.scaler = (get(data, *_NOTES, name) for name in (_MODE, _SCALER))
        mode = _OLD_MODES.get(self.mode, self.mode) if isinstance(self.mode, str) else None
        self.standard, self.knative = mode == "Standard", mode == "Knative"

    def predictor(self, *path: str | int) -> Any:
        return get(self.data, *_PREDICTOR, *path)


class _Rule(NamedTuple):
    """`broken` says whether, of what stands at `place`; `what` may name it as `{0}`."""

    place: Place
    broken: Callable[[Any, _Service], object]
    what: str
    why: str = ""
    fix: str = ""
    severity: Severity = "error"


def _exceeded(part: str, least: Any, one: _Service) -> Any:
    most = get(one.data, "spec", part, "maxReplicas")
    return isinstance(least, int) and isinstance(most, int) and least > most and most


def _negative(number: Any, _: _Service) -> bool:
    return isinstance(number, int) and number < 0


def _no_percentage(part: str, target: Any, one: _Service) -> bool:
    """Of the CPU, which HPA takes by default."""
    metric = get(one.data, "spec", part, "scaleMetric") or "cpu"
    by_cpu = one.standard and metric == "cpu" and one.scaler in (None, "hpa")
    return by_cpu and isinstance(target, int) and not 1 <= target <= 100


_STORED = (
    "gs",
    "s3",
    "pvc",
    "file",
    "https",
    "http",
    "hdfs",
    "webhdfs",
    "oci",
    "oci+native",
    "oci+fetch",
    "hf",
)


def _elsewhere(uri: Any, _: _Service) -> bool:
    """In a storage that KServe has no initializer of its own for."""
    scheme, there, _rest = uri.partition("://") if isinstance(uri, str) else ("", "", "")
    return bool(there) and scheme not in _STORED


def _no_share(share: Any, _: _Service) -> bool:
    return isinstance(share, int) and not 0 <= share <= 100


def _is(old: str, mode: Any, _: _Service) -> bool:
    return bool(mode == old)


def _nothing_to_run(predictor: Any, _: _Service) -> bool:
    known = ("model", "containers", "workerSpec", *_OLD_PREDICTORS)
    return isinstance(predictor, dict) and not any(key in predictor for key in known)


_RULES = (
    *(
        _Rule((*_NOTES, _MODE), partial(_is, old), f"{old} is called {new} now",
              fix=f"{_MODE}: {new}", severity="warning")
        for old, new in _OLD_MODES.items()
    ),
    _Rule((*_NOTES, _MODE), lambda mode, _: mode not in (None, *_MODES, *_OLD_MODES)
          and did_you_mean(str(mode), _MODES), "'{0}' is no deployment mode{1}"),
    _Rule((*_NOTES, _SCALER), lambda scaler, _: scaler not in (None, *_SCALERS)
          and did_you_mean(str(scaler), _SCALERS), "'{0}' is no autoscaler class{1}"),
    _Rule((*_NOTES, _SCALER), lambda scaler, one: scaler in ("keda", "hpa") and one.knative,
          "{0} with mode Knative", "Knative scales by itself, and the class is ignored",
          f"{_MODE}: Standard"),
    _Rule((*_PREDICTOR, "autoScaling"), lambda scaling, one: scaling and one.scaler != "keda",
          "only KEDA reads it", "it is ignored", f"{_SCALER}: keda"),
    _Rule(("spec", "default"), lambda form, _: form is not None, "v1alpha2's form",
          "v1beta1 knows `predictor`, with the traffic of a canary in it",
          "spec: {predictor: {canaryTrafficPercent: …, model: {…}}}"),
    *(
        _Rule((*_PREDICTOR, name), lambda form, _: form is not None,
              f"the field `{name}` is the old form",
              "it says nothing about the protocol, and no runtime is found by it in newer releases",
              f"model: {{modelFormat: {{name: {name}}}, protocolVersion: v2, storageUri: …}}",
              "warning")
        for name in _OLD_PREDICTORS
    ),
    _Rule(_PREDICTOR, _nothing_to_run, "neither `model` nor `containers`", "there is nothing to run"),
    _Rule(("metadata", "name"), lambda name, _: isinstance(name, str) and not _NAME.fullmatch(name),
          "'{0}' is no name of a service: a-z, 0-9 and '-', a letter first", _REFUSED),
    _Rule((*_PREDICTOR, "canaryTrafficPercent"), _no_share, "{0} is no share: 0 to 100",
          "Knative refuses the route"),
    *(_Rule((*_PREDICTOR, name, "storageUri"), _elsewhere, "{0}: no storage that KServe knows by itself",
            "refused, unless a ClusterStorageContainer of yours takes it", severity="warning")
      for name in ("model", *_OLD_PREDICTORS)),
    *(_Rule(("spec", part, key), _negative, "{0} is negative", _REFUSED)
      for part in _COMPONENTS for key in ("minReplicas", "maxReplicas", "containerConcurrency")),
    *(_Rule(("spec", part, "minReplicas"), partial(_exceeded, part),
            "{0} is more than maxReplicas {1}", _REFUSED) for part in _COMPONENTS),
    *(_Rule(("spec", part, "scaleTarget"), partial(_no_percentage, part),
            "{0} is no utilization: 1 to 100", _REFUSED) for part in _COMPONENTS),
    *(_Rule((*_NOTES, note), lambda value, _: value is not None, f"no such annotation; it is {right}",
            "it is ignored", right, "warning")
      for right in (_MODE, _SCALER)
      for note in (right.lower(), right.replace("kserve.io", "kubeflow.org"))),
    _Rule((*_PREDICTOR, "canaryTrafficPercent"), lambda share, one: share is not None and one.standard,
          "Standard mode has no canary", "it is ignored, and everything goes to the new version at once",
          "a second InferenceService and a VirtualService or HTTPRoute with weights"),
)  # fmt: skip


def check(document: Document) -> Iterator[Problem]:
    """All rules of the kind."""
    if document.kind == "InferenceService":
        one = _Service(document.data)
        for rule in _RULES:
            value = get(document.data, *rule.place)
            if found := rule.broken(value, one):
                what = rule.what.format(value, found)
                yield Problem(rule.place, what, rule.why, rule.fix, rule.severity)
        yield from kserve_webhook.check(document.data)
        yield from _ports(one)
    elif document.kind == "InferenceGraph":
        yield from _graph(document)


def _ports(one: _Service) -> Iterator[Problem]:
    for index in range(len(items(one.data, *_PREDICTOR, "containers")) if one.knative else 0):
        place = (*_PREDICTOR, "containers", index, "ports")
        if (count := len(items(one.data, *place))) > 1:
            yield Problem(place, f"{count} ports", "Knative allows one")


def _graph(document: Document) -> Iterator[Problem]:
    nodes = get(document.data, "spec", "nodes")
    if not isinstance(nodes, dict):
        return
    if "root" not in nodes:
        yield Problem(("spec", "nodes"), "no node `root`", "a graph begins there")
    for name in nodes:
        place: Place = ("spec", "nodes", name, "steps")
        steps = items(document.data, *place)
        for index, step in enumerate(steps):
            target = get(step, "nodeName")
            if isinstance(target, str) and target not in nodes:
                what = f"no node '{target}'{did_you_mean(target, nodes)}"
                yield Problem((*place, index, "nodeName"), what)
        weights = [get(step, "weight") for step in steps]
        splits = get(nodes, name, "routerType") == "Splitter"
        if splits and sum(one for one in weights if isinstance(one, int)) != 100:
            yield Problem(place, f"the weights {weights} are not 100 together")
