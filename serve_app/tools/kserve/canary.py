"""A new version beside the one that serves: spec.canary, and a predictor's share of the traffic."""

from collections.abc import Sequence

from serve_app.repository.versions import is_version
from serve_app.tools.kserve import pods, predictor, scaling, transformer
from serve_app.tools.kserve.ledger import Field
from serve_app.tools.kserve.service import Model, Pods, Service
from serve_app.tools.kube.documents import Document


def read(service: Service, stable: Model, beside: Sequence[Document]) -> None:
    """Each canary is an application of its own, with a version of the same model."""
    share = service.root.at("spec", "predictor", "canaryTrafficPercent")
    if (number := share.of(int)) is not None:
        _against_before(share, number)
    canaries = list(service.root.at("spec").each("canary"))
    if not canaries:
        return
    models, left = [stable], 100
    for index, one in enumerate(canaries):
        name, percent = one.at("predictor", "name"), one.at("trafficPercent")
        model = Model(f"{service.name}-{name.take(str) or index + 1}")
        part, own_pods = one.at("predictor"), Pods()
        notes = service.root.at("metadata", "annotations")
        if not predictor.read(part, model, own_pods, notes, beside):
            part.wrong("neither `model` nor `containers`", "there is nothing to run")
        model.put("model", stable.entry.get("model", service.name), name)
        scaling.serve(part, service, model)
        scaling.scale(part, Field((), None, service.ledger), model)
        pods.read(part, own_pods)
        for box in part.each("containers"):
            if box.get("name") == transformer.BESIDE:
                box.note("the predictor's transformer is before all versions")
        if service.root.at("spec", "predictor", "logger"):
            part.at("logger").note("the predictor's logger has all versions of the model")
        else:
            part.at("logger").warn(
                "its payloads aren't logged", "a logger has all versions of a model",
                "spec.predictor.logger",
            )  # fmt: skip
        if own_pods.spec != service.pods.spec or own_pods.container != service.pods.container:
            part.note("its pods are those of the predictor", "one RayService's group of workers")
        models.append(model)
        percent.of(int)
        left -= percent.data if isinstance(percent.data, int) else 0
    _number(models)
    service.models += models[1:]
    shares = [left, *(one.get("trafficPercent") or 0 for one in canaries)]
    service.weights = {
        model.entry["versions"][0]: share for model, share in zip(models, shares, strict=True)
    }
    for one in canaries:
        one.at("trafficPercent").carry()


def _against_before(share: Field, number: int) -> None:
    """The other share is a revision that the cluster remembers, and no file names."""
    if number == 100:
        share.carry()
    elif number == 0:
        share.refuse(
            "everything goes to the revision of before, which this file doesn't name",
            "Tandem would serve the new one", "the storageUri of before",
        )  # fmt: skip
    elif 0 < number < 100:
        share.warn(
            f"all requests go to this model, not {number} of 100",
            "the others are for the revision of before, which this file doesn't name",
            "spec.canary, which names both",
        )


def _number(models: list[Model]) -> None:
    """Versions: those that the storages are named by, or 1, 2, 3 of folders that have none."""
    ends = [str(one.entry.get("storageUri") or "").rstrip("/").rpartition("/") for one in models]
    named = [end for _, _, end in ends]
    apart = all(map(is_version, named)) and len(set(named)) == len(named)
    for index, (model, (folder, _, end)) in enumerate(zip(models, ends, strict=True), 1):
        if "versions" in model.entry:
            continue
        if apart:
            model.entry["storageUri"] = folder
        model.put("versions", [end if apart else str(index)])
