"""InferenceGraphs: entries of the Router's `graphs`, and back."""

from collections.abc import Mapping
from typing import Any

from serve_app.config.kserve_graph import from_kserve
from serve_app.tools.kserve.ledger import Ledger
from serve_app.tools.kserve.service import Model, Service
from serve_app.tools.kube.documents import Document

API = "serving.kserve.io/v1alpha1"


def read(document: Document, models: Mapping[str, str]) -> Service:
    """`models`: what the InferenceServices beside it are called here, by their names."""
    service = Service(document, Ledger())
    made = from_kserve(document.data, models)
    service.ledger.carried.update(made.carried)
    for one in made.said:
        service.ledger.say(*one[:5])
        if one.ours:
            service.ledger.ours.add(service.ledger.problems[-1])
    service.root.at("status").note("what KServe's controller saw")
    service.graph = made.graph
    for model in made.models:
        entry = {key: value for key, value in model.items() if key != "name"}
        service.models.append(Model(model["name"], entry, inline=True))
    return service


def back(graph: Mapping[str, Any], services: Mapping[str, str]) -> dict[str, Any]:
    """The resource of an entry. `services`: InferenceServices by the names of their models."""
    nodes = {
        name: {**node, "steps": [_step(step, services) for step in node.get("steps") or []]}
        for name, node in (graph.get("nodes") or {}).items()
    }
    spec = {key: value for key, value in graph.items() if key not in ("name", "nodes")}
    return {
        "apiVersion": API, "kind": "InferenceGraph", "metadata": {"name": graph.get("name")},
        "spec": {"nodes": nodes, **spec},
    }  # fmt: skip


def _step(step: Mapping[str, Any], services: Mapping[str, str]) -> dict[str, Any]:
    name = step.get("serviceName")
    return {**step, **({"serviceName": services.get(name, name)} if name else {})}
