"""A TrainedModel: a model in the pods of an InferenceService, here in the Router's process."""

from collections.abc import Sequence

from serve_app.config import did_you_mean
from serve_app.tools.kserve import formats, metadata, own, storage
from serve_app.tools.kserve.ledger import Field, Ledger
from serve_app.tools.kserve.service import Model, Service
from serve_app.tools.kube.documents import Document


def read(document: Document, beside: Sequence[Document]) -> Service:
    """One model. What is wrong is in the service's ledger."""
    service = Service(document, Ledger())
    root, model = service.root, Model(document.name, inline=True)
    notes = root.at("metadata", "annotations")
    root.at("apiVersion").carry()
    root.at("kind").carry()
    root.at("status").note("what KServe's controller saw")
    own.placed(notes, model)
    one, parent = root.at("spec", "model"), root.at("spec", "inferenceService")
    storage.locate(one, Field((), None, service.ledger), model, beside)
    name = one.at("framework")
    found = formats.known(str(name.of(str))) if name else None
    if not one:
        root.at("spec").wrong("no `model`", "there is nothing to run")
    elif found is None and "modelFormat" not in own.entry(notes):
        text = f"no format '{name.data}' is known{did_you_mean(str(name.data), formats.names())}"
        name.wrong(text, "Tandem can't run it")
    elif found and not found.runtime:
        name.refuse(f"{name.data}: {found.why}", "Tandem can't run it", found.fix)
    elif found:
        name.carry()
        model.put("modelFormat", found.runtime, name)
    one.at("memory").note("a Router's memory is its pod's", "limits.maxLoadedModels bounds how many")
    parent.note("the Router holds it", "its pods are none of an InferenceService")
    own.read(notes, model)
    metadata.read(root.at("metadata"))
    service.models.append(model)
    return service
