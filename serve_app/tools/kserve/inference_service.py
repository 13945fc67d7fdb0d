"""An InferenceService as models of Tandem's."""

from collections.abc import Sequence
from typing import Any

from serve_app.tools.kserve import (
    canary,
    elsewhere,
    explainers,
    loggers,
    metadata,
    own,
    pods,
    predictor,
    scaling,
    transformer,
)
from serve_app.tools.kserve.formats import OLD_STYLE, V2_BY_DEFAULT
from serve_app.tools.kserve.ledger import Field, Ledger
from serve_app.tools.kserve.service import Model, Service
from serve_app.tools.kube.documents import Document, get
from serve_app.tools.kube.findings import Place


def read(document: Document, beside: Sequence[Document]) -> Service:
    """`beside`: the file's other documents. What is wrong is in the service's ledger."""
    service = Service(document, Ledger())
    root = service.root
    notes = root.at("metadata", "annotations")
    root.at("apiVersion").carry()
    root.at("kind").carry()
    root.at("status").note("what KServe's controller saw")
    part = root.at("spec", "predictor")
    model = Model(document.name)
    service.models.append(model)
    own.placed(notes, model)
    if elsewhere.read(root, model):
        metadata.read(root.at("metadata"))
        return service
    if root.at("spec", "default"):
        root.at("spec", "default").wrong(
            "v1alpha2's form", "v1beta1 knows `predictor`", "spec: {predictor: {model: {…}}}"
        )
    elif part.of(dict) is None:
        root.at("spec", "predictor").wrong("there is no predictor", "there is nothing to run")
    else:
        _predictor(part, service, model, notes, beside)
    _others(root, service)
    metadata.read(root.at("metadata"))
    _unknown(root.at("spec"))
    return service


def _predictor(
    part: Field, service: Service, model: Model, notes: Field, beside: Sequence[Document]
) -> None:
    if not predictor.read(part, model, service.pods, notes, beside):
        names = [one for one in OLD_STYLE if part.at(one)]
        if not names and not any(_of_many(one, service) for one in beside):
            part.wrong("neither `model` nor `containers`", "there is nothing to run")
        service.models.remove(model)
    elif "storageUri" not in model.entry and any(_of_many(one, service) for one in beside):
        part.at("model").note("a server of many models: its TrainedModels are in the Router")
        service.models.remove(model)
    pods.read(part, service.pods)
    part.at("name").note("a name of pods, for canaries")
    _workers(part.at("workerSpec"), model)
    scaling.serve(part, service, model)
    scaling.scale(part, notes, model)
    if model.inline:
        own.inside(model, part)
    if model in service.models:
        canary.read(service, model, beside)


def _of_many(one: Document, service: Service) -> bool:
    return one.kind == "TrainedModel" and get(one.data, "spec", "inferenceService") == service.name


def _workers(one: Field, model: Model) -> None:
    """Several nodes for one engine: vLLM's parallel sizes."""
    if not one:
        return
    for key, name in (("tensorParallelSize", "tensor"), ("pipelineParallelSize", "pipeline")):
        size = one.at(key)
        if model.format == "vllm" and size.take(int):
            model.inner("engine", f"{name}_parallel_size", size.data, size)
            gpus = model.entry.get("resources", {}).get("num_gpus")
            if gpus:
                model.inner("resources", "num_gpus", gpus * size.data, size)
    for other in one.inner():
        if not one.ledger.fate(other.place):
            other.warn(
                "pods of their own aren't made for workers of an engine",
                "Ray places them on the nodes that have the GPUs",
            )


def _others(root: Field, service: Service) -> None:
    transformer.read(service)
    if service.models:
        loggers.read(root.at("spec", "predictor", "logger"), service, service.answers_as)
    explainers.read(root, service)


def _unknown(spec: Field) -> None:
    """Fields that KServe's schema hasn't either."""
    known = {"predictor", "transformer", "explainer", "canary", "default"}
    for one in spec.inner():
        if one.key not in known:
            one.warn("no field of an InferenceService", "KServe's API server drops it")


def as_new_style(document: Document) -> Document:
    """Old forms of predictors as `model`, as KServe's webhook rewrites them; lines stay known."""
    data = document.data
    spec = data.get("spec")
    if not isinstance(spec, dict):
        return document
    found = dict(spec)
    if "predictor" in spec:
        found["predictor"] = _new_form(spec["predictor"], ("spec", "predictor"), document)
    if isinstance(canaries := spec.get("canary"), list):
        found["canary"] = [_canary(one, at, document) for at, one in enumerate(canaries)]
    return document if found == spec else Document({**data, "spec": found}, document.report)


def _canary(one: Any, at: int, document: Document) -> Any:
    if not isinstance(one, dict) or "predictor" not in one:
        return one
    place: Place = ("spec", "canary", at, "predictor")
    return {**one, "predictor": _new_form(one["predictor"], place, document)}


def _new_form(found: Any, place: Place, document: Document) -> Any:
    names = [one for one in OLD_STYLE if isinstance(found, dict) and isinstance(found.get(one), dict)]
    if len(names) != 1 or "model" in found:
        return found
    (name,) = names
    old = found[name]
    model = {"modelFormat": {"name": OLD_STYLE[name]}, **old}
    if name in V2_BY_DEFAULT and "protocolVersion" not in old:
        model["protocolVersion"] = "v2"
    document.report.same((*place, "model"), (*place, name))
    return {**{key: value for key, value in found.items() if key != name}, "model": model}
