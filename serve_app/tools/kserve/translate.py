"""Documents of KServe's as services of Tandem's, with what is wrong in the documents' reports."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from serve_app.tools.kserve import graphs, inference_service, llm, trained
from serve_app.tools.kserve.ledger import Field, Ledger
from serve_app.tools.kserve.service import Service
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Place, Problem

GROUP = "serving.kserve.io"
RUN = ("InferenceService", "TrainedModel", "LLMInferenceService", "InferenceGraph")
# They say how KServe runs models: read with those that name them, and of no use by themselves.
_BESIDE = ("ServingRuntime", "ClusterServingRuntime", "LLMInferenceServiceConfig")


@dataclass
class Translation:
    """All of a file's. `others`: resources that are none of KServe's, and stay what they are."""

    services: list[Service]
    others: list[Document]


def is_ours(document: Document) -> bool:
    """Whether it is something of KServe's that Tandem serves."""
    return document.kind in RUN and document.group == GROUP


def translate(documents: Iterable[Document]) -> Translation:
    """What Tandem serves of them. Errors of the ledgers say what it can't."""
    every = [inference_service.as_new_style(one) if is_ours(one) else one for one in documents]
    found = Translation([], [])
    for one in every:
        if one.kind == "InferenceGraph" and is_ours(one):
            continue  # it names the others
        if is_ours(one):
            found.services.append(_read(one, [other for other in every if other is not one]))
        else:
            found.others.append(one)
    names = {one.name: one.asked_as for one in found.services if one.models}
    for one in every:
        if one.kind == "InferenceGraph" and is_ours(one):
            found.services.append(graphs.read(one, names))
    _together(found.services)
    return found


def _read(one: Document, beside: Sequence[Document]) -> Service:
    if one.kind == "InferenceService":
        service = inference_service.read(one, beside)
    elif one.kind == "TrainedModel":
        service = trained.read(one, beside)
    else:
        service = llm.read(one, beside)
    return service


def _together(services: list[Service]) -> None:
    """What doesn't fit together between documents."""
    names: dict[str, Service] = {}
    spaces = {str(one.root.get("metadata", "namespace") or "") for one in services}
    for one in services:
        if len(spaces - {""}) > 1:
            one.ledger.say(
                ("metadata", "namespace"), f"{len(spaces)} namespaces in one file",
                "one service has one", "a file for each namespace", "warning",
            )  # fmt: skip
        for model in one.models:
            if model.name in names:
                one.ledger.say(
                    ("metadata", "name"), f"another model '{model.name}' came before", "one is served"
                )
            names[model.name] = one
    times = {one.timeout for one in services if one.timeout}
    if len(times) > 1:
        for one in services:
            if one.timeout and one.timeout != max(times):
                Field((), one.root.data, one.ledger).at("spec", "predictor", "timeout").warn(
                    f"requests wait {max(times)} seconds, as another one's do",
                    "a Router has one limit for all models",
                )


def accounted(service: Service) -> list[Place]:
    """Leaves of its document of which nobody said what became of them: there should be none."""
    return service.ledger.left(service.document.data)


def problems(service: Service) -> list[Problem]:
    """All that is to be said of a document; what was left out without a reason is said, too."""
    rest = Ledger()
    for place in accounted(service):
        Field((), service.document.data, rest).at(*place).warn(
            "not carried", "nothing of Tandem's is told by it"
        )
    return [*service.ledger.problems, *rest.problems]


def renamed(service: Service, name: str) -> Service:
    """Under another name, for those of several files."""
    data = {**service.document.data, "metadata": {**service.document.data["metadata"], "name": name}}
    return replace(service, document=Document(data, service.document.report))
