"""What KServe's webhook refuses of an InferenceService (0.21, inference_service_validation.go)."""

from collections.abc import Iterator
from typing import Any

from serve_app.tools.check import kserve_scaling
from serve_app.tools.kserve.formats import OLD_STYLE
from serve_app.tools.kube.findings import Problem
from serve_app.tools.kube.part import Part

_REFUSED = "KServe refuses it"
_MODE, _SCALER = "serving.kserve.io/deploymentMode", "serving.kserve.io/autoscalerClass"
_BLOCKED = ("PYTHONPATH",)
_LOGGED = ("all", "request", "response")
_FIXED = ("scaleTarget", "scaleMetric", "autoScaling")


def check(data: dict[str, Any]) -> Iterator[Problem]:
    """All rules, in its order."""
    root = Part((), data)
    notes = root.mapping("metadata", "annotations")
    predictor = root.at("spec", "predictor")
    yield from _workers(predictor, notes)
    yield from _predictor(predictor)
    for name in ("predictor", "transformer", "explainer"):
        part = root.at("spec", name)
        if isinstance(part.data, dict):
            yield from _component(part, name, notes)
    yield from _canaries(root, predictor, notes)


def _wrong(part: Part, what: str, fix: str = "", *at: str | int) -> Problem:
    return Problem((*part.place, *at), what, _REFUSED, fix)


def _implementations(part: Part, name: str) -> list[str]:
    forms = {"predictor": ("model", *OLD_STYLE), "explainer": ("art",)}.get(name, ())
    found = [form for form in forms if isinstance(part.get(form), dict)]
    boxes = part.items("containers")
    custom = name != "predictor" or not found or any(
        isinstance(one, dict) and one.get("name") == "kserve-container" for one in boxes
    )  # fmt: skip
    return [*found, *(["containers"] if boxes and custom else [])]


def _component(part: Part, name: str, notes: dict[Any, Any]) -> Iterator[Problem]:
    found = _implementations(part, name)
    if len(found) > 1:
        yield _wrong(part, f"{' and '.join(found)}: exactly one of them is a {name}", found[0])
    elif not found and name != "predictor":
        yield _wrong(part, f"no containers: exactly one implementation is a {name}", "containers: […]")
    for place in (*_containers(part), *(part.at(form) for form in ("model", *OLD_STYLE, "art"))):
        for variable in place.parts("env"):
            if variable.get("name") in _BLOCKED:
                what = f"{variable.get('name')} can't be set"
                yield _wrong(variable, what, "", "name")
    logger = part.at("logger")
    if isinstance(logger.data, dict):
        yield from _logger(logger)
    yield from kserve_scaling.check(part, notes.get(_MODE), notes.get(_SCALER), notes)


def _containers(part: Part) -> Iterator[Part]:
    for key in ("containers", "initContainers"):
        yield from part.parts(key)
    for key in ("containers", "initContainers"):
        yield from part.parts("workerSpec", key)


def _logger(logger: Part) -> Iterator[Problem]:
    if logger.get("mode") not in _LOGGED:
        said = f"got {logger.get('mode')!r}" if logger.get("mode") else "and none is said"
        yield _wrong(logger, f"a mode is one of {', '.join(_LOGGED)}, {said}", "mode: all", "mode")
    storage = logger.at("storage")
    if isinstance(storage.data, dict):
        lacking = [key for key in ("key", "path", "parameters") if storage.get(key) is None]
        if lacking:
            yield _wrong(storage, f"a storage has key, path and parameters; no {', '.join(lacking)}")


def _predictor(predictor: Part) -> Iterator[Problem]:
    for form in ("model", *OLD_STYLE):
        if predictor.get(form, "name"):
            yield _wrong(predictor, "a standard predictor has no `name`", "", form, "name")
    for box in predictor.parts("containers"):
        if box.get("name") == "transformer-container":
            for variable in box.parts("env"):
                if variable.get("name") == "STORAGE_URI":
                    what = "a transformer's container has no storage of its own"
                    yield _wrong(variable, what, "STORAGE_URI in kserve-container")


def _workers(predictor: Part, notes: dict[Any, Any]) -> Iterator[Problem]:
    workers = predictor.at("workerSpec")
    if not isinstance(workers.data, dict):
        return
    if len(workers.items("containers")) > 1:
        yield _wrong(workers, "several containers", "one container", "containers")
    for key in ("pipelineParallelSize", "tensorParallelSize"):
        size = workers.number(key)
        if size is not None and size < 1:
            yield _wrong(workers, f"{size} is less than 1", f"{key}: 1", key)
    if not isinstance(predictor.get("model"), dict):
        return
    for variable in predictor.parts("model", "env"):
        if variable.get("name") in ("PIPELINE_PARALLEL_SIZE", "TENSOR_PARALLEL_SIZE"):
            what = f"{variable.get('name')} is workerSpec's"
            yield _wrong(variable, what, "workerSpec: {tensorParallelSize: …}", "name")
    uri = predictor.text("model", "storageUri")
    if uri.partition("://")[0] not in ("pvc", "oci"):
        what = f"several nodes need storageUri with pvc:// or oci://, got '{uri}'"
        yield _wrong(predictor, what, "storageUri: pvc://CLAIM/PATH", "model", "storageUri")
    if notes.get(_SCALER) != "none":
        yield _wrong(workers, "several nodes aren't scaled", f"{_SCALER}: none, among the annotations")


def _canaries(root: Part, predictor: Part, notes: dict[Any, Any]) -> Iterator[Problem]:
    canaries = list(root.parts("spec", "canary"))
    if not canaries:
        return
    if notes.get(_MODE) != "Standard":
        yield Problem(("spec", "canary"), "only Standard mode has it", _REFUSED, f"{_MODE}: Standard")
    names, total = [predictor.get("name")], 0
    for one in canaries:
        name, share = one.get("predictor", "name"), one.number("trafficPercent")
        if not name:
            yield _wrong(one, "a canary's predictor has a name", "name: next", "predictor")
        elif name in names:
            yield _wrong(one, f"the name {name} is there twice", "", "predictor", "name")
        names.append(name)
        if share is None or not 0 <= share <= 100:
            yield _wrong(one, f"{one.get('trafficPercent')} is no share: 0 to 100", "", "trafficPercent")
        total += share or 0
        yield from _canary(one.at("predictor"), predictor)
    if total > 100:
        yield Problem(("spec", "canary"), f"the shares are {total} together, more than 100", _REFUSED)


def _canary(part: Part, stable: Part) -> Iterator[Problem]:
    if len(_implementations(part, "predictor")) > 1:
        yield _wrong(part, "exactly one of model, containers and the old forms is a predictor")
    if part.get("workerSpec") is not None:
        yield _wrong(part, "a canary has no workerSpec", "", "workerSpec")
    if (most := part.number("maxReplicas")) is not None and most > 0:
        yield _wrong(part, "a canary's replicas are fixed", "minReplicas", "maxReplicas")
    for key in _FIXED:
        if part.get(key) is not None:
            yield _wrong(part, "a canary's replicas are fixed", "", key)
    least, allowed = part.number("minReplicas"), stable.number("minReplicas")
    allowed = 1 if allowed is None else allowed
    if least is not None and least > allowed:
        what = f"{least} replicas, more than the stable predictor's {allowed}"
        yield _wrong(part, what, f"minReplicas: {allowed}", "minReplicas")
